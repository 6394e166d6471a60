"""The LMDB store's promises, one worker and several, one step at a time."""

import random
from pathlib import Path

import lmdb
import pytest

from hevfast.batch.mirror import digest_of
from hevfast.cache import transactional as rules
from hevfast.cache.lmdb_file import View
from hevfast.cache.lmdb_step import Step, namespace_key, tokens_begun
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Part, Ticket
from tests.unit.cache.writes import (
    EVERYTHING,
    NS,
    begin,
    encoded,
    fetch,
    hit,
    part,
    patch,
    store_in,
    touched,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio


async def test_row_of_an_applied_write_is_a_hit(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 1}))
    assert await hit(store, b"a") == {"n": 1}
    assert await hit(store, b"b") is None


async def test_rejected_write_never_shows(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 1}))
    ticket = await begin(store, b"a")
    await store.end(ticket, Outcome.REJECTED, upsert(a={"n": 2}))
    assert await hit(store, b"a") == {"n": 1}


async def test_namespaces_do_not_mix(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 1}))
    assert (await store.read(b"other", [b"a"])).rows == [None]


async def test_deleted_row_is_gone(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 1}))
    await write(store, [part(Kind.DELETE, {b"a": None})])
    assert await hit(store, b"a") is None


async def test_row_that_cannot_be_cached_takes_the_older_one_out(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 1}))
    await write(store, [part(Kind.UPSERT, {b"a": None})])
    assert await hit(store, b"a") is None


async def test_patch_merges_and_null_clears(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 1, "m": 2, "k": 3}))
    await write(store, patch(a={"m": 5, "k": None}))
    assert await hit(store, b"a") == {"n": 1, "m": 5}


async def test_patch_of_an_uncached_row_caches_nothing(store: LmdbStore) -> None:
    await write(store, patch(a={"n": 1}))
    assert await hit(store, b"a") is None


async def test_overlapping_writes_cache_neither(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    first = await begin(store, b"a", b"b")
    second = await begin(store, b"a")
    await store.end(second, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None
    await store.end(first, Outcome.APPLIED, upsert(a={"n": 1}, b={"n": 1}))
    assert await hit(store, b"a") is None
    assert await hit(store, b"b") == {"n": 1}


async def test_overlap_of_workers_is_seen(store: LmdbStore, other: LmdbStore) -> None:
    first = await begin(store, b"a")
    second = await begin(other, b"a")
    await store.end(first, Outcome.APPLIED, upsert(a={"n": 1}))
    await other.end(second, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None


@pytest.mark.parametrize("rows", [2, 17, 300])
async def test_overlap_of_large_and_small_writes_is_seen(store: LmdbStore, rows: int) -> None:
    names = [b"r%d" % n for n in range(rows)]
    large = await begin(store, *names)
    small = await begin(store, names[-1])
    await store.end(small, Outcome.APPLIED, [part(Kind.UPSERT, {names[-1]: b'{"n":2}'})])
    await store.end(large, Outcome.APPLIED, [part(Kind.UPSERT, dict.fromkeys(names, b'{"n":1}'))])
    assert await hit(store, names[-1]) is None
    assert await hit(store, names[0]) == {"n": 1}


async def test_overlap_of_large_writes_is_seen(store: LmdbStore) -> None:
    first = await begin(store, *[b"r%d" % n for n in range(100)])
    second = await begin(store, *[b"r%d" % n for n in range(99, 200)])
    for ticket, names in ((second, range(99, 200)), (first, range(100))):
        rows = {b"r%d" % n: b'{"n":1}' for n in names}
        await store.end(ticket, Outcome.APPLIED, [part(Kind.UPSERT, rows)])
    assert await hit(store, b"r99") is None
    assert await hit(store, b"r98") == {"n": 1}
    assert await hit(store, b"r100") == {"n": 1}


async def test_namespace_write_voids_all_and_spoils_what_is_in_flight(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    elder = await begin(store, b"a")
    whole = await store.begin(EVERYTHING)
    younger = await begin(store, b"b")
    await store.end(younger, Outcome.APPLIED, upsert(b={"n": 1}))
    await store.end(whole, Outcome.APPLIED, [])
    await store.end(elder, Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(store, b"a") is None
    assert await hit(store, b"b") is None
    await write(store, upsert(b={"n": 2}))
    assert await hit(store, b"b") == {"n": 2}


async def test_fetch_fills_what_it_missed(store: LmdbStore) -> None:
    await fetch(store, b"a", {"n": 1})
    assert await hit(store, b"a") == {"n": 1}


async def test_fetch_that_read_before_a_write_does_not_fill(store: LmdbStore) -> None:
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


async def test_fetch_that_read_before_a_namespace_write_does_not_fill(store: LmdbStore) -> None:
    lease = (await store.read(NS, [b"a"])).leases[0]
    assert lease is not None
    await store.end(await store.begin(EVERYTHING), Outcome.APPLIED, [])
    await store.fill(lease, encoded({"n": 1}))
    assert await hit(store, b"a") is None


async def test_one_fetch_at_a_time_may_fill(store: LmdbStore) -> None:
    elder = (await store.read(NS, [b"a"])).leases[0]
    assert elder is not None
    assert (await store.read(NS, [b"a"])).leases == [None]
    await store.fill(elder, encoded({"n": 1}))
    assert await hit(store, b"a") == {"n": 1}


async def test_unknown_outcome_keeps_others_from_caching_and_then_invalidates(
    tmp_path: Path,
) -> None:
    store = store_in(tmp_path, doubt_s=0.05)
    await store.open()
    try:
        await write(store, upsert(a={"n": 0}))
        lost = await begin(store, b"a")
        await store.end(lost, Outcome.UNKNOWN, upsert(a={"n": 1}))
        beside = await begin(store, b"a")
        await store.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
        found = await store.read(NS, [b"a"])
        lease = found.leases[0]
        assert found.rows == [None]
        assert lease is not None
        (doubt,) = [task for task in store._tasks if "doubt" in repr(task.get_coro())]
        await doubt
        await store.fill(lease, encoded({"n": 2}))
        assert await hit(store, b"a") is None
    finally:
        await store.close()


async def test_no_write_leaves_its_token_behind(store: LmdbStore) -> None:
    for outcome in (Outcome.APPLIED, Outcome.REJECTED):
        for ids in ((), (b"a",), tuple(b"r%d" % n for n in range(40))):
            rows: dict[bytes, bytes | None] = dict.fromkeys(ids, b"{}")
            parts = [part(Kind.UPSERT, rows)] if rows else []
            await store.end(await begin(store, *ids), outcome, parts)
        await store.end(await store.begin(EVERYTHING), outcome, [])
    assert await store._do(tokens_begun) == {}


async def test_writes_in_doubt_are_bounded(
    store: LmdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more voids what is cached instead, and keeps patches from merging until it matures."""
    monkeypatch.setattr("hevfast.cache.lmdb_store._DOUBTS_MAX", 1)
    await write(store, upsert(b={"n": 1}))
    await store.end(await begin(store, b"a"), Outcome.UNKNOWN, upsert(a={"n": 1}))
    assert await hit(store, b"b") == {"n": 1}
    await store.end(await begin(store, b"c"), Outcome.UNKNOWN, upsert(c={"n": 1}))
    assert await hit(store, b"b") is None
    assert not (await begin(store, b"b")).may_merge


async def test_write_whose_token_was_swept_invalidates(store: LmdbStore) -> None:
    ticket = await begin(store, b"a")
    store._lapse_ms = -1
    await store._do_quietly(store._sweep)
    beside = await begin(store, b"a")
    await store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}))
    await store.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None


async def test_sweep_takes_out_what_a_dead_writer_touched(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    await begin(store, b"a")
    store._lapse_ms = -1
    await store._do_quietly(store._sweep)
    assert await hit(store, b"a") is None
    assert await hit(store, b"b") == {"n": 0}


async def test_unregistered_write_invalidates_and_spoils(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 0}))
    beside = await begin(store, b"a")
    await store.end(Ticket(touched(b"a"), None), Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(store, b"a") is None
    await store.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(store, b"a") is None


async def test_store_that_cannot_invalidate_voids_everything(store: LmdbStore) -> None:
    await write(store, upsert(a={"n": 0}, b={"n": 0}))
    in_flight = await begin(store, b"b")
    writer, store._writer = store._writer, _Refusing()  # type: ignore[assignment]
    await store.end(Ticket(touched(b"a"), None), Outcome.APPLIED, upsert(a={"n": 1}))
    store._writer = writer
    assert await hit(store, b"a") is None
    # A write that began before the store was voided cannot be told from the one that voided it.
    await store.end(in_flight, Outcome.APPLIED, upsert(b={"n": 1}))
    assert await hit(store, b"b") is None
    await write(store, upsert(a={"n": 2}))
    assert await hit(store, b"a") == {"n": 2}


class _Refusing:
    def submit(self, _: object, __: float) -> None:
        raise lmdb.MapFullError


async def test_parts_are_iterated_lazily(store: LmdbStore) -> None:
    begun = 0

    class Parts:
        def __iter__(self) -> "Parts":
            return self

        def __next__(self) -> Part:
            nonlocal begun
            if begun == 3:
                raise StopIteration
            begun += 1
            return part(Kind.UPSERT, {b"r%d" % begun: b"{}"})

    ticket = await begin(store, b"r1", b"r2", b"r3")
    await store.end(ticket, Outcome.APPLIED, Parts())
    assert await hit(store, b"r3") == {}


async def test_write_that_cannot_be_announced_keeps_patches_from_merging(store: LmdbStore) -> None:
    """Upstream may apply it between another's patch and that one's end, unseen by both."""
    await write(store, upsert(a={"n": 0, "m": 0}))
    writer, store._writer = store._writer, _Refusing()  # type: ignore[assignment]
    unannounced = await store.begin(touched(b"a"))
    store._writer = writer
    assert unannounced.token is None
    await fetch(store, b"a", {"n": 0, "m": 0})
    await write(store, patch(a={"m": 1}))
    assert await hit(store, b"a") is None
    await store.end(unannounced, Outcome.APPLIED, upsert(a={"n": 2}))
    store._lapse_ms = -1
    await store._do_quietly(store._sweep)
    await write(store, upsert(a={"n": 3}))
    await write(store, patch(a={"m": 4}))
    assert await hit(store, b"a") == {"n": 3, "m": 4}


@pytest.mark.parametrize("seed", range(30))
async def test_bulk_upserts_do_what_the_rules_do(store: LmdbStore, seed: int) -> None:
    rng = random.Random(seed)
    names = [b"r%d" % n for n in range(rng.randrange(1, 60))]
    spoiled = {int.from_bytes(digest_of(name), "big") for name in names if rng.random() < 0.3}
    rows = {name: None if rng.random() < 0.2 else b'{"n":%d}' % seed for name in names}
    token, held, place = b"t" * 16, None, namespace_key(NS)
    contents = []
    for bulk in (True, False):
        await store._do(lambda view: Step(view, place).clear())
        await write(store, [part(Kind.UPSERT, dict.fromkeys(names, b'{"old":1}'))])
        fence = store._page.read().fence

        def deed(view: View, bulk: bool = bulk, fence: int = fence) -> list[object]:
            step = Step(view, place)
            step.insert(token, held, frozenset(spoiled))
            if bulk:
                step.mirror_upserts(part(Kind.UPSERT, rows), frozenset(spoiled), fence)
            else:
                each = [
                    rules.Row(Kind.UPSERT, int.from_bytes(digest_of(name), "big"), name, row)
                    for name, row in rows.items()
                ]
                rules.mirror(step, token, each, fence)
            step.drop(token)
            return [step.get(int.from_bytes(digest_of(name), "big")) for name in names]

        contents.append(await store._do(deed))
    assert contents[0] == contents[1]
    assert contents[0] is not None
