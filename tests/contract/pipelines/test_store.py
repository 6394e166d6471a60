"""What every pipeline store promises of documents: staging, claims, leases, stages, vectors."""

import asyncio
from itertools import chain

import pytest

from hevfast.pipelines.store import (
    DOCUMENT_ID_BYTES_MAX,
    Absent,
    Move,
    PipelineStore,
    Staged,
    Staging,
    UnknownPipelineError,
)
from tests.contract.pipelines.homes import (
    Home,
    chunks_of,
    claimed,
    move,
    put,
    stages,
    staging,
    take,
)

pytestmark = pytest.mark.anyio


# ---- staging


async def test_staged_chunks_come_back_as_they_were(store: PipelineStore) -> None:
    chunks = b'[ {"id":"a\\u00e9", "n": 1e-7, "more":{"x":[1 ,2]}} ]'
    words, moves = await store.stage("p", [Staging("d", chunks, 1)])
    assert words == [Staged.STAGED]
    assert [(each.source, each.target) for each in moves] == [("none", "pending")]
    assert await store.chunks("p", ["d"]) == [chunks]


async def test_staging_again_replaces_the_chunks_whole(store: PipelineStore) -> None:
    await store.stage("p", [Staging("d", b'[{"id":"1"},{"id":"2"},{"id":"3"}]', 3)])
    await store.stage("p", [Staging("d", b'[{"id":"1"}]', 1)])
    assert await store.chunks("p", ["d"]) == [b'[{"id":"1"}]']
    assert await stages(store) == {"pending": 1}


async def test_document_without_chunks_can_be_staged(store: PipelineStore) -> None:
    await put(store, "d")
    await store.stage("p", [Staging("d", b"[ ]", 0)])
    assert await store.chunks("p", ["d"]) == [b"[ ]"]
    assert await take(store) == ["d"]


async def test_chunks_come_in_the_order_asked_for(store: PipelineStore) -> None:
    await put(store, *[f"d{n}" for n in range(200)])
    asked = [f"d{n}" for n in reversed(range(-1, 200))]
    found = await store.chunks("p", asked)
    assert found[-1] is Absent.UNKNOWN
    assert found[:-1] == [chunks_of(each) for each in asked[:-1]]


async def test_the_last_of_two_stagings_in_one_call_holds(store: PipelineStore) -> None:
    await store.stage("p", [staging("d", 1), staging("e", 1), staging("d", 2)])
    assert await store.chunks("p", ["d"]) == [chunks_of("d", 2)]
    assert await stages(store) == {"pending": 2}
    assert await take(store) == ["e", "d"]


async def test_of_concurrent_stagings_one_holds_whole(store: PipelineStore) -> None:
    versions = [b"[%s]" % b",".join([b'{"id":"%d"}' % n] * 500) for n in range(20)]
    await asyncio.gather(*[store.stage("p", [Staging("d", each, 500)]) for each in versions])
    (found,) = await store.chunks("p", ["d"])
    assert found in versions
    assert await stages(store) == {"pending": 1}
    assert await take(store) == ["d"]


async def test_a_document_too_large_is_told_apart_from_the_others(store: PipelineStore) -> None:
    huge = Staging("huge", b"[" + b" " * (17 << 20) + b"]", 0)
    words, _ = await store.stage("p", [staging("a"), huge, staging("b")])
    assert words == [Staged.STAGED, Staged.TOO_LARGE, Staged.STAGED]
    assert await store.chunks("p", ["huge", "b"]) == [Absent.UNKNOWN, chunks_of("b")]
    words, moves = await store.stage("p", [huge])
    assert (words, moves) == ([Staged.TOO_LARGE], [])


async def test_large_documents_come_back(store: PipelineStore) -> None:
    large = [Staging(f"d{n}", b'["%s"]' % (b"%d" % n * 3_000_000), 1) for n in range(4)]
    words, _ = await store.stage("p", large)
    assert words == [Staged.STAGED] * 4
    assert await store.chunks("p", ["d3", "d0"]) == [large[3].chunks, large[0].chunks]


@pytest.mark.parametrize("length", [319, 320, 321, 352, DOCUMENT_ID_BYTES_MAX])
async def test_long_ids_are_told_apart_by_their_last_letter(
    store: PipelineStore, length: int
) -> None:
    ids = ["é" * ((length - 1) // 2) + "x" * ((length - 1) % 2) + each for each in "ab"]
    assert {len(each.encode()) for each in ids} == {length}
    for each in ids:
        await put(store, each)
    assert await store.chunks("p", ids) == [chunks_of(each) for each in ids]
    assert await take(store, prefix=ids[1]) == [ids[1]]
    assert await take(store, prefix=ids[0][:-1]) == [ids[0]]
    assert (await move(store, *ids, stage="indexed", worker="w1")).changed == 2
    assert await take(store, stage="indexed", prefix="é" * 100) == ids


@pytest.mark.parametrize("document", ["a/b", "a b", "%2F", "a:b#c?d", "\x01", "日本", "stage"])
async def test_any_text_is_an_id(store: PipelineStore, document: str) -> None:
    await put(store, document)
    assert await store.chunks("p", [document]) == [chunks_of(document)]
    assert await take(store) == [document]


# ---- claims


async def test_claims_take_the_oldest_first(store: PipelineStore) -> None:
    names = [f"d{n * 7919 % 1000:04d}" for n in range(1000)]
    for start in range(0, 1000, 100):
        await put(store, *names[start : start + 100])
    assert await take(store, 700) == names[:700]
    assert await take(store, 700) == names[700:]
    assert await take(store) == []


async def test_staging_again_goes_to_the_end_of_the_line(store: PipelineStore) -> None:
    await put(store, "a", "b", "c")
    await put(store, "a")
    assert await take(store) == ["b", "c", "a"]


async def test_claim_tells_the_moves(store: PipelineStore, home: Home) -> None:
    await put(store, "a")
    home.pass_ms(2500)
    assert (await claimed(store)).moves == [Move("pending", "embedding", 2.5)]
    home.pass_ms(5000)
    moves = (await claimed(store)).moves
    assert moves == [Move("embedding", "pending", 1.0), Move("pending", "embedding", 4.0)]


async def test_claims_by_prefix_take_the_oldest_of_them(store: PipelineStore) -> None:
    await put(store, "x/2", "y/1", "x/1", "x", "x/3")
    assert await take(store, 2, prefix="x/") == ["x/2", "x/1"]
    assert await take(store, prefix="x/") == ["x/3"]
    assert await take(store, prefix="z") == []
    assert await take(store) == ["y/1", "x"]


async def test_claims_are_by_stage_and_into_any_stage(store: PipelineStore) -> None:
    await put(store, "a", "b")
    assert await take(store, 1, claim_stage="extracting") == ["a"]
    assert await take(store, stage="extracting") == [], "it is under a lease"
    await move(store, "a", stage="extracted", worker="w1")
    assert await stages(store) == {"extracted": 1, "pending": 1}
    assert await take(store, stage="extracted") == ["a"]


async def test_a_stage_is_not_another_that_begins_like_it(store: PipelineStore) -> None:
    await put(store, "a", "b")
    await move(store, "a", stage="pend")
    await move(store, "b", stage="pending\x00b")
    assert await take(store, stage="pend") == ["a"]
    assert await take(store) == []
    assert await take(store, stage="pending\x00b") == ["b"]


async def test_sixteen_claimers_never_get_the_same_document(store: PipelineStore) -> None:
    names = [f"d{n}" for n in range(2000)]
    await put(store, *names)

    async def claimer(worker: str) -> list[str]:
        mine: list[str] = []
        while some := await take(store, 17, worker, lease_ms=60_000):
            mine += some
        return mine

    taken = await asyncio.gather(*[claimer(f"w{n}") for n in range(16)])
    assert sorted(chain(*taken)) == sorted(names)
    assert await stages(store) == {"embedding": 2000}


async def test_a_paused_pipeline_gives_nothing_and_does_all_else(store: PipelineStore) -> None:
    await put(store, "a", "b")
    assert await take(store, 1) == ["a"]
    assert (await store.pause("p", True)).paused
    assert await take(store) == []
    await put(store, "c")
    assert await store.extend("p", ["a"], stage="embedding", worker="w1") == 1
    assert (await move(store, "a", stage="indexed", worker="w1")).changed == 1
    assert not (await store.pause("p", False)).paused
    assert await take(store) == ["b", "c"]


# ---- leases


async def test_lapsed_documents_go_back_to_where_they_were_in_line(
    store: PipelineStore, home: Home
) -> None:
    await put(store, "a", "b", "c")
    assert await take(store, 2) == ["a", "b"]
    home.pass_ms(999)
    assert await take(store, 1, "w2") == ["c"]
    home.pass_ms(1)
    assert await take(store, 2, "w2") == ["a", "b"]
    assert await store.extend("p", ["a", "b"], stage="embedding", worker="w1") == 0
    assert (await move(store, "a", stage="indexed", worker="w1")).changed == 0


async def test_lapsed_documents_go_back_to_the_stage_they_came_from(
    store: PipelineStore, home: Home
) -> None:
    await put(store, "a")
    await move(store, "a", stage="extracted")
    assert await take(store, stage="extracted") == ["a"]
    home.pass_ms(1000)
    assert await take(store) == []
    assert await stages(store) == {"extracted": 1}
    assert await take(store, stage="extracted") == ["a"]


async def test_heartbeats_extend_by_the_lease_from_now_on(store: PipelineStore, home: Home) -> None:
    await put(store, "a", "b")
    await take(store, lease_ms=1000)
    for _ in range(5):
        home.pass_ms(900)
        names = ["a", "a", "nobody"]
        assert await store.extend("p", names, stage="embedding", worker="w1") == 1
        assert await store.extend("p", ["a"], stage="embedding", worker="w2") == 0
        assert await store.extend("p", ["a"], stage="extracting", worker="w1") == 0
    assert await take(store, worker="w2") == ["b"]
    home.pass_ms(1000)
    assert await take(store, worker="w2") == ["a", "b"]


async def test_many_lapses_are_all_found(store: PipelineStore, home: Home) -> None:
    names = [f"d{n:04d}" for n in range(1700)]
    await put(store, *names)
    assert len(await take(store, 1700)) == 1700
    home.pass_ms(1000)
    assert sorted(await take(store, 2000, "w2")) == names


# ---- stages


async def test_a_restaged_document_is_lost_to_its_worker(store: PipelineStore) -> None:
    await put(store, "a")
    await take(store)
    await put(store, "a", version=2)
    assert await store.extend("p", ["a"], stage="embedding", worker="w1") == 0
    assert (await move(store, "a", stage="indexed", worker="w1")).changed == 0
    assert await stages(store) == {"pending": 1}
    assert await store.chunks("p", ["a"]) == [chunks_of("a", 2)]
    assert await take(store, worker="w2") == ["a"]


async def test_stage_changes_are_compared_and_set(store: PipelineStore) -> None:
    await put(store, "a", "b", "c")
    await take(store, 2)
    changed = await move(store, "a", "b", "c", "d", stage="indexed", from_stage="embedding")
    assert changed.changed == 2
    assert (await move(store, "c", stage="failed", worker="w1")).changed == 0
    assert await stages(store) == {"indexed": 2, "pending": 1}


async def test_a_released_document_can_be_claimed_at_once(store: PipelineStore) -> None:
    await put(store, "a", "b")
    await take(store, 1)
    moved = await move(store, "a", stage="pending", from_stage="embedding", worker="w1")
    assert moved.moves == [Move("embedding", "pending", 0.0)]
    assert await take(store, worker="w2") == ["a", "b"]


async def test_many_documents_of_the_longest_ids(store: PipelineStore) -> None:
    names = [f"{number:04d}".ljust(DOCUMENT_ID_BYTES_MAX, "-") for number in range(1100)]
    await put(store, *names)
    assert await take(store, 1100, lease_ms=60_000) == names
    assert (await move(store, *names, stage="pending", worker="w1")).changed == 1100
    assert sorted(await take(store, 1100)) == names


async def test_missing_documents_are_created_where_that_is_wished(store: PipelineStore) -> None:
    await put(store, "a")
    changed = await move(store, "a", "new", stage="extracted", from_stage="x", create_missing=True)
    assert changed == (1, [Move("none", "extracted", 0.0)])
    assert await store.chunks("p", ["new"]) == [b"[]"]
    assert await take(store, stage="extracted") == ["new"]
    assert (await move(store, "newer", stage="failed", create_missing=True)).changed == 1
    assert (await store.counts("p")).failed_reasons == {"worker_failed": 1}


async def test_completed_documents_need_no_chunks(store: PipelineStore) -> None:
    await put(store, "a")
    await take(store)
    assert (await move(store, "a", stage="indexed", worker="w1")).changed == 1
    assert await store.chunks("p", ["a"]) == [b"[]"]
    await put(store, "a", version=2)
    assert await store.chunks("p", ["a"]) == [chunks_of("a", 2)]


# ---- what is not there


async def test_every_call_knows_an_unknown_pipeline(store: PipelineStore) -> None:
    calls = [
        store.pipeline("q"),
        store.pause("q", True),
        store.delete("q"),
        store.counts("q"),
        store.stage("q", []),
        store.stage("q", [staging("a")]),
        store.chunks("q", []),
        store.chunks("q", ["a"]),
        store.claim("q", stage="a", claim_stage="b", worker="w", limit=1, lease_ms=1, prefix=""),
        store.extend("q", [], stage="a", worker="w"),
        store.move(
            "q",
            [],
            stage="a",
            from_stage=None,
            worker=None,
            reason="",
            create_missing=True,
        ),
        store.open_document("q", "a", None),
        store.index_document("q", "a", 1, b"[]", None),
    ]
    for call in calls:
        with pytest.raises(UnknownPipelineError):
            await call
