"""The benches of a write, once and tiny, so that they cannot rot."""

import pytest

from bench import bodies
from bench.floors import nginx
from bench.request import exchange_cost
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
