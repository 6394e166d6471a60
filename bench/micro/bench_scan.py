"""Plan and stamp, one bench a body; each asserts its result: a fast wrong answer cannot win."""

from typing import Any

import pytest

from bench import bodies
from hevfast.batch._scan import scan
from hevfast.batch.stamp import STEP_BYTES, stamp
from hevfast.core.limits import ROWS_MAX

NOW_MS = 1_700_000_000_000

# What the stamps add to a row: 61 bytes with a two-digit shard.
ROW_STAMP_BYTES = len(f'"_hevlayer_upserted_at":{NOW_MS},"_hevlayer_shard":15,')

ROWS = {
    "row1_1500b": 1,
    "rows100_dim128_float": 100,
    "rows1000_dim768_float": 1000,
    "rows1000_dim768_base64": 1000,
    "rows1000_dim768_spaced": 1000,
    "rows10000_dim8_float": 10_000,
}


def plan_and_stamp(body: bytes) -> int:
    stamped = stamp(scan(body, False, ROWS_MAX), now_ms=NOW_MS, shard_count=16, stamp_shard=True)
    if stamped.size <= STEP_BYTES:
        return len(stamped.whole())
    return sum(len(piece) for step in stamped for piece in step)


@pytest.mark.parametrize("name", ROWS)
def bench_plan_and_stamp(benchmark: Any, name: str) -> None:
    body = bodies.body(name)
    size = benchmark(plan_and_stamp, body)
    assert size == len(body) + ROWS[name] * ROW_STAMP_BYTES


@pytest.mark.parametrize("name", ROWS)
def bench_plan(benchmark: Any, name: str) -> None:
    plan = benchmark(scan, bodies.body(name), False, ROWS_MAX)
    assert plan.rows_count == ROWS[name]


@pytest.mark.parametrize("name", ROWS)
def bench_copy(benchmark: Any, name: str) -> None:
    """The yardstick: one copy of the same bytes, into memory that is there already."""
    body = bodies.body(name)
    room = memoryview(bytearray(len(body)))

    def copy() -> None:
        room[:] = body

    benchmark(copy)
    assert room == body
