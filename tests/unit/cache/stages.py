"""A store of each kind, and what a test can have happen to it, in the same words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hevfast.batch.mirror import digest_of
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.memory import MemoryStore
from hevfast.cache.merging import merged
from hevfast.cache.store import Store
from hevfast.core.clock import monotonic_s
from tests.unit.cache import aerospike_stage as cluster
from tests.unit.cache.writes import MIB, store_in

DOUBT_S = 0.05


@dataclass
class Stage:
    """`store`, and `other`: a second worker's or gateway's, where there can be one."""

    store: Store
    other: Store
    # Let patches be merged.
    ripen: Callable[[], Awaitable[object]]
    # Sweep as if all that is there had been there for long.
    sweep: Callable[[], Awaitable[object]]
    # Let the doubt of all writes lapse.
    outlast_doubt: Callable[[], Awaitable[object]]
    # Where the bound of writes in doubt is.
    module: str


async def _nothing() -> None:
    return


@asynccontextmanager
async def memory_stage() -> AsyncIterator[Stage]:
    late_s = 0.0
    store = MemoryStore(
        MIB,
        lapse_s=60,
        doubt_s=DOUBT_S,
        digest_of=digest_of,
        merge=merged,
        now_s=lambda: monotonic_s() + late_s,
    )

    async def sweep() -> None:
        nonlocal late_s
        late_s += 61

    async def outlast_doubt() -> None:
        nonlocal late_s
        late_s += 2 * DOUBT_S

    yield Stage(store, store, _nothing, sweep, outlast_doubt, "memory")


@asynccontextmanager
async def lmdb_stage(folder: Path) -> AsyncIterator[Stage]:
    store, other = store_in(folder, doubt_s=DOUBT_S), store_in(folder)
    await store.open()
    share_file(store, other)

    async def sweep() -> None:
        store._lapse_ms, lapse_ms = -1, store._lapse_ms
        await store._do_quietly(store._sweep)
        store._lapse_ms = lapse_ms

    yield Stage(store, other, _nothing, sweep, lambda: _doubts(store), "lmdb_store")
    await store.close()


def share_file(store: LmdbStore, other: LmdbStore) -> None:
    """Make one store a second worker's, of the same file.

    LMDB refuses to open a file twice in one process, so it borrows the first one's.
    """
    other._name = b"worker-2"
    other._page, other._file = store._page, store._file
    other._writer = store._writer


@asynccontextmanager
async def aerospike_stage(hosts: list[cluster.Host]) -> AsyncIterator[Stage]:
    prefix = cluster.fresh_prefix()
    async with cluster.opened(hosts, prefix) as store, cluster.opened(hosts, prefix) as other:
        yield Stage(
            store,
            other,
            lambda: cluster.come_of_age(store),
            lambda: cluster.tend_late(store),
            lambda: _doubts(store),
            "aerospike_store",
        )


async def _doubts(store: Any) -> None:
    doubts = [task for task in store._tasks if "doubt" in repr(task.get_coro())]
    assert doubts, "nothing is in doubt"
    await asyncio.gather(*doubts)
