"""What fetches and whole gateways make of a cluster that fails, or loses what it held."""

import asyncio
import time

import pytest

from hevfast.cache import aerospike_store
from hevfast.cache.aerospike_client import AerospikeCluster, StoreLostError, do_batch
from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Found, Lease, Ticket
from tests.fakes.aerospike import FakeAerospike, Namespace
from tests.unit.cache.aerospike_outages import (
    LATE_S,
    OUTAGES,
    heal,
    in_time,
    never_older,
    on_documents,
    puts,
    set_of,
    written,
)
from tests.unit.cache.aerospike_stage import (
    DOCUMENTS,
    NS,
    REGISTRY,
    begin,
    come_of_age,
    encoded,
    fetch,
    hit,
    opened,
    part,
    store_of,
    touched,
    until,
    until_answering,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio


# Fetches…


@pytest.mark.parametrize("outage", OUTAGES)
async def test_outage_of_a_read(node: FakeAerospike, store: AerospikeStore, outage: str) -> None:
    await write(store, upsert(a={"n": 0}))
    OUTAGES[outage](node)
    found = await in_time(store.read(NS, [b"a", b"b"]))
    assert isinstance(found, Found)
    assert found.rows in ([encoded({"n": 0}), None], [None, None])
    heal(node, outage)
    await never_older(store, {"n": 0})


@pytest.mark.parametrize("outage", OUTAGES)
async def test_outage_of_a_fill(node: FakeAerospike, store: AerospikeStore, outage: str) -> None:
    lease = (await store.read(NS, [b"a"])).leases[0]
    assert isinstance(lease, Lease)
    OUTAGES[outage](node)
    await in_time(store.fill(lease, encoded({"n": 1})))
    heal(node, outage)
    await never_older(store, {"n": 1})


async def test_fill_that_lands_after_a_delete_fills_nothing(
    node: FakeAerospike, store: AerospikeStore, other: AerospikeStore
) -> None:
    lease = (await store.read(NS, [b"a"])).leases[0]
    assert lease is not None
    hold = node.hold(written(on_documents))
    await in_time(store.fill(lease, encoded({"n": 0})))
    await write(other, [part(Kind.DELETE, {b"a": None})])
    before = puts(node)
    hold.release()
    await until(lambda: puts(node) > before)
    assert await hit(other, b"a") is None


async def test_read_without_room_for_leases_still_gives_hits(
    node: FakeAerospike, store: AerospikeStore
) -> None:
    await write(store, upsert(a={"n": 1}))
    node.fill(DOCUMENTS)
    found = await store.read(NS, [b"a", b"b"])
    assert found.rows == [encoded({"n": 1}), None]
    assert found.leases == [None, None]
    assert not found.broken


async def test_evicted_record_is_a_miss(node: FakeAerospike, store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    node.evict(DOCUMENTS, 10)
    node.evict(REGISTRY, 10)
    await fetch(store, b"a", {"n": 1})
    assert await hit(store, b"a") == {"n": 1}


async def test_lost_registry_voids_all_records(node: FakeAerospike, store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    node.lose_set(REGISTRY, set_of(node))
    found = await store.read(NS, [b"a"])
    assert found.rows == [None]
    assert found.leases[0] is not None
    await store.fill(found.leases[0], encoded({"n": 1}))
    assert await hit(store, b"a") == {"n": 1}


@pytest.mark.parametrize("registry_namespace", [DOCUMENTS, REGISTRY])
async def test_registry_never_expires_and_documents_do(
    node: FakeAerospike, set_prefix: str, registry_namespace: str
) -> None:
    async with opened(node.hosts, set_prefix, registry_namespace=registry_namespace) as store:
        await come_of_age(store)
        await write(store, upsert(a={"n": 1}))
        await fetch(store, b"b", {"n": 1})
        node.advance(3000)
        assert await hit(store, b"a") == {"n": 1}
        assert await hit(store, b"b") == {"n": 1}
        node.advance(5000)
        assert await hit(store, b"a") is None
        assert await hit(store, b"b") is None
        # It is the same one: a new one would be young.
        assert (await begin(store, b"a")).may_merge


async def test_lease_of_a_fetch_that_never_came_back_ends(
    node: FakeAerospike, store: AerospikeStore
) -> None:
    assert (await store.read(NS, [b"a"])).leases != [None]
    assert (await store.read(NS, [b"a"])).leases == [None]
    node.advance(12)
    assert (await store.read(NS, [b"a"])).leases != [None]


# Life…


async def test_server_that_lets_nothing_expire_is_told_at_once(
    set_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    spaces = [Namespace(DOCUMENTS, default_ttl_s=0, nsup_period_s=0), Namespace(REGISTRY)]
    with FakeAerospike(spaces) as node:
        async with opened(node.hosts, set_prefix) as store:
            assert "keeps no documents that expire" in caplog.text
            await write(store, upsert(a={"n": 1}))
            assert await hit(store, b"a") is None


async def test_start_while_the_cluster_is_down(node: FakeAerospike, set_prefix: str) -> None:
    node.kill()
    async with opened(node.hosts, set_prefix) as store:
        assert (await in_time(store.read(NS, [b"a"]))) is not None
        ticket = await in_time(store.begin(touched(b"a")))
        assert isinstance(ticket, Ticket)
        assert ticket.token is None
        await in_time(store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1})))
        node.restart()
        await never_older(store)


async def test_wrong_cluster_is_not_used(node: FakeAerospike, set_prefix: str) -> None:
    store = store_of(node.hosts, set_prefix)
    store._cluster = AerospikeCluster(node.hosts, "another")
    store._driver._cluster = store._cluster
    await store.open()
    assert (await store.read(NS, [b"a"])).broken
    await store.close()


async def test_what_an_outage_left_unsaid_is_said_before_hits_are_served(
    node: FakeAerospike, store: AerospikeStore, other: AerospikeStore
) -> None:
    await write(store, upsert(a={"n": 0}))
    node.freeze()
    ticket = await store.begin(touched(b"a"))
    await store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}))
    assert NS in store._driver.debts
    node.thaw()
    await until_answering(store)
    assert NS not in store._driver.debts
    assert await hit(store, b"a") is None
    await until_answering(other)
    assert await hit(other, b"a") is None


async def test_debts_are_paid_without_a_read(node: FakeAerospike, store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    node.freeze()
    for _ in range(3):
        ticket = await store.begin(touched(b"a"))
        await store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}))
    node.thaw()
    await until(lambda: not len(store._driver.debts))
    await until_answering(store)
    assert await hit(store, b"a") is None


async def test_store_that_fails_is_left_alone(node: FakeAerospike, store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    node.freeze()
    await until_open(store)
    begun_s = time.monotonic()
    for _ in range(100):
        assert (await store.read(NS, [b"a"])).broken
    assert time.monotonic() - begun_s < LATE_S
    node.thaw()


async def until_open(store: AerospikeStore) -> None:
    for _ in range(10):
        await store.read(NS, [b"a"])
        if store._caller.breaker.is_open:
            return
    raise AssertionError("the breaker stayed closed")


async def test_cancelled_call_does_not_keep_the_breaker_open(
    node: FakeAerospike, store: AerospikeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.freeze()
    await until_open(store)
    monkeypatch.setattr("hevfast.cache.breaker._OPEN_S", 0.0)
    probing = asyncio.create_task(store.read(NS, [b"a"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probing.cancel()
    await asyncio.gather(probing, return_exceptions=True)
    node.thaw()
    await until_answering(store)


async def test_loop_goes_on_while_the_cluster_is_frozen(
    node: FakeAerospike, store: AerospikeStore
) -> None:
    node.freeze()
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    turning = asyncio.create_task(turn())
    await store.read(NS, [b"a"])
    turning.cancel()
    assert turns > 10
    node.thaw()


async def test_writes_beyond_the_bound_are_refused_and_not_queued(
    store: AerospikeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hevfast.cache.aerospike_client._CALLS_MAX", 2)
    tickets = await asyncio.gather(*(store.begin(touched(b"r%d" % n)) for n in range(20)))
    assert sum(ticket.token is not None for ticket in tickets) >= 2
    monkeypatch.undo()
    for n, ticket in enumerate(tickets):
        await store.end(ticket, Outcome.APPLIED, [part(Kind.UPSERT, {b"r%d" % n: b"{}"})])


def test_batch_of_a_client_that_dropped_the_node_is_not_taken_for_done() -> None:
    class Client:
        def batch_write(self, batch: object, policy: object) -> None:
            batch.result = 1  # type: ignore[attr-defined]

    with pytest.raises(StoreLostError):
        do_batch(Client(), [])  # type: ignore[arg-type]


async def test_deadline_grows_with_the_rows() -> None:
    few, many = aerospike_store._deadline(1), aerospike_store._deadline(10_000)
    assert 0.4 < many - few < 0.6
