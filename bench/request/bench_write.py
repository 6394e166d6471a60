"""The benches of a write, once and tiny, so that they cannot rot."""

import pytest

from bench import bodies
from bench.request import exchange_cost, group_cost
from bench.request.write_cost import measure


@pytest.mark.parametrize("name", ["row1_1500b", "rows1000_dim768_float"])
def bench_write_cost_is_measured(name: str) -> None:
    measured = measure(bodies.body(name), [4], seconds=0.1, rounds=1)[4]
    assert sorted(measured) == ["direct", "floor", "session"]
    for each in measured.values():
        assert [cost > 1 for cost in each.cost_us] == [True]
    # A gateway cannot be cheaper than an application that does nothing.
    assert measured["direct"].cost_us[0] > measured["floor"].cost_us[0] * 0.5


def bench_exchange_cost_is_measured() -> None:
    found = exchange_cost.run(rounds=1, times=64)
    assert len(found) == 13
    assert [cost > 1 for costs in found.values() for cost in costs] == [True] * 13


def bench_group_commit_is_measured() -> None:
    fast = group_cost.measure(8, 0.1, 1, 0, ["off", "on"])
    assert [found.cost_us[0] > 1 for found in fast.values()] == [True, True]
    slow = group_cost.measure(32, 0.3, 1, 50, ["off", "on"])
    # Arithmetic, whatever else the machine does: 4 in 50 ms against 16 and more.
    assert slow["on"].rate[0] > slow["off"].rate[0] * 1.5
