"""What every store promises, whatever it is made of: one step at a time, one worker and several."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hevfast.cache.rows import Kind, Outcome
from tests.unit.cache.aerospike_stage import Host
from tests.unit.cache.stages import Stage, aerospike_stage, lmdb_stage, memory_stage
from tests.unit.cache.writes import (
    EVERYTHING,
    NS,
    begin,
    encoded,
    fetch,
    hit,
    part,
    patch,
    upsert,
    write,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("patience")]


@pytest.fixture(params=["memory", "lmdb", "aerospike"])
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, hosts: list[Host]
) -> AsyncIterator[Stage]:
    stages = {
        "memory": memory_stage,
        "lmdb": lambda: lmdb_stage(tmp_path),
        "aerospike": lambda: aerospike_stage(hosts),
    }
    async with stages[request.param]() as prepared:
        yield prepared


async def test_row_of_an_applied_write_is_a_hit_and_not_before(stage: Stage) -> None:
    ticket = await begin(stage.store, b"a")
    assert await hit(stage.store, b"a") is None
    assert await stage.store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}))
    assert await hit(stage.store, b"a") == {"n": 1}
    assert await hit(stage.other, b"a") == {"n": 1}
    assert await hit(stage.store, b"b") is None


async def test_rejected_write_never_shows(stage: Stage) -> None:
    await write(stage.store, upsert(a={"n": 1}))
    ticket = await begin(stage.store, b"a")
    assert await stage.store.end(ticket, Outcome.REJECTED, upsert(a={"n": 2}))
    assert await hit(stage.store, b"a") == {"n": 1}


async def test_namespaces_do_not_mix(stage: Stage) -> None:
    await write(stage.store, upsert(a={"n": 1}))
    assert (await stage.store.read(b"other", [b"a"])).rows == [None]


async def test_deleted_row_is_gone(stage: Stage) -> None:
    await write(stage.store, upsert(a={"n": 1}))
    await write(stage.store, [part(Kind.DELETE, {b"a": None})])
    assert await hit(stage.store, b"a") is None


async def test_row_that_cannot_be_cached_takes_the_older_one_out(stage: Stage) -> None:
    await write(stage.store, upsert(a={"n": 1}))
    await write(stage.store, [part(Kind.UPSERT, {b"a": None})])
    assert await hit(stage.store, b"a") is None


async def test_patch_merges_and_null_clears(stage: Stage) -> None:
    await stage.ripen()
    await write(stage.store, upsert(a={"n": 1, "m": 2, "k": 3}))
    await write(stage.store, patch(a={"m": 5, "k": None}))
    assert await hit(stage.store, b"a") == {"n": 1, "m": 5}


async def test_patch_of_an_uncached_row_caches_nothing(stage: Stage) -> None:
    await stage.ripen()
    await write(stage.store, patch(a={"n": 1}))
    assert await hit(stage.store, b"a") is None


@pytest.mark.parametrize("elder_first", [False, True])
async def test_overlapping_writes_cache_neither(stage: Stage, elder_first: bool) -> None:
    await write(stage.store, upsert(a={"n": 0}, b={"n": 0}))
    elder = await begin(stage.store, b"a", b"b")
    younger = await begin(stage.other, b"a")
    ends = [(stage.other, younger, upsert(a={"n": 2}))]
    ends.insert(1 - elder_first, (stage.store, elder, upsert(a={"n": 1}, b={"n": 1})))
    for store, ticket, parts in ends:
        await store.end(ticket, Outcome.APPLIED, parts)
    assert await hit(stage.store, b"a") is None
    assert await hit(stage.other, b"a") is None
    assert await hit(stage.store, b"b") == {"n": 1}


@pytest.mark.parametrize("rows", [2, 17, 300])
async def test_overlap_of_large_and_small_writes_is_seen(stage: Stage, rows: int) -> None:
    names = [b"r%d" % n for n in range(rows)]
    large = await begin(stage.store, *names)
    small = await begin(stage.other, names[-1])
    await stage.other.end(small, Outcome.APPLIED, [part(Kind.UPSERT, {names[-1]: b'{"n":2}'})])
    parts = [part(Kind.UPSERT, dict.fromkeys(names, b'{"n":1}'))]
    await stage.store.end(large, Outcome.APPLIED, parts)
    assert await hit(stage.store, names[-1]) is None
    # Also in a store that voids by buckets, of which this one is in another.
    assert await hit(stage.store, names[0]) == {"n": 1}


async def test_overlap_of_large_writes_is_seen(stage: Stage) -> None:
    first = await begin(stage.store, *[b"r%d" % n for n in range(100)])
    second = await begin(stage.store, *[b"r%d" % n for n in range(99, 200)])
    for ticket, names in ((second, range(99, 200)), (first, range(100))):
        rows = {b"r%d" % n: b'{"n":1}' for n in names}
        await stage.store.end(ticket, Outcome.APPLIED, [part(Kind.UPSERT, rows)])
    assert await hit(stage.store, b"r99") is None
    assert await hit(stage.store, b"r98") == {"n": 1}
    assert await hit(stage.store, b"r100") == {"n": 1}


async def test_row_named_in_two_parts_is_not_the_elder_of_the_two(stage: Stage) -> None:
    await write(stage.store, upsert(a={"n": 0}))
    ticket = await begin(stage.store, b"a")
    await stage.store.end(
        ticket, Outcome.APPLIED, [*upsert(a={"n": 1}), part(Kind.DELETE, {b"a": None})]
    )
    assert await hit(stage.store, b"a") is None


async def test_namespace_write_voids_all_and_spoils_what_is_in_flight(stage: Stage) -> None:
    store, other = stage.store, stage.other
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


async def test_fetch_fills_what_it_missed(stage: Stage) -> None:
    await fetch(stage.store, b"a", {"n": 1})
    assert await hit(stage.other, b"a") == {"n": 1}


async def test_fetch_that_read_before_a_write_does_not_fill(stage: Stage) -> None:
    store = stage.store
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


async def test_fetch_that_read_before_a_namespace_write_does_not_fill(stage: Stage) -> None:
    lease = (await stage.store.read(NS, [b"a"])).leases[0]
    assert lease is not None
    await stage.store.end(await stage.store.begin(EVERYTHING), Outcome.APPLIED, [])
    await stage.store.fill(lease, encoded({"n": 1}))
    assert await hit(stage.store, b"a") is None


async def test_one_fetch_at_a_time_may_fill(stage: Stage) -> None:
    elder = (await stage.store.read(NS, [b"a"])).leases[0]
    assert elder is not None
    assert (await stage.other.read(NS, [b"a"])).leases == [None]
    await stage.store.fill(elder, encoded({"n": 1}))
    assert await hit(stage.store, b"a") == {"n": 1}


async def test_unknown_outcome_keeps_others_from_caching_and_then_invalidates(
    stage: Stage,
) -> None:
    store = stage.store
    await write(store, upsert(a={"n": 0}))
    lost = await begin(store, b"a")
    await store.end(lost, Outcome.UNKNOWN, upsert(a={"n": 1}))
    beside = await begin(store, b"a")
    await store.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
    found = await store.read(NS, [b"a"])
    lease = found.leases[0]
    assert found.rows == [None]
    assert lease is not None
    await stage.outlast_doubt()
    await store.fill(lease, encoded({"n": 2}))
    assert await hit(store, b"a") is None
    await write(store, upsert(a={"n": 3}))
    assert await hit(store, b"a") == {"n": 3}


async def test_doubt_of_many_rows_is_ended(stage: Stage) -> None:
    names = [b"r%d" % n for n in range(1000)]
    lost = await begin(stage.store, *names)
    await stage.store.end(lost, Outcome.UNKNOWN, [])
    lease = (await stage.store.read(NS, [names[-1]])).leases[0]
    assert lease is not None
    await stage.outlast_doubt()
    await stage.store.fill(lease, encoded({"n": 2}))
    assert await hit(stage.store, names[-1]) is None
    await write(stage.store, [part(Kind.UPSERT, dict.fromkeys(names, b'{"n":3}'))])
    assert (await stage.store.read(NS, names)).rows == [b'{"n":3}'] * len(names)


async def test_writes_in_doubt_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more voids what is cached instead, and keeps patches from merging for long enough."""
    store = stage.store
    monkeypatch.setattr(f"hevfast.cache.{stage.module}._DOUBTS_MAX", 1)
    await stage.ripen()
    await write(store, upsert(b={"n": 1}))
    await store.end(await begin(store, b"a"), Outcome.UNKNOWN, upsert(a={"n": 1}))
    assert await hit(store, b"b") == {"n": 1}
    await store.end(await begin(store, b"c"), Outcome.UNKNOWN, upsert(c={"n": 1}))
    assert await hit(store, b"b") is None
    # Upstream has not applied it yet: the old row is cached again, and a patch beside it.
    await fetch(store, b"c", {"n": 0})
    ticket = await begin(store, b"c")
    assert not ticket.may_merge
    await store.end(ticket, Outcome.APPLIED, patch(c={"m": 1}))
    # It was not merged, so this misses.
    await fetch(store, b"c", {"n": 0, "m": 1})
    await stage.sweep()
    # Upstream may have it since.
    assert await hit(store, b"c") is None
    assert (await begin(store, b"b")).may_merge


async def test_doubts_that_have_lapsed_make_room(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"hevfast.cache.{stage.module}._DOUBTS_MAX", 1)
    await write(stage.store, upsert(b={"n": 1}))
    for _ in range(3):
        await stage.store.end(await begin(stage.store, b"a"), Outcome.UNKNOWN, upsert(a={"n": 1}))
        await stage.outlast_doubt()
    assert await hit(stage.store, b"b") == {"n": 1}


async def test_write_whose_token_was_swept_invalidates(stage: Stage) -> None:
    ticket = await begin(stage.store, b"a")
    await stage.sweep()
    beside = await begin(stage.store, b"a")
    await stage.store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1}))
    await stage.store.end(beside, Outcome.APPLIED, upsert(a={"n": 2}))
    assert await hit(stage.store, b"a") is None


async def test_sweep_takes_out_what_a_dead_writer_touched(stage: Stage) -> None:
    await stage.ripen()
    await write(stage.store, upsert(a={"n": 0}, b={"n": 0}))
    await begin(stage.store, b"a")
    await stage.sweep()
    assert await hit(stage.store, b"a") is None
    assert await hit(stage.store, b"b") == {"n": 0}


async def test_write_of_no_rows_leaves_nothing_behind(stage: Stage) -> None:
    await stage.ripen()
    await stage.store.end(await begin(stage.store), Outcome.APPLIED, [])
    await write(stage.store, upsert(a={"n": 1}))
    await stage.sweep()
    assert await hit(stage.store, b"a") == {"n": 1}
