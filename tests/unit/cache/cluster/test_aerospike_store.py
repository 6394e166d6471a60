"""The Aerospike store's promises, one gateway and several, one step at a time."""

import json

import aerospike
import pytest

from hevfast.batch.mirror import digest_of
from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.rows import Kind, Outcome
from tests.unit.cache.aerospike_stage import (
    EVERYTHING,
    NS,
    begin,
    come_of_age,
    fetch,
    hit,
    part,
    patch,
    tend_late,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio


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


async def test_many_large_writes_that_do_not_overlap_are_cached(store: AerospikeStore) -> None:
    """Their digest lists are looked at, not just that they are there."""
    batches = [[b"r%d-%d" % (batch, n) for n in range(80)] for batch in range(4)]
    tickets = [await begin(store, *names) for names in batches]
    for ticket, names in zip(tickets, batches, strict=True):
        rows = dict.fromkeys(names, b'{"n":1}')
        await store.end(ticket, Outcome.APPLIED, [part(Kind.UPSERT, rows)])
    for names in batches:
        assert (await store.read(NS, names)).rows == [b'{"n":1}'] * 80


async def test_void_row_is_leased_and_filled_anew(store: AerospikeStore) -> None:
    await write(store, upsert(a={"n": 0}))
    await store.end(await store.begin(EVERYTHING), Outcome.APPLIED, [])
    await fetch(store, b"a", {"n": 1})
    assert await hit(store, b"a") == {"n": 1}


async def test_one_id_named_twice_in_a_fetch(store: AerospikeStore) -> None:
    found = await store.read(NS, [b"a", b"a"])
    assert found.rows == [None, None]
    assert found.leases.count(None) == 1
