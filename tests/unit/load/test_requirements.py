"""The grammar of requirements, and what they are held against."""

import pytest

from hevfast.load.requirements import judge, parse
from tests.unit.load.results import step


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("p99<5ms", (None, "p99", "<", 5.0)),
        ("p99.9 <= 20 ms", (None, "p99.9", "<=", 20.0)),
        ("p50<800us", (None, "p50", "<", 0.8)),
        ("max<1s", (None, "max", "<", 1000.0)),
        ("mean>0.5ms", (None, "mean", ">", 0.5)),
        ("errors<0.1%", (None, "errors", "<", 0.001)),
        ("errors<=0.001", (None, "errors", "<=", 0.001)),
        ("rate>=0.99", (None, "rate", ">=", 0.99)),
        ("rate>=950/s", (None, "rate", ">=", 950.0)),
        ("fetch:hits>=95%", ("fetch", "hits", ">=", 0.95)),
        ("claim/chunks:p99<5ms", ("claim/chunks", "p99", "<", 5.0)),
    ],
)
def test_requirements_are_read(text: str, meaning: tuple[object, ...]) -> None:
    read = parse(text)
    *words, bound = meaning
    assert [read.operation, read.metric, read.comparison] == words
    assert read.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p99",
        "p99<",
        "p99<5",
        "p99<5%",
        "p99<5/s",
        "p99=5ms",
        "p100<5ms",
        "p99<-5ms",
        "p99<5 min",
        "errors<5ms",
        "errors<1/s",
        "hits>1/s",
        "rate>1ms",
        "speed>1",
        "fetch:rate>1",
        "p99<5msx",
        "p99<1e3ms",
        "p99<5ms,max<1s",
        ":p99<5ms",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|needs a unit|not of one operation"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "met", "value"),
    [
        ("p50<11ms", True, "10.01 ms"),
        ("p50<9ms", False, "10.01 ms"),
        ("p99>=10ms", True, "10.01 ms"),
        ("max<=10ms", False, "10.01 ms"),
        ("errors<11%", True, "10%"),
        ("errors<10%", False, "10%"),
        ("fetch:errors<=10%", True, "10%"),
        ("hits>99%", True, "100%"),
        ("rate>50/s", False, "36/s"),
        ("write:p50<1s", False, "not measured"),
    ],
)
def test_requirements_are_held_against_what_was_measured(text: str, met: bool, value: str) -> None:
    verdict = judge(parse(text), [step([10_000] * 180, wrong=20)])
    assert (verdict.met, verdict.value) == (met, value)


def test_every_step_must_meet_a_requirement_and_the_worst_is_shown() -> None:
    steps = [step([1_000] * 50), step([30_000] * 50)]
    assert not judge(parse("p99<5ms"), steps).met
    assert judge(parse("p99<5ms"), steps).value.startswith("30")
    assert judge(parse("p99>0.5ms"), steps).value.startswith("1")


def test_a_run_without_answers_meets_nothing() -> None:
    for text in ("p99<5ms", "errors<1%", "rate>=0", "hits>=0"):
        assert not judge(parse(text), [step([])]).met
