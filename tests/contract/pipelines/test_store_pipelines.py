"""What every pipeline store promises of pipelines: counts, bounds, deletion, restarts."""

import asyncio

import pytest

from hevfast.pipelines.store import (
    REASONS_MAX,
    STAGES_MAX,
    Absent,
    Move,
    PipelineStore,
    TooManyStagesError,
    UnknownPipelineError,
)
from tests.contract.pipelines.homes import (
    PIPELINE,
    Home,
    chunks_of,
    move,
    pipeline,
    put,
    stages,
    take,
)

pytestmark = pytest.mark.anyio


async def test_pipelines_are_listed_oldest_first(store: PipelineStore) -> None:
    names = [f"p{n * 37 % 150}" for n in range(150)]
    for name in names:
        assert await store.create(pipeline(name))
    assert not await store.create(pipeline("p7"))
    assert [each.id for each in await store.pipelines()] == ["p", *names]
    assert await store.pipeline("p7") == pipeline("p7")


async def test_of_concurrent_creations_one_is_the_first(store: PipelineStore) -> None:
    created = await asyncio.gather(*[store.create(pipeline("q")) for _ in range(10)])
    assert sorted(created) == [False] * 9 + [True]
    assert [each.id for each in await store.pipelines()] == ["p", "q"]


async def test_a_created_pipeline_is_listed_at_once(store: PipelineStore) -> None:
    async def create_and_look(name: str) -> bool:
        await store.create(pipeline(name))
        return name in {each.id for each in await store.pipelines()}

    assert all(await asyncio.gather(*[create_and_look(f"p{n}") for n in range(50)]))


async def test_a_deleted_pipeline_never_comes_back(store: PipelineStore, home: Home) -> None:
    await put(store, *[f"d{n}" for n in range(3000)])
    await take(store, 100)
    await store.delete("p")
    with pytest.raises(UnknownPipelineError):
        await store.counts("p")
    assert await store.create(PIPELINE)
    assert await stages(store) == {}
    assert await store.chunks("p", ["d1"]) == [Absent.UNKNOWN]
    home.pass_ms(10_000)
    assert await take(store) == []
    await put(store, "d1", version=2)
    assert await take(store) == ["d1"]


async def test_everything_survives_a_restart(store: PipelineStore, home: Home) -> None:
    await put(store, *[f"d{n}" for n in range(10)])
    assert await take(store, 4, lease_ms=5000) == ["d0", "d1", "d2", "d3"]
    await move(store, "d0", stage="failed", worker="w1", reason="no text")
    await move(store, "d1", stage="indexed", worker="w1")
    await store.pause("p", True)
    before = await store.counts("p")
    await home.close()
    store = await home.open()
    assert await store.counts("p") == before
    assert await store.chunks("p", ["d9"]) == [chunks_of("d9")]
    assert await take(store) == []
    await store.pause("p", False)
    assert await take(store, 2, "w2") == ["d4", "d5"]
    assert await store.extend("p", ["d2"], stage="embedding", worker="w1") == 1
    home.pass_ms(5000)
    assert await take(store, 3, "w2") == ["d2", "d3", "d4"]


# ---- counts


async def test_failures_are_counted_by_reason(store: PipelineStore) -> None:
    await put(store, "a", "b", "c")
    await move(store, "a", "b", stage="failed", reason="too long")
    await move(store, "c", stage="failed")
    counts = await store.counts("p")
    assert counts.failed_reasons == {"too long": 2, "worker_failed": 1}
    await put(store, "a")
    assert (await store.counts("p")).failed_reasons == {"too long": 1, "worker_failed": 1}


async def test_reasons_are_bounded(store: PipelineStore) -> None:
    names = [f"d{n}" for n in range(REASONS_MAX + 5)]
    await put(store, *names)
    for number, name in enumerate(names):
        await move(store, name, stage="failed", reason=f"reason {number}")
    reasons = (await store.counts("p")).failed_reasons
    assert reasons.pop("other") == 5
    assert reasons == {f"reason {number}": 1 for number in range(REASONS_MAX)}
    await put(store, *names)
    assert not any((await store.counts("p")).failed_reasons.values())


async def test_custom_stages_are_bounded(store: PipelineStore) -> None:
    names = [f"d{n}" for n in range(STAGES_MAX)]
    await put(store, *names, "more")
    for number, name in enumerate(names):
        await move(store, name, stage=f"stage {number}")
    with pytest.raises(TooManyStagesError):
        await move(store, "more", stage="one more")
    with pytest.raises(TooManyStagesError):
        await take(store, claim_stage="one more")
    assert (await move(store, "more", stage="failed")).changed == 1
    assert (await move(store, "more", stage="stage 3")).changed == 1
    # Nothing is in this one any more, so there is room for another.
    await move(store, "d0", stage="pending")
    assert (await move(store, "more", stage="one more")).changed == 1


async def test_a_stage_that_leases_return_to_is_in_use(store: PipelineStore, home: Home) -> None:
    names = [f"d{n}" for n in range(STAGES_MAX)]
    await put(store, *names, "more")
    for number, name in enumerate(names):
        await move(store, name, stage=f"stage {number}")
    assert await take(store, stage="stage 0") == ["d0"]
    with pytest.raises(TooManyStagesError):
        await move(store, "more", stage="one more")
    home.pass_ms(1000)
    assert await take(store, stage="stage 0") == ["d0"]


async def test_the_rate_is_of_the_last_minute(store: PipelineStore, home: Home) -> None:
    await put(store, *[f"d{n}" for n in range(10)])
    await move(store, "d0", "d1", "d2", stage="indexed")
    home.pass_ms(30_000)
    await move(store, "d3", stage="indexed")
    await move(store, "d3", stage="indexed")
    assert (await store.counts("p")).indexed == 4
    home.pass_ms(29_000)
    assert (await store.counts("p")).indexed == 4
    home.pass_ms(1000)
    assert (await store.counts("p")).indexed == 1
    home.pass_ms(30_000)
    assert (await store.counts("p")).indexed == 0
    await move(store, "d4", stage="indexed")
    assert (await store.counts("p")).indexed == 1


async def test_lapses_are_undone_and_told_without_anybody_claiming(
    store: PipelineStore, home: Home
) -> None:
    await put(store, "a", "b")
    await take(store, 1)
    home.pass_ms(1000)
    async with asyncio.timeout(10):
        while not home.told:  # noqa: ASYNC110 - nothing wakes it
            await asyncio.sleep(0.02)
    assert home.told == [Move("embedding", "pending", 1.0)]
    assert await stages(store) == {"pending": 2}


async def test_push_back_is_told_for_a_moment(store: PipelineStore, home: Home) -> None:
    assert not (await store.counts("p")).pushed_back
    await store.push_back("others")
    assert not (await store.counts("p")).pushed_back
    await store.push_back("books")
    assert (await store.counts("p")).pushed_back
    home.pass_ms(60_000)
    assert not (await store.counts("p")).pushed_back
