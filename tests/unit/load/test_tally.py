"""Counts and histograms of several processes, put together."""

import random

import pytest

from hevfast.load.histogram import Histogram, decoded
from hevfast.load.ledger import Ledger
from hevfast.load.messages import Done
from hevfast.load.options import Step
from hevfast.load.result import Generator
from hevfast.load.tally import CPU_SHARE_MAX, Tally, refusals
from tests.unit.load.results import RATE, SECONDS, latencies, options, step

# Three digits are kept, so a value is off by one in a thousand at most.
PRECISION = 0.001


def counted(values: list[int], percentile: float) -> float:
    """Give a percentile in milliseconds by its definition: the smallest that enough reach."""
    ordered = sorted(values)
    place = max(0, -(-int(len(ordered) * percentile * 1000) // 100_000) - 1)
    return ordered[place] / 1000


@pytest.mark.parametrize("percentile", [1, 50, 90, 99, 99.9, 100])
def test_merged_histograms_equal_a_direct_count(percentile: float) -> None:
    rng = random.Random(5)
    every: list[int] = []
    tally = Tally(Step(900, 0, 3))
    for _ in range(3):
        ledger = Ledger(0)
        for number in range(4_000):
            latency = int(rng.paretovariate(1.2) * 300)
            every.append(latency)
            ledger.answered("write", number, number + latency)
            if number % 1_000 == 999:
                tally.add(ledger.take())
    total = tally.result(options(), None, None).total
    assert total.latency is not None
    assert total.answered == total.latency.count == len(every)
    merged = decoded(total.latency).percentile_ms(percentile)
    assert merged == pytest.approx(counted(every, percentile), rel=PRECISION)


def test_what_was_due_in_the_warm_up_is_left_out() -> None:
    ledger = Ledger(1_000)
    for due in (0, 999, 1_000):
        ledger.late(due, due + 7)
        ledger.answered("write", due, due + 5_000)
        ledger.lost("write", "timeout", due, due + 5)
        ledger.wrong("write", "status 500", due, due + 5)
    batch = ledger.take()
    assert len(batch.answered["write"].due) == len(batch.lost["write"].due) == len(batch.late) == 8
    assert sorted((miss.word, miss.count) for miss in batch.misses) == [
        ("status 500", 1),
        ("timeout", 1),
    ]


def test_wrong_answers_are_errors_and_no_part_of_the_percentiles() -> None:
    measured = step([10_000] * 10, wrong=90)
    assert measured.total.errors == {"status 500": 90}
    assert measured.total.error_share == 0.9
    assert measured.total.latency is not None
    assert measured.total.latency.min_ms == pytest.approx(10, rel=PRECISION)


def test_what_was_never_answered_stays_in_the_percentiles() -> None:
    measured = step([1_000] * 90, lost=[5_000_000] * 10)
    assert (measured.total.answered, measured.total.errors) == (90, {"timeout": 10})
    assert measured.total.latency is not None
    assert measured.total.latency.p95_ms == pytest.approx(5_000, rel=PRECISION)


def test_answers_after_the_end_do_not_count_for_the_rate() -> None:
    in_time = step([1_000] * (RATE * SECONDS))
    behind = step([3_000_000] * (RATE * SECONDS))
    assert in_time.rate_answered == RATE
    assert behind.rate_answered == pytest.approx(RATE * 2 / SECONDS, rel=0.01)
    assert behind.total.answered == RATE * SECONDS


def test_the_time_line_has_latency_when_due_and_answers_when_they_came() -> None:
    ledger = Ledger(0)
    ledger.answered("write", 100_000, 2_500_000)
    tally = Tally(Step(1, 0, 3))
    tally.add(ledger.take())
    points = tally.result(options(), None, None).timeline
    assert [point.answered for point in points] == [0, 0, 1]
    assert points[0].max_ms == pytest.approx(2_400, rel=0.01)
    assert points[2].max_ms is None


def test_a_long_run_has_a_bounded_time_line() -> None:
    assert len(Tally(Step(1, 0, 3_600)).result(options(), None, None).timeline) == 600


def test_fetches_without_a_cache_header_are_no_hits() -> None:
    ledger = Ledger(0)
    for number in range(10):
        ledger.answered("fetch", number, number + 1, "hit" if number < 7 else "")
        ledger.answered("write", number, number + 1)
    tally = Tally(Step(1, 0, 1))
    tally.add(ledger.take())
    measured = tally.result(options(), None, None)
    assert measured.operations["fetch"].hit_share == measured.total.hit_share == 0.7


def test_requests_of_a_course_are_not_counted_as_arrivals() -> None:
    ledger = Ledger(0)
    for name in ("claim/stage", "claim/claim", "claim"):
        ledger.answered(name, 0, 1_000)
    tally = Tally(Step(1, 0, 1))
    tally.add(ledger.take())
    measured = tally.result(options(), None, None)
    assert measured.total.answered == 1
    assert set(measured.operations) == {"claim", "claim/claim", "claim/stage"}


def generator(late_ms: float = 0.1, cpu: float = 0.2) -> Generator:
    return Generator(0.05, late_ms, 2 * late_ms, [0.1, cpu], 0.0)


def test_a_generator_that_kept_up_is_believed() -> None:
    assert refusals(generator(late_ms=4.9), options(), True, 0.5) == []


def test_a_late_generator_is_refused_and_says_what_to_change() -> None:
    (reason,) = refusals(generator(late_ms=5.1), options(), True, 0.5)
    assert "late" in reason
    assert "--processes" in reason
    (reason,) = refusals(generator(late_ms=5.1), options(), True, 0.99)
    assert "the machine was 99% busy" in reason


def test_a_generator_out_of_processor_time_is_refused_in_either_loop() -> None:
    tired = generator(cpu=CPU_SHARE_MAX + 0.01)
    for is_open in (True, False):
        (reason,) = refusals(tired, options(), is_open, None)
        assert "91% of a processor" in reason


def test_the_step_result_carries_the_refusal() -> None:
    assert step(latencies(1, 1), late_us=9_000).refused
    assert not step(latencies(1, 1), late_us=50).refused


def test_values_beyond_the_range_are_kept_at_its_ends() -> None:
    histogram = Histogram()
    histogram.record([0, 10**12])
    assert histogram.count == 2
    assert histogram.max_ms() == pytest.approx(3_600_000, rel=PRECISION)


def test_an_interrupted_step_is_as_long_as_it_was() -> None:
    tally = Tally(Step(10, 1, 60))
    tally.done(Done(0.1, 3.5, 25, 0))
    assert tally.result(options(), 3.5, None).duration_s == 2.5
