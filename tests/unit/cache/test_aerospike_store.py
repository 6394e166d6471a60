"""The Aerospike store's promises, one gateway and several, one step at a time."""

import json
from collections.abc import AsyncIterator, Iterator

import aerospike
import pytest

from hevfast.batch.mirror import digest_of
from hevfast.cache import aerospike_client, aerospike_store
from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.rows import Kind, Outcome
from tests.fakes.aerospike import FakeAerospike
from tests.unit.cache.aerospike_stage import (
    EVERYTHING,
    NS,
    REAL,
    Host,
    begin,
    come_of_age,
    encoded,
    fetch,
    fresh_prefix,
    hit,
    hosts_of,
    opened,
    part,
    patch,
    tend_late,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a slow machine: what happens when time is up is tested with faults."""
    monkeypatch.setattr(aerospike_store, "_DEADLINE_S", 30.0)
    for name in ("_CALL_MS", "_BATCH_MS", "_BULK_MS"):
        monkeypatch.setattr(aerospike_client, name, 10_000)


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    if REAL:
        yield hosts_of(None)
        return
    with FakeAerospike() as node:
        yield node.hosts


@pytest.fixture
def set_prefix() -> str:
    return fresh_prefix()


@pytest.fixture
async def store(hosts: list[Host], set_prefix: str) -> AsyncIterator[AerospikeStore]:
    async with opened(hosts, set_prefix) as first:
        yield first


@pytest.fixture
async def other(hosts: list[Host], set_prefix: str) -> AsyncIterator[AerospikeStore]:
    """Another gateway's store, on the same cluster."""
    async with opened(hosts, set_prefix) as second:
        yield second


async def test_row_of_an_applied_write_is_a_hit(
    store: AerospikeStore, other: AerospikeStore
) -> None:
    await write(store, upsert(a={"n": 1}))
    assert await hit(store, b"a") == {"n": 1}
    assert await hit(other, b"a") == {"n": 1}
    assert await hit(store, b"b") is None


async def test_rejected_write_never_shows(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    ticket = await begin(store, b"a")
    await store.end(ticket, Outcome.REJECTED, upsert(a={"n": 2}))
    assert await hit(store, b"a") == {"n": 1}


async def test_namespaces_do_not_mix(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    assert (await store.read(b"other", [b"a"])).rows == [None]


async def test_every_id_and_every_namespace_has_a_record_of_its_own(store: AerospikeStore) -> None:
    """Also if the hashes have zeros in them, which some spellings of a key end at."""
    places = [store._layout.place(b"%d" % n) for n in range(1000)]
    keys = [
        place.document(bytes([0, 0, low // 256, low % 256])) for place in places for low in (0, 1)
    ]
    keys += [place.registry for place in places]
    keys += [place.list_of(bytes([0, low])) for place in places[:1] for low in range(256)]
    digests = {bytes(aerospike.calc_digest(*key)) for key in keys}
    assert len(digests) == len(keys)


async def test_long_name_of_a_namespace_is_no_matter(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    found = await store.read(b"n" * 128, [b"a"])
    assert found.rows == [None]
    assert not found.broken


async def test_deleted_row_is_gone(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    await write(store, [part(Kind.DELETE, {b"a": None})])
    assert await hit(store, b"a") is None


async def test_row_that_cannot_be_cached_takes_the_older_one_out(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    await write(store, [part(Kind.UPSERT, {b"a": None})])
    assert await hit(store, b"a") is None


async def test_row_that_the_server_finds_too_large_takes_the_older_one_out(
    store: AerospikeStore,
) -> None:
    await write(store, upsert(a={"n": 1}, b={"n": 1}))
    huge = b'{"t":"%s"}' % (b"x" * 9 * 1024 * 1024)
    await write(store, [part(Kind.UPSERT, {b"a": huge, b"b": b'{"n":2}'})])
    assert await hit(store, b"a") is None
    assert await hit(store, b"b") == {"n": 2}


async def test_large_rows_are_cached(store: AerospikeStore) -> None:
    rows = {b"r%d" % n: b'{"t":"%s"}' % (b"x" * 500_000) for n in range(20)}
    await write(store, [part(Kind.UPSERT, rows)])
    assert (await store.read(NS, list(rows))).rows == list(rows.values())


async def test_ten_thousand_rows_are_cached(store: AerospikeStore) -> None:
    rows: dict[bytes, bytes | None] = {b"x%d" % n: b'{"n":%d}' % n for n in range(10_000)}
    each = list(rows.items())
    parts = [part(Kind.UPSERT, dict(each[at : at + 1000])) for at in range(0, len(each), 1000)]
    await write(store, parts)
    found = await store.read(NS, list(rows))
    assert found.rows == list(rows.values())
    await write(store, [part(Kind.DELETE, dict.fromkeys(rows))])
    assert (await store.read(NS, list(rows))).rows == [None] * 10_000


async def test_patch_merges_and_null_clears(store: AerospikeStore) -> None:
    await come_of_age(store)
    await write(store, upsert(a={"n": 1, "m": 2, "k": 3}))
    await write(store, patch(a={"m": 5, "k": None}))
    assert await hit(store, b"a") == {"n": 1, "m": 5}


async def test_patch_of_an_uncached_row_caches_nothing(store: AerospikeStore) -> None:
    await come_of_age(store)
    await write(store, patch(a={"n": 1}))
    assert await hit(store, b"a") is None


async def test_patch_in_a_young_registry_caches_nothing(store: AerospikeStore) -> None:
    """A write that began under a lost one may be in flight, and no token tells of it."""
    await write(store, upsert(a={"n": 1}))
    await write(store, patch(a={"m": 1}))
    assert await hit(store, b"a") is None


async def test_coming_of_age_voids_what_was_cached_before(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 1}))
    await tend_late(store)
    assert await hit(store, b"a") is None


async def test_many_patches_merge(store: AerospikeStore) -> None:
    await come_of_age(store)
    names = [b"r%d" % n for n in range(500)]
    await write(store, [part(Kind.UPSERT, dict.fromkeys(names, b'{"n":1}'))])
    await write(store, [part(Kind.PATCH, dict.fromkeys(names, b'{"m":2}'))])
    found = await store.read(NS, names)
    assert [json.loads(row or b"null") for row in found.rows] == [{"n": 1, "m": 2}] * 500


async def test_overlapping_writes_cache_neither(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    first = await begin(store, b"a", b"b")
    second = await begin(store, b"a")
    await store.end(second, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None
    await store.end(first, Outcome.APPLIED, upsert(a={"n": 1}, b={"n": 1}))
    assert await hit(store, b"a") is None
    assert await hit(store, b"b") == {"n": 1}


async def test_overlap_of_gateways_is_seen(store: AerospikeStore, other: AerospikeStore) -> None:
    first = await begin(store, b"a")
    second = await begin(other, b"a")
    await store.end(first, Outcome.APPLIED, upsert(a={"n": 1}))
    await other.end(second, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None
    assert await hit(other, b"a") is None


@pytest.mark.parametrize("rows", [2, 17, 300])
async def test_overlap_of_large_and_small_writes_is_seen(
    store: AerospikeStore, other: AerospikeStore, rows: int
) -> None:
    names = [b"r%d" % n for n in range(rows)]
    large = await begin(store, *names)
    small = await begin(other, names[-1])
    await other.end(small, Outcome.APPLIED, [part(Kind.UPSERT, {names[-1]: b'{"n":2}'})])
    await store.end(large, Outcome.APPLIED, [part(Kind.UPSERT, dict.fromkeys(names, b'{"n":1}'))])
    assert await hit(store, names[-1]) is None
    apart = next(name for name in names if _bucket(name) != _bucket(names[-1]))
    assert await hit(store, apart) == {"n": 1}


def _bucket(name: bytes) -> int:
    return int.from_bytes(digest_of(name), "big") % 1024


async def test_overlap_of_large_writes_is_seen(store: AerospikeStore) -> None:
    first = await begin(store, *[b"r%d" % n for n in range(100)])
    second = await begin(store, *[b"r%d" % n for n in range(99, 200)])
    for ticket, names in ((second, range(99, 200)), (first, range(100))):
        rows = {b"r%d" % n: b'{"n":1}' for n in names}
        await store.end(ticket, Outcome.APPLIED, [part(Kind.UPSERT, rows)])
    assert await hit(store, b"r99") is None
    assert await hit(store, b"r98") == {"n": 1}
    assert await hit(store, b"r100") == {"n": 1}


async def test_many_large_writes_that_do_not_overlap_are_cached(store: AerospikeStore) -> None:
    """Their digest lists are looked at, not just that they are there."""
    batches = [[b"r%d-%d" % (batch, n) for n in range(80)] for batch in range(4)]
    tickets = [await begin(store, *names) for names in batches]
    for ticket, names in zip(tickets, batches, strict=True):
        rows = dict.fromkeys(names, b'{"n":1}')
        await store.end(ticket, Outcome.APPLIED, [part(Kind.UPSERT, rows)])
    for names in batches:
        assert (await store.read(NS, names)).rows == [b'{"n":1}'] * 80


async def test_namespace_write_voids_all_and_spoils_what_is_in_flight(
    store: AerospikeStore, other: AerospikeStore
) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    elder = await begin(store, b"a")
    whole = await other.begin(EVERYTHING)
    younger = await begin(store, b"b")
    await store.end(younger, Outcome.APPLIED, upsert(b={"n": 1}))
    await other.end(whole, Outcome.APPLIED, [])
    await store.end(elder, Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(store, b"a") is None
    assert await hit(store, b"b") is None
    await write(store, upsert(b={"n": 2}))
    assert await hit(store, b"b") == {"n": 2}


async def test_fetch_fills_what_it_missed(store: AerospikeStore, other: AerospikeStore) -> None:
    await fetch(store, b"a", {"n": 1})
    assert await hit(other, b"a") == {"n": 1}


async def test_fetch_that_read_before_a_write_does_not_fill(store: AerospikeStore) -> None:
    lease = (await store.read(NS, [b"a"])).leases[0]
    assert lease is not None
    await write(store, upsert(a={"n": 2}))
    await store.fill(lease, encoded({"n": 1}))
    assert await hit(store, b"a") == {"n": 2}
    lease = (await store.read(NS, [b"b"])).leases[0]
    assert lease is not None
    await write(store, [part(Kind.DELETE, {b"b": None})])
    await store.fill(lease, encoded({"n": 1}))
    assert await hit(store, b"b") is None


async def test_fetch_that_read_before_a_namespace_write_does_not_fill(
    store: AerospikeStore,
) -> None:
    lease = (await store.read(NS, [b"a"])).leases[0]
    assert lease is not None
    await store.end(await store.begin(EVERYTHING), Outcome.APPLIED, [])
    await store.fill(lease, encoded({"n": 1}))
    assert await hit(store, b"a") is None


async def test_one_fetch_at_a_time_may_fill(store: AerospikeStore, other: AerospikeStore) -> None:
    elder = (await store.read(NS, [b"a"])).leases[0]
    assert elder is not None
    assert (await other.read(NS, [b"a"])).leases == [None]
    await store.fill(elder, encoded({"n": 1}))
    assert await hit(store, b"a") == {"n": 1}


async def test_void_row_is_leased_and_filled_anew(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    await store.end(await store.begin(EVERYTHING), Outcome.APPLIED, [])
    await fetch(store, b"a", {"n": 1})
    assert await hit(store, b"a") == {"n": 1}


async def test_one_id_named_twice_in_a_fetch(store: AerospikeStore) -> None:
    found = await store.read(NS, [b"a", b"a"])
    assert found.rows == [None, None]
    assert found.leases.count(None) == 1
