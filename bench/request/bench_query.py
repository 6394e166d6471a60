"""The bench of a query, once and tiny, so that it cannot rot."""

from bench.request.query_cost import SHAPES, measure


def bench_query_cost_is_measured() -> None:
    measured = measure(4, seconds=0.1, rounds=1)
    assert tuple(measured) == SHAPES
    for each in measured.values():
        assert [cost > 1 for cost in each.cost_us] == [True]
