"""The bench of a cached document, once and tiny, so that it cannot rot."""

import pytest

from bench.request.fetch_cost import measure


@pytest.mark.parametrize("rows", [1, 100])
def bench_fetch_cost_is_measured(rows: int) -> None:
    measured = measure(rows, connections=4, seconds=0.1, rounds=1)
    # A gateway cannot be cheaper than an application that only sends the answer.
    assert [ratio > 0.5 for ratio in measured.ratios] == [True]
