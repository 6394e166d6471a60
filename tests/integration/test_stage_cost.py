"""The bench of staging runs, and its answers are what they should be."""

import shutil

import pytest

from bench.request.stage_cost import WAYS, measure


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_bench_measures_every_way() -> None:
    result = measure(connections=4, seconds=0.1, rounds=1, documents=20, count=2)
    assert list(result) == list(WAYS)
    for way in WAYS:
        assert result[way].cost_us[0] > 0
        assert result[way].rate[0] > 0
