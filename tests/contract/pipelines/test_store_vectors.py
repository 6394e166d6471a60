"""What every pipeline store promises of the end of a document's way: its vectors are written."""

import pytest

from hevfast.pipelines.store import Move, PipelineStore
from tests.contract.pipelines.homes import Home, chunks_of, put, stages, take

pytestmark = pytest.mark.anyio


async def test_indexing_keeps_the_ids_and_drops_the_chunks(store: PipelineStore) -> None:
    await put(store, "a")
    await take(store)
    opened = await store.open_document("p", "a", "w1")
    assert opened is not None
    assert (opened.rows, opened.writable) == (None, True)
    done = await store.index_document("p", "a", opened.generation, b'["a-0","a-1"]', None)
    assert done == (1, [Move("embedding", "indexed", 0.0)])
    assert await store.chunks("p", ["a"]) == [b"[]"]
    assert await stages(store) == {"indexed": 1}
    await put(store, "a", version=2)
    again = await store.open_document("p", "a", None)
    assert again is not None
    assert again.rows == b'["a-0","a-1"]'


async def test_marking_indexed_can_be_repeated(store: PipelineStore) -> None:
    await put(store, "a")
    opened = await store.open_document("p", "a", None)
    assert opened is not None
    for _ in range(2):
        assert (await store.index_document("p", "a", opened.generation, b"[1]", None)).changed == 1
    assert await stages(store) == {"indexed": 1}
    assert (await store.counts("p")).indexed == 1


async def test_rows_of_older_chunks_do_not_mark_it(store: PipelineStore) -> None:
    await put(store, "a")
    opened = await store.open_document("p", "a", None)
    assert opened is not None
    await put(store, "a", version=2)
    assert (await store.index_document("p", "a", opened.generation, b"[1]", None)).changed == 0
    assert await stages(store) == {"pending": 1}
    assert await store.chunks("p", ["a"]) == [chunks_of("a", 2)]


async def test_a_stale_worker_may_not_write(store: PipelineStore, home: Home) -> None:
    await put(store, "a")
    await take(store, worker="w1")
    home.pass_ms(1000)
    stale = await store.open_document("p", "a", "w1")
    assert stale is not None
    assert not stale.writable
    await take(store, worker="w2")
    mine = await store.open_document("p", "a", "w2")
    assert mine is not None
    assert mine.writable
    assert await store.open_document("p", "b", None) is None
    assert (await store.index_document("p", "b", 1, b"[]", None)).changed == 0


async def test_vectors_whose_answer_was_lost_may_be_sent_again(store: PipelineStore) -> None:
    await put(store, "a")
    await take(store, worker="w1")
    for worker, writable in (("w1", True), ("w1", True), ("w2", False)):
        opened = await store.open_document("p", "a", worker)
        assert opened is not None
        assert opened.writable == writable
        if writable:
            await store.index_document("p", "a", opened.generation, b"[1]", worker)
    await put(store, "a", version=2)
    opened = await store.open_document("p", "a", "w1")
    assert opened is not None
    assert not opened.writable
