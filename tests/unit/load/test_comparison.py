"""Two results held against each other."""

import msgspec
import pytest

from hevfast.load.comparison import Difference, compared, text
from hevfast.load.result import StepResult
from tests.unit.load.results import latencies, result, step


def differences(first: StepResult, second: StepResult) -> dict[str, Difference]:
    found = compared(result(first, "before"), result(second, "after")).differences
    return {one.figure: one for one in found}


def test_a_faster_run_is_better_and_a_slower_one_worse() -> None:
    slow, fast = step(latencies(2, 1)), step(latencies(1, 2))
    for figure in ("p50", "p90", "p99"):
        forth, back = (differences(*pair)[figure] for pair in ((slow, fast), (fast, slow)))
        assert (forth.direction, back.direction) == ("better", "worse")
        assert forth.change == pytest.approx(-0.5, abs=0.1)
        assert back.change == pytest.approx(1.0, abs=0.2)
        assert (forth.first, forth.second) == (back.second, back.first)


def test_two_runs_of_the_same_show_no_difference() -> None:
    found = differences(step(latencies(1, 1)), step(latencies(1, 2)))
    assert {one.direction for one in found.values()} <= {"same", "within the spread"}


def test_a_tail_of_a_handful_of_answers_is_no_finding() -> None:
    few = [int(latency) for latency in latencies(1, 1)[:100]]
    assert differences(step(few), step([*few[:-1], 900_000]))["p99.9"].direction != "worse"


def test_more_throughput_is_better_and_more_errors_are_worse() -> None:
    found = differences(step([1_000] * 1000), step([1_000] * 2000, wrong=100))
    assert found["rate"].direction == "better"
    assert found["errors"].direction == "worse"
    assert found["errors"].change is None


def test_results_without_a_rate_in_common_are_refused() -> None:
    measured = step([1_000])
    other = msgspec.structs.replace(measured, rate_asked=7.0)
    with pytest.raises(ValueError, match="no rate in common"):
        compared(result(measured), result(other))


def test_what_makes_two_results_incomparable_is_said() -> None:
    first = result(step([1_000] * 10), "x")
    second = msgspec.structs.replace(
        first,
        interrupted=True,
        environment=msgspec.structs.replace(first.environment, cores=64),
        options=msgspec.structs.replace(first.options, connections=1),
    )
    caveats = compared(first, second).caveats
    assert caveats == [
        "the numbers of connections differ",
        "the machines differ",
        "B was interrupted",
    ]


def test_the_table_names_both_and_the_direction() -> None:
    slow, fast = result(step(latencies(2, 1)), "old"), result(step(latencies(1, 2)), "new")
    lines = text(compared(slow, fast)).splitlines()
    assert lines[:2] == ["A: old", "B: new"]
    assert any("p50" in line and line.endswith("better") for line in lines)
