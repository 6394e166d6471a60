"""A gateway that refuses what it cannot announce leaves nothing stale to the others, ever."""

from collections.abc import AsyncIterator

import pytest

from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.course import Mode
from hevfast.cache.rows import Outcome
from tests.fakes.aerospike import FakeAerospike
from tests.unit.cache.aerospike_outages import OUTAGES, heal, in_time
from tests.unit.cache.aerospike_stage import (
    EVERYTHING,
    NS,
    begin,
    come_of_age,
    hit,
    opened,
    touched,
    until,
    until_answering,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio

# Outages in which nothing can be announced.
AWAY = ("killed", "frozen", "busy", "overloaded", "forming", "silent", "closing", "closing late")


@pytest.fixture
async def store(node: FakeAerospike, set_prefix: str) -> AsyncIterator[AerospikeStore]:
    async with opened(node.hosts, set_prefix, mode=Mode.REFUSE) as refusing:
        yield refusing


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("kind", ["upsert", "everything"])
async def test_outage_from_begin_on(
    node: FakeAerospike, store: AerospikeStore, other: AerospikeStore, outage: str, kind: str
) -> None:
    await come_of_age(store)
    await write(store, upsert(a={"n": 0}))
    OUTAGES[outage](node)
    ticket = await store.begin(EVERYTHING if kind == "everything" else touched(b"a"))
    assert ticket.refused == (outage in AWAY)
    kept = False
    if not ticket.refused:
        parts = [] if kind == "everything" else upsert(a={"n": 1})
        kept = await store.end(ticket, Outcome.APPLIED, parts)
    heal(node, outage)
    # At once, whatever the gateway itself has left to do.
    await until_answering(other)
    allowed = [None] if ticket.refused or not kept else [None, {"n": 1}]
    if ticket.refused or not kept:
        # Not sent, or not acknowledged.
        allowed.append({"n": 0})
    assert await hit(other, b"a") in allowed


@pytest.mark.parametrize("outage", OUTAGES)
async def test_outage_between_begin_and_end(
    node: FakeAerospike, store: AerospikeStore, other: AerospikeStore, outage: str
) -> None:
    await come_of_age(store)
    await write(store, upsert(a={"n": 0}))
    ticket = await begin(store, b"a")
    OUTAGES[outage](node)
    kept = await in_time(store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1})))
    assert kept == (outage not in AWAY)
    heal(node, outage)
    await until_answering(other)
    if kept:
        assert await hit(other, b"a") in (None, {"n": 1})
    await until(lambda: NS not in store._driver.debts)
    assert await hit(other, b"a") in (None, {"n": 1})


async def test_refused_writes_leave_no_tokens_that_keep_others_from_caching(
    node: FakeAerospike, store: AerospikeStore, other: AerospikeStore
) -> None:
    await come_of_age(store)
    # Both begins are done, and nobody hears of it.
    node.drop_reply(times=None)
    assert (await store.begin(EVERYTHING)).refused
    node.faults.clear()
    await until(lambda: NS not in store._driver.debts)
    await until_answering(other)
    await write(other, upsert(a={"n": 1}))
    assert await hit(other, b"a") == {"n": 1}
