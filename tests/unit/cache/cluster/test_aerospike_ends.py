"""How writes end in the Aerospike store when they do not end as they began."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Part, Ticket
from tests.unit.cache.aerospike_stage import (
    EVERYTHING,
    NS,
    Host,
    begin,
    hit,
    opened,
    part,
    store_of,
    tend_late,
    touched,
    upsert,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


async def test_sweep_by_another_gateway_is_noticed(
    store: AerospikeStore, other: AerospikeStore
) -> None:
    await hit(other, b"a")
    ticket = await begin(store, b"a")
    await hit(other, b"a")
    await tend_late(other)
    beside = await begin(other, b"a")
    await other.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
    await store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(store, b"a") is None


async def test_unregistered_write_invalidates_and_spoils(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    beside = await begin(store, b"a")
    await store.end(Ticket(touched(b"a"), None), Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(store, b"a") is None
    await store.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None


async def test_unregistered_namespace_write_invalidates(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    await store.end(Ticket(EVERYTHING, None), Outcome.APPLIED, [])
    assert await hit(store, b"a") is None


async def test_row_that_begin_was_not_told_of_is_not_cached(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    ticket = await begin(store, b"a")
    await store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}, b={"n": 1}))
    assert await hit(store, b"a") is None
    assert await hit(store, b"b") is None


async def test_row_that_the_end_does_not_name_is_taken_out(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    ticket = await begin(store, b"a", b"b")
    await store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(store, b"a") == {"n": 1}
    assert await hit(store, b"b") is None


async def test_row_named_twice_is_taken_out(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    ticket = await begin(store, b"a")
    await store.end(ticket, Outcome.APPLIED, [*upsert(a={"n": 1}), *upsert(a={"n": 2})])
    assert await hit(store, b"a") is None


async def test_write_of_no_rows_does_no_harm(store: AerospikeStore) -> None:
    ticket = await begin(store)
    await store.end(ticket, Outcome.APPLIED, [])
    await store.end(await begin(store), Outcome.UNKNOWN, [])


async def test_rows_survive_a_restart_of_the_gateway(hosts: list[Host], set_prefix: str) -> None:
    async with opened(hosts, set_prefix) as before:
        await write(before, upsert(a={"n": 1}))
    async with opened(hosts, set_prefix) as after:
        assert await hit(after, b"a") == {"n": 1}


async def test_parts_are_iterated_once(store: AerospikeStore) -> None:
    parts: Iterator[Part] = iter([*upsert(a={"n": 1}), *upsert(b={"n": 1})])
    ticket = await begin(store, b"a", b"b")
    await store.end(ticket, Outcome.APPLIED, parts)
    assert await hit(store, b"b") == {"n": 1}


async def test_end_whose_caller_is_cancelled_is_finished(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    ticket = await begin(store, b"a")
    ending = asyncio.create_task(store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1})))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await asyncio.gather(*store._ends)
    assert await hit(store, b"a") == {"n": 1}


async def test_writes_beside_each_other_are_all_cached(store: AerospikeStore) -> None:
    names = [b"r%d" % n for n in range(200)]
    await asyncio.gather(*(write(store, [part(Kind.UPSERT, {name: b'{"n":1}'})]) for name in names))
    found = await store.read(NS, names)
    assert found.rows.count(b'{"n":1}') > 150


def test_prefix_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        store_of([("127.0.0.1", 1)], "p" * 60)
