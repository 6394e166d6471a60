"""What counting adds to a write and to a hit: clock and cells, less than a microsecond each."""

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram

from hevfast.core.clock import monotonic_s
from hevfast.observe.catalogue import CATALOGUE, DURATIONS
from hevfast.observe.fetches import Fetches
from hevfast.observe.folder import Folder
from hevfast.observe.tally import Tally
from hevfast.observe.writes import DIRECT, Writes

TIMES = 1000

# Nanoseconds of processor time that either may cost here; a machine that is busy is given twice.
BOUND_NS = 1000


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    return Tally(tmp_path)


def write(writes: Writes) -> None:
    for _ in range(TIMES):
        begun_s = monotonic_s()
        writes.applied(DIRECT, b"ns", 1, 0.0031 + monotonic_s() - begun_s, 0.003)


def hit(fetches: Fetches) -> None:
    for _ in range(TIMES):
        begun_s = monotonic_s()
        fetches.hit(b"ns", 250, monotonic_s() - begun_s)


def total_of(tally: Tally, name: str) -> float:
    folder = tally._folder
    assert isinstance(folder, Folder)
    found = 0.0
    for counts in folder.counts():
        for (place, _), values in counts.reading:
            if CATALOGUE[place].name == name:
                found += sum(values[:-1])
        counts.reading.close()
    return found


def least_ns(work: Any, argument: Any) -> float:
    """Give the least processor time of one count over some rounds."""
    best = float("inf")
    for _ in range(40):
        spent = time.thread_time_ns()
        work(argument)
        best = min(best, time.thread_time_ns() - spent)
    return best / TIMES


def bench_write(benchmark: Any, tally: Tally) -> None:
    """1000 writes: divide by 1000."""
    writes = Writes(tally)
    benchmark(write, writes)
    assert total_of(tally, "layer_upsert_overhead_seconds") % TIMES == 0
    assert least_ns(write, writes) < 2 * BOUND_NS


def bench_hit(benchmark: Any, tally: Tally) -> None:
    """1000 hits: divide by 1000."""
    fetches = Fetches(tally, "tpuf_")
    benchmark(hit, fetches)
    assert total_of(tally, "layer_fetch_duration_seconds") % TIMES == 0
    assert least_ns(hit, fetches) < 2 * BOUND_NS


def bench_library_in_one_process(benchmark: Any) -> None:
    """The yardstick: 1000 observations of one histogram of the library; a write takes four."""
    registry = CollectorRegistry()
    histogram = Histogram("seconds", "x", ["a", "b", "c"], buckets=DURATIONS, registry=registry)
    child = histogram.labels("direct", "ns", "ok")

    def observe() -> None:
        for _ in range(TIMES):
            child.observe(0.0031)

    benchmark(observe)
    assert registry.get_sample_value("seconds_count", {"a": "direct", "b": "ns", "c": "ok"})
