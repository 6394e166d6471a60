"""What callers see when the store cannot do what they ask for."""

import json
from typing import Any

import pytest

from hevfast.pipelines.store import (
    Absent,
    Changed,
    Claimed,
    Opened,
    Staged,
    TooManyPipelinesError,
    TooManyStagesError,
    UnableError,
    UnknownPipelineError,
)
from tests.fakes.pipelines import Asked, Inside, ScriptedPipelines

pytestmark = pytest.mark.anyio

CHUNKS = {"chunks": [{"id": "a"}]}
VECTORS = {"vectors": [{"id": "r", "vector": [1]}]}
BIG = b'[{"id":"a","text":"' + b"x" * 3_000_000 + b'"}]'

CALLS: list[tuple[str, str, Any, str]] = [
    ("POST", "", {"id": "p", "target_namespace": "ns"}, "create"),
    ("GET", "", None, "pipelines"),
    ("GET", "/p", None, "pipeline"),
    ("DELETE", "/p", None, "delete"),
    ("GET", "/p/status", None, "counts"),
    ("POST", "/p/pause", None, "pause"),
    ("POST", "/p/claim", {"worker_id": "w"}, "claim"),
    ("POST", "/p/documents/heartbeat", {"document_ids": [], "worker_id": "w"}, "extend"),
    ("POST", "/p/documents/stage", {"document_ids": [], "stage": "x"}, "move"),
    ("PUT", "/p/documents/d/vectors", VECTORS, "open_document"),
]
CALLS_OF_CHUNKS: list[tuple[str, str, Any, str]] = [
    ("PUT", "/p/documents/d", CHUNKS, "stage"),
    ("POST", "/p/documents", {"documents": [{"id": "d", **CHUNKS}]}, "stage"),
    ("GET", "/p/documents/d/chunks", None, "chunks"),
    ("POST", "/p/documents/chunks", {"document_ids": ["d"]}, "chunks"),
]


def is_refusal(asked: Asked, status: int, code: str) -> bool:
    assert asked.headers[b"content-type"] == b"application/json"
    assert asked.json["message"]
    return (asked.status, asked.json["error"]) == (status, code)


@pytest.mark.parametrize(("method", "below", "body", "deed"), CALLS)
async def test_store_that_is_unable_is_a_503_to_be_tried_again(
    method: str, below: str, body: Any, deed: str
) -> None:
    inside = Inside(ScriptedPipelines(**{deed: [UnableError()]}))
    asked = await inside.ask(method, below, body)
    assert is_refusal(asked, 503, "service_unavailable")
    assert asked.headers[b"retry-after"] == b"1"
    assert inside.write.bodies == []


@pytest.mark.parametrize(("method", "below", "body", "deed"), CALLS_OF_CHUNKS)
async def test_where_chunks_are_needed_the_cache_is_cold(
    method: str, below: str, body: Any, deed: str
) -> None:
    inside = Inside(ScriptedPipelines(**{deed: [UnableError()]}))
    asked = await inside.ask(method, below, body)
    assert is_refusal(asked, 503, "cache_cold")
    assert asked.json["cache_state"] == "cold"
    assert asked.headers[b"retry-after"] == b"1"


async def test_document_that_the_store_does_not_take_is_not_answered_200() -> None:
    for word, status, code in [
        (Staged.UNABLE, 503, "cache_cold"),
        (Staged.TOO_LARGE, 413, "payload_too_large"),
    ]:
        inside = Inside(ScriptedPipelines(stage=[([word], [])]))
        assert is_refusal(await inside.ask("PUT", "/p/documents/d", CHUNKS), status, code)


async def test_batch_tells_which_documents_the_store_has_not_taken() -> None:
    words = [Staged.TOO_LARGE, Staged.STAGED, Staged.UNABLE]
    inside = Inside(ScriptedPipelines(stage=[(words, [])]))
    documents = [{"id": name, "chunks": []} for name in "abc"]
    asked = await inside.ask("POST", "/p/documents", {"documents": documents})
    assert (asked.status, asked.json["staged"]) == (200, 1)
    assert [each["document_id"] for each in asked.json["documents"]] == ["b"]
    failed = [(each["document_id"], each["error"]) for each in asked.json["failed"]]
    assert failed == [("a", "payload_too_large"), ("c", "cache_cold")]


async def test_batch_tells_what_was_staged_before_the_store_became_unable() -> None:
    stage = [([Staged.STAGED] * 1000, []), UnableError(), ([Staged.STAGED] * 500, [])]
    inside = Inside(ScriptedPipelines(stage=stage))
    documents = [{"id": f"d-{n}", "chunks": []} for n in range(2500)]
    asked = await inside.ask("POST", "/p/documents", {"documents": documents})
    assert (asked.status, asked.json["staged"]) == (200, 1500)
    failed = [each["document_id"] for each in asked.json["failed"]]
    assert failed == [f"d-{n}" for n in range(1000, 2000)]
    assert {each["error"] for each in asked.json["failed"]} == {"cache_cold"}


async def test_batches_are_given_to_the_store_in_portions_of_bounded_size() -> None:
    stage = [([Staged.STAGED] * 2, []), ([Staged.STAGED], [])]
    inside = Inside(ScriptedPipelines(stage=stage))
    documents = [{"id": f"d-{n}", "chunks": json.loads(BIG)} for n in range(3)]
    asked = await inside.ask("POST", "/p/documents", {"documents": documents})
    assert asked.json["staged"] == 3
    sizes = [len(arguments[1]) for deed, arguments in inside.store.asked if deed == "stage"]
    assert sizes == [2, 1]


async def test_lost_chunks_are_a_404_that_says_what_to_do() -> None:
    inside = Inside(ScriptedPipelines(chunks=[[Absent.LOST]]))
    asked = await inside.ask("GET", "/p/documents/d/chunks")
    assert is_refusal(asked, 404, "not_found")
    assert "stage it again" in asked.json["message"]
    asked = await inside.ask("POST", "/p/documents/chunks", {"document_ids": ["d"]})
    assert asked.json == {"documents": [], "missing": ["d"]}


async def test_too_many_stages_and_pipelines_are_told_apart_from_faults() -> None:
    inside = Inside(
        ScriptedPipelines(
            move=[TooManyStagesError()],
            claim=[TooManyStagesError()],
            create=[TooManyPipelinesError()],
        )
    )
    body = {"document_ids": ["d"], "stage": "x"}
    asked = await inside.ask("POST", "/p/documents/stage", body)
    assert is_refusal(asked, 422, "validation_error")
    asked = await inside.ask("POST", "/p/claim", {"worker_id": "w"})
    assert is_refusal(asked, 422, "validation_error")
    asked = await inside.ask("POST", "", {"id": "p", "target_namespace": "ns"})
    assert is_refusal(asked, 409, "conflict")


async def test_rows_written_but_not_marked_are_a_503_that_says_so() -> None:
    inside = Inside(
        ScriptedPipelines(open_document=[Opened(1, None, True)], index_document=[UnableError()])
    )
    asked = await inside.ask("PUT", "/p/documents/d/vectors", VECTORS)
    assert is_refusal(asked, 503, "service_unavailable")
    assert "rows are written" in asked.json["message"]
    assert asked.headers[b"retry-after"] == b"1"
    assert len(inside.write.bodies) == 1


async def test_document_is_marked_with_the_generation_from_before_the_write() -> None:
    inside = Inside(
        ScriptedPipelines(open_document=[Opened(7, None, True)], index_document=[Changed(1, [])])
    )
    assert (await inside.ask("PUT", "/p/documents/d/vectors", VECTORS)).status == 200
    assert inside.store.asked[-1] == ("index_document", ("p", "d", 7, b'["r"]', None))


async def test_large_answer_is_read_and_sent_in_pieces() -> None:
    inside = Inside(ScriptedPipelines(chunks=[[BIG]]))
    asked = await inside.ask("POST", "/p/documents/chunks", {"document_ids": ["d"] * 6})
    assert asked.complete
    assert asked.pieces >= 4
    assert b"content-length" not in asked.headers
    assert len(asked.json["documents"]) == 6
    counts = [len(arguments[1]) for deed, arguments in inside.store.asked if deed == "chunks"]
    assert counts == [1] * 6


async def test_store_that_fails_amid_an_answer_breaks_it_off() -> None:
    inside = Inside(ScriptedPipelines(chunks=[[BIG], [BIG], UnableError()]))
    asked = await inside.ask("POST", "/p/documents/chunks", {"document_ids": ["d"] * 6})
    assert asked.status == 200
    assert not asked.complete


async def test_claim_is_answered_though_chunks_cannot_be_read() -> None:
    for chunks in ([UnableError()], [UnknownPipelineError()], [[BIG], [BIG], UnableError()]):
        claim = [Claimed(["a", "b", "c"], [])]
        inside = Inside(ScriptedPipelines(claim=claim, chunks=chunks))
        asked = await inside.ask("POST", "/p/claim", {"worker_id": "w", "include_chunks": True})
        assert (asked.status, asked.complete) == (200, True)
        assert asked.json["documents"] == ["a", "b", "c"]
        assert list(asked.json["chunks"]) == ["a", "b"][: len(chunks) - 1]


async def test_claimed_documents_whose_chunks_are_lost_are_left_out() -> None:
    claim = [Claimed(["a", "b"], [])]
    inside = Inside(ScriptedPipelines(claim=claim, chunks=[[Absent.LOST], [b"[]"]]))
    asked = await inside.ask("POST", "/p/claim", {"worker_id": "w", "include_chunks": True})
    assert asked.json["chunks"] == {"b": []}


@pytest.mark.parametrize(
    ("method", "below", "body", "deed"), [each for each in CALLS + CALLS_OF_CHUNKS if each[2]]
)
async def test_bound_that_is_set_for_all_bodies_holds_here_too(
    method: str, below: str, body: Any, deed: str
) -> None:
    inside = Inside(ScriptedPipelines(), body_bytes_max=10)
    asked = await inside.ask(method, below, body)
    assert is_refusal(asked, 413, "payload_too_large")
    assert "10 bytes" in asked.json["message"]
