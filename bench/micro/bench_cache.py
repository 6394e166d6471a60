"""What the document cache on LMDB adds to a write, and what a hit costs."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bench import bodies
from hevfast.batch._scan import scan
from hevfast.batch.mirror import digest_of, touched_digests
from hevfast.batch.plan import Plan
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.rows import Outcome
from hevfast.cache.store import Touched
from hevfast.core.limits import ROWS_MAX
from hevfast.routes.settling import WrittenRows

NAMESPACE = b"bench"
NOW_MS = 1_700_000_000_000
BATCH_ROWS = 10_000
SMALL_WRITES = 640
AT_ONCE = 64


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, LmdbStore]]:
    store = LmdbStore(tmp_path, 1 << 28, 600, 60, digest_of)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(store.open())
        yield runner, store
        runner.run(store.close())


async def write(store: LmdbStore, plan: Plan) -> None:
    ticket = await store.begin(Touched(NAMESPACE, touched_digests(plan)))
    assert ticket.token is not None
    await store.end(ticket, Outcome.APPLIED, WrittenRows(plan, NOW_MS, 16, True))


async def writes(store: LmdbStore, plans: list[Plan]) -> None:
    async def some(first: int) -> None:
        for plan in plans[first::AT_ONCE]:
            await write(store, plan)

    await asyncio.gather(*[some(first) for first in range(AT_ONCE)])


def bench_begin_and_end_of_one_row(
    benchmark: Any, runner: tuple[asyncio.Runner, LmdbStore]
) -> None:
    """640 writes of one row, 64 at a time: divide by 640."""
    run, store = runner
    texts = [json.dumps({"upsert_rows": [{"id": n, "t": "x" * 60}]}) for n in range(SMALL_WRITES)]
    plans = [scan(text.encode(), False, ROWS_MAX) for text in texts]
    benchmark(lambda: run.run(writes(store, plans)))
    found = run.run(store.read(NAMESPACE, [b"0", b"639"]))
    assert None not in found.rows


def bench_begin_and_end_of_10000_rows(
    benchmark: Any, runner: tuple[asyncio.Runner, LmdbStore]
) -> None:
    run, store = runner
    plan = scan(bodies.body("rows10000_dim8_float"), False, ROWS_MAX)
    benchmark(lambda: run.run(write(store, plan)))
    found = run.run(store.read(NAMESPACE, [b"1", b"%d" % BATCH_ROWS]))
    assert None not in found.rows


@pytest.mark.parametrize("count", [1, 100])
def bench_hits(benchmark: Any, runner: tuple[asyncio.Runner, LmdbStore], count: int) -> None:
    run, store = runner
    plan = scan(bodies.body("rows100_dim128_float"), False, ROWS_MAX)
    run.run(write(store, plan))
    ids = [b"%d" % (n + 1) for n in range(count)]
    found = benchmark(lambda: run.run(store.read(NAMESPACE, ids)))
    assert None not in found.rows
