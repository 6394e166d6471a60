"""The LMDB file: restarts, damage, another boot, its size bound."""

import asyncio
import resource
import threading
from pathlib import Path

import pytest

from hevfast.cache.rows import Kind, Outcome
from tests.unit.cache.writes import (
    MIB,
    NS,
    hit,
    part,
    store_in,
    touched,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio


async def test_rows_survive_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        store = store_in(tmp_path)
        await store.open()
        if not number:
            await write(store, upsert(a={"n": 1}))
        assert await hit(store, b"a") == {"n": 1}
        await store.close()


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    cut = content[: len(content) // 2]
    path.write_bytes({"cut": cut, "overwritten": b"x" * len(content), "empty": b""}[damage])


@pytest.mark.parametrize("damage", ["cut", "overwritten", "empty"])
async def test_damaged_file_is_set_aside_and_rebuilt(tmp_path: Path, damage: str) -> None:
    store = store_in(tmp_path)
    await store.open()
    await write(store, [part(Kind.UPSERT, {b"r%d" % n: b'{"n":1}' for n in range(5000)})])
    await store.close()
    spoil(store._file.path, damage)
    store = store_in(tmp_path)
    await store.open()
    assert await hit(store, b"r1") is None
    await write(store, upsert(r1={"n": 2}))
    assert await hit(store, b"r1") == {"n": 2}
    await store.close()


async def test_other_boot_discards_the_file(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.open()
    await write(store, upsert(a={"n": 1}))
    file = store._file
    with file.environment.begin(write=True, db=file.namespaces) as transaction:
        transaction.put(b"boot", b"another")
    await store.close()
    store = store_in(tmp_path)
    await store.open()
    assert await hit(store, b"a") is None
    await store.close()


async def test_size_stays_under_its_bound(tmp_path: Path) -> None:
    store = store_in(tmp_path, bytes_max=8 * MIB)
    await store.open()
    for batch in range(200):
        rows = {b"r%d-%d" % (batch, n): b'{"t":"%s"}' % (b"x" * 1000) for n in range(100)}
        await write(store, [part(Kind.UPSERT, rows)])
    assert await hit(store, b"r199-99") is not None
    assert (tmp_path / f"cache-{store._file.generation}.lmdb").stat().st_size <= 8 * MIB
    await store.close()


async def test_store_that_was_blocked_serves_again(tmp_path: Path) -> None:
    """Another process holds the writer lock for longer than every deadline, then lets go."""
    store = store_in(tmp_path)
    await store.open()
    await write(store, upsert(a={"n": 1}))
    now_s = 0.0
    store._breaker_clock = lambda: now_s
    released = threading.Event()
    blocked = store._writer.submit(lambda _: released.wait(20), 20)
    found = await asyncio.gather(*[store.read(NS, [b"x%d" % n]) for n in range(6)])
    assert all(each.broken for each in found)
    released.set()
    await blocked
    assert (await store.read(NS, [b"a"])).broken
    now_s = 3.0
    assert await hit(store, b"a") == {"n": 1}
    await write(store, upsert(a={"n": 2}))
    assert not store._breaker.is_open
    assert await hit(store, b"a") == {"n": 2}
    await store.close()


async def test_full_disk_serves_nothing_stale_and_the_store_comes_back(tmp_path: Path) -> None:
    """The limit on file sizes stands for the disk: LMDB gets an error from its writes alike."""
    store = store_in(tmp_path)
    await store.open()
    store._breaker_clock = lambda: now_s
    now_s = 0.0
    await write(store, upsert(a={"n": 1}))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = store._file.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        for number in range(20):
            rows = {b"r%d-%d" % (number, n): b"x" * 1000 for n in range(100)}
            ticket = await store.begin(touched(b"a", *rows))
            await store.end(ticket, Outcome.APPLIED, [part(Kind.UPSERT, {b"a": b"{}"} | rows)])
        found = await store.read(NS, [b"a"])
        assert found.rows == [None]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    now_s = 3.0
    await write(store, upsert(a={"n": 3}))
    assert await hit(store, b"a") == {"n": 3}
    await store.close()
