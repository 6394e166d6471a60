"""The benches of a write, once and tiny, so that they cannot rot."""

import pytest
import uvloop

from bench import bodies
from bench.floors import nginx
from bench.request import exchange_cost, group_cost, in_process
from bench.request.write_cost import WAYS, measure

INSTALLED = [way for way in WAYS if way != "nginx" or nginx.installed()]


@pytest.mark.parametrize("name", ["row1_1500b", "rows1000_dim768_float"])
def bench_write_cost_is_measured(name: str) -> None:
    measured = measure(bodies.body(name), [4], seconds=0.1, rounds=1, ways=INSTALLED)[4]
    assert list(measured) == INSTALLED
    for each in measured.values():
        assert [cost > 1 for cost in each.cost_us] == [True]
        assert each.tail >= 1
        assert each.loads[0].p50_us <= each.loads[0].p99_us <= each.loads[0].p999_us
    # A gateway cannot be cheaper than an application that does nothing.
    assert measured["off"].cost_us[0] > measured["bare"].cost_us[0] * 0.5


def bench_exchange_cost_is_measured() -> None:
    found = exchange_cost.run(rounds=1, times=64)
    assert len(found) == 13
    assert [cost > 1 for costs in found.values() for cost in costs] == [True] * 13


@pytest.mark.parametrize("cache", ["off", "memory", "lmdb"])
def bench_write_in_process_is_measured(cache: str) -> None:
    assert [cost > 1 for cost in uvloop.run(in_process.measure(cache, 128, 2, False))] == [True] * 2


def bench_memory_of_a_write_is_bounded() -> None:
    """Bytes at the peak for each of 64 writes at once, their bodies of 1.5 KB included twice."""
    (peak,) = uvloop.run(in_process.measure("off", 512, 1, True))
    assert 2 * 1500 < peak < 16 * 1024


def bench_group_commit_is_measured() -> None:
    fast = group_cost.measure(8, 0.1, 1, 0, ["off", "on"])
    assert [found.cost_us[0] > 1 for found in fast.values()] == [True, True]
    slow = group_cost.measure(32, 0.3, 1, 50, ["off", "on"])
    # Arithmetic, whatever else the machine does: 4 in 50 ms against 16 and more.
    assert slow["on"].rate[0] > slow["off"].rate[0] * 1.5
