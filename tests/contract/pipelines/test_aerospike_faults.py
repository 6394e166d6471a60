"""What a failing cluster does to pipelines: nothing half done, nothing lost, nothing miscounted.

Faults are planned on the stand-in. Afterwards, everything is audited by the home.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from hevfast.pipelines import aerospike_claims, aerospike_lapses, aerospike_state, aerospike_wire
from hevfast.pipelines.aerospike_catalogue import Catalogue
from hevfast.pipelines.aerospike_store import AerospikePipelines
from hevfast.pipelines.store import Absent, Staged, Staging, TooManyPipelinesError, UnableError
from tests.contract.pipelines.aerospike_home import NAMESPACE, REAL, AerospikeHome, audit, patience
from tests.contract.pipelines.homes import (
    PIPELINE,
    chunks_of,
    move,
    pipeline,
    put,
    stages,
    staging,
    take,
)
from tests.fakes.aerospike import FakeAerospike
from tests.fakes.aerospike.faults import Seen

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(bool(REAL), reason="a real server can't be made to fail"),
]

# Seconds. More than the deadlines of the operations of one call together.
BOUND_S = 3.0

Deed = Callable[[AerospikePipelines], Awaitable[object]]

DEEDS: dict[str, Deed] = {
    "create": lambda store: store.create(pipeline("q")),
    "pipelines": lambda store: store.pipelines(),
    "pipeline": lambda store: store.pipeline("p"),
    "pause": lambda store: store.pause("p", True),
    "delete": lambda store: store.delete("p"),
    "stage": lambda store: store.stage("p", [staging("x")]),
    "stage two": lambda store: store.stage("p", [staging("x"), staging("y")]),
    "chunks": lambda store: store.chunks("p", ["a"]),
    "claim": lambda store: take(store),
    "extend": lambda store: store.extend("p", ["a"], stage="embedding", worker="w1"),
    "move": lambda store: move(store, "a", stage="failed"),
    "open_document": lambda store: store.open_document("p", "a", None),
    "index_document": lambda store: store.index_document("p", "a", 1, b"[]", None),
    "counts": lambda store: store.counts("p"),
    "push_back": lambda store: store.push_back("books"),
}


@pytest.fixture
async def home(tmp_path: Path, anyio_backend: object) -> AsyncIterator[AerospikeHome]:
    made = AerospikeHome(tmp_path)
    yield made
    with patience():
        await made.close()
    made.stop()


@pytest.fixture
async def store(home: AerospikeHome) -> AerospikePipelines:
    with patience():
        opened = await home.open()
        assert await opened.create(PIPELINE)
        await put(opened, "a", "b")
    return opened


@pytest.fixture
def node(home: AerospikeHome) -> FakeAerospike:
    assert home.node is not None
    return home.node


async def recovered(store: AerospikePipelines) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await store.counts("p")
            except UnableError:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
async def test_a_cluster_that_is_down_makes_it_unable(
    store: AerospikePipelines, node: FakeAerospike, deed: Deed
) -> None:
    node.kill()
    try:
        async with asyncio.timeout(BOUND_S):
            with pytest.raises(UnableError):
                await deed(store)
    finally:
        node.restart(keep_data=True)
    await recovered(store)
    assert await stages(store) == {"pending": 2}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
async def test_a_cluster_that_hangs_makes_it_unable_in_time(
    store: AerospikePipelines, node: FakeAerospike, deed: Deed
) -> None:
    hold = node.hold(times=None)
    try:
        async with asyncio.timeout(BOUND_S):
            with pytest.raises(UnableError):
                await deed(store)
    finally:
        hold.release()
        node.faults.clear()
    # What was held lands late: a deletion, among others.
    if deed is not DEEDS["delete"]:
        await recovered(store)


async def test_a_full_cluster_takes_nothing_in_and_gives_everything_out(
    store: AerospikePipelines, node: FakeAerospike
) -> None:
    node.fill(NAMESPACE)
    with pytest.raises(UnableError):
        await store.stage("p", [staging("c")])
    with pytest.raises(UnableError):
        await take(store)
    assert await store.chunks("p", ["a", "c"]) == [chunks_of("a"), Absent.UNKNOWN]
    assert await stages(store) == {"pending": 2}
    node.make_room(NAMESPACE)
    await put(store, "c")
    assert await take(store) == ["a", "b", "c"]


STEPS: dict[str, Deed] = {
    "stage": lambda store: store.stage("p", [staging("a", 2), staging("c"), staging("d")]),
    "claim": lambda store: take(store, lease_ms=10),
    "move": lambda store: move(store, "a", "new", stage="cut", create_missing=True),
    "index_document": lambda store: store.index_document("p", "a", 1, b"[1]", None),
}


@pytest.mark.parametrize("applied", [True, False], ids=["unheard", "undone"])
@pytest.mark.parametrize("deed", STEPS.values(), ids=STEPS)
async def test_a_deed_that_breaks_off_anywhere_loses_nothing(
    home: AerospikeHome,
    store: AerospikePipelines,
    node: FakeAerospike,
    deed: Deed,
    applied: bool,
) -> None:
    """Each message of the deed in turn is lost, or its answer is."""
    for lost in range(40):
        seen: list[int] = []

        def is_next(one: Seen, lost: int = lost, seen: list[int] = seen) -> bool:
            # The upkeep's own messages do not count, nor do a batch's further operations.
            if one.set_name.endswith("pipe_lists"):
                return False
            seen.append(1)
            return len(seen) == lost + 1

        fault = node.close(is_next, applied=applied)
        for _ in range(2):
            try:
                await deed(store)
            except UnableError:
                await recovered(store)
        used, fault.left = fault.used, 0
        assert await audit(store) == ""
        home.pass_ms(20)
        if not used:
            break
    assert lost > 2, "the deed has some steps"
    claimable = set(await take(store, 100, "w9")) | set(await take(store, 100, "w9", stage="cut"))
    counts = await stages(store)
    assert claimable, counts
    assert counts.get("pending", 0) == 0


async def test_a_document_whose_record_is_gone_is_told_and_uncounted(
    home: AerospikeHome, store: AerospikePipelines, node: FakeAerospike
) -> None:
    known = await store.access.find("p")
    place = store.access.place(known)
    node.lose(place.document("a"))
    assert await take(store) == ["b"]
    assert await store.chunks("p", ["a", "b"]) == [Absent.LOST, chunks_of("b")]
    assert await stages(store) == {"embedding": 1}
    await put(store, "a", version=2)
    assert await store.chunks("p", ["a"]) == [chunks_of("a", 2)]
    assert await take(store) == ["a"]


async def test_large_chunks_leave_nothing_behind(
    home: AerospikeHome, store: AerospikePipelines, node: FakeAerospike
) -> None:
    def parts() -> int:
        return sum(
            record.set_name.endswith("pipe_parts")
            for record in node.namespaces[NAMESPACE].records()
        )

    for version in (b"1", b"2"):
        large = b"[%s]" % (version * 2_000_000)
        assert (await store.stage("p", [Staging("a", large, 1)]))[0] == [Staged.STAGED]
        assert await store.chunks("p", ["a"]) == [large]
        assert parts() == 4
    await take(store)
    assert parts() == 4
    await move(store, "a", stage="indexed", worker="w1")
    assert parts() == 0


async def test_a_lost_part_is_a_lost_document(
    home: AerospikeHome, store: AerospikePipelines, node: FakeAerospike
) -> None:
    await store.stage("p", [Staging("a", b"[%s]" % (b"1" * 1_000_000), 1)])
    node.lose_set(NAMESPACE, home.set_prefix + "pipe_parts")
    assert await store.chunks("p", ["a"]) == [Absent.LOST]


async def test_a_deleted_pipeline_leaves_nothing_behind(
    home: AerospikeHome, store: AerospikePipelines, node: FakeAerospike
) -> None:
    def sets() -> set[str]:
        return {record.set_name for record in node.namespaces[NAMESPACE].records()}

    await put(store, *[f"d{n}" for n in range(200)])
    await store.stage("p", [Staging("large", b"[%s]" % (b"1" * 1_000_000), 1)])
    await take(store, 50)
    await move(store, "d60", "new", stage="failed", create_missing=True)
    await store.delete("p")
    async with asyncio.timeout(20):
        while sets() != {home.set_prefix + "pipe_lists"}:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def test_lapses_in_many_segments_are_all_found(
    home: AerospikeHome, store: AerospikePipelines
) -> None:
    names = [f"d{n}" for n in range(1200)]
    await put(store, *names)
    assert len(await take(store, 2000)) == 1202
    home.pass_ms(1000)
    again: set[str] = set()
    with patch.object(aerospike_lapses, "DUE_SEGMENTS_MAX", 1):
        for _ in range(40):
            again |= set(await take(store, 600, worker="w2", lease_ms=60_000))
    assert again == {*names, "a", "b"}


@pytest.mark.parametrize("lapses", [True, False], ids=["lapsed", "released"])
async def test_more_that_return_at_once_than_a_segment_takes_join_the_line(
    home: AerospikeHome, store: AerospikePipelines, lapses: bool
) -> None:
    names = {f"d{n}" for n in range(200)}
    await move(store, "a", "b", stage="indexed")
    await put(store, *names)
    assert set(await take(store, 200)) == names
    with patch.object(aerospike_wire, "_TAKES_HINTS", aerospike_wire.taking_hints(95)):
        if lapses:
            home.pass_ms(1000)
        else:
            assert (await move(store, *names, stage="pending", worker="w1")).changed == 200
        again: set[str] = set()
        for _ in range(3):
            again |= set(await take(store, 200, worker="w2", lease_ms=60_000))
    assert again == names
    assert await stages(store) == {"indexed": 2, "embedding": 200}


async def test_places_of_a_gateway_that_died_are_found_again(
    home: AerospikeHome, store: AerospikePipelines, node: FakeAerospike
) -> None:
    """It has moved the cursor, and does no more."""
    known = await store.access.find("p")

    def reserve(desk: object) -> object:
        yield [
            aerospike_claims.Reserve(aerospike_state.line_segment("pending", 0), 2),
        ]

    await store.access.run_on(known, reserve)  # type: ignore[arg-type]
    assert await take(store) == ["a", "b"]


async def test_pipelines_are_bounded(store: AerospikePipelines) -> None:
    with patch("hevfast.pipelines.aerospike_catalogue.PIPELINES_MAX", 2):
        assert await store.create(pipeline("q"))
        with pytest.raises(TooManyPipelinesError):
            await store.create(pipeline("r"))
        await store.delete("q")
        assert await store.create(pipeline("r"))


async def test_a_deletion_that_breaks_off_goes_on(
    store: AerospikePipelines, node: FakeAerospike
) -> None:
    with patch.object(Catalogue, "shut", side_effect=UnableError), pytest.raises(UnableError):
        await store.delete("p")
    async with asyncio.timeout(20):
        while await store.pipelines():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)
