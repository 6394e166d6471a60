"""Staging documents and reading their chunks back."""

import gzip
import json
from typing import Any

import pytest

from tests.contract.pipelines.calling import CHUNKS, Caller, ask, caller, gateway, refused
from tests.fakes.client import AUTH, request_bytes

__all__ = ["caller", "gateway"]


def test_staged_document_is_pending_and_its_chunks_are_named(caller: Caller) -> None:
    reply = caller.stage("doc-1")
    assert reply.status == 200
    assert reply.json == {
        "pipeline_id": caller.pipeline,
        "document_id": "doc-1",
        "stage": "pending",
        "chunk_count": 2,
        "chunk_ids": ["c-0", "c-1"],
    }
    assert caller.counts == {"pending": 1}
    assert caller.upstream.requests == []


def test_chunks_are_read_back_byte_for_byte(caller: Caller) -> None:
    array = (
        b'[ {"id":"a" , "text":"\\u00e9\\n","metadata":{"n":1.10,"big":18446744073709551616}},\n'
        b' {"id":"b","text":null,"own":[1e-7,{"id":1}],"id2":"\xc3\xa9"} ]'
    )
    path = "/documents/d"
    assert (
        caller.ask("PUT", path, b'{"other":1, "chunks" :  ' + array + b' ,"x":{} }').status == 200
    )
    reply = caller.chunks("d")
    assert (reply.status, reply.value(b"content-type")) == (200, b"application/json")
    assert reply.body == array


def test_staging_anew_replaces_all_chunks_and_ends_the_lease(caller: Caller) -> None:
    caller.stage("d")
    assert caller.claim("w") == ["d"]
    assert caller.stage("d", [{"id": "other"}]).json["chunk_ids"] == ["other"]
    assert caller.chunks("d").json == [{"id": "other"}]
    assert caller.counts == {"pending": 1}
    assert caller.heartbeat(["d"], "w") == 0
    assert caller.claim("v") == ["d"]


def test_document_without_chunks_is_pending(caller: Caller) -> None:
    reply = caller.stage("d", [])
    assert (reply.json["chunk_count"], reply.json["chunk_ids"]) == (0, [])
    assert caller.chunks("d").body == b"[]"
    assert caller.claim() == ["d"]


def test_gzipped_body_is_taken(caller: Caller) -> None:
    body = gzip.compress(json.dumps({"chunks": CHUNKS}).encode())
    reply = caller.ask("PUT", "/documents/d", body, [AUTH, (b"Content-Encoding", b"gzip")])
    assert reply.status == 200
    assert caller.chunks("d").json == CHUNKS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        [],
        {},
        {"chunks": None},
        {"chunks": {}},
        {"chunks": ["a"]},
        {"chunks": [None]},
        {"chunks": [{}]},
        {"chunks": [{"text": "a"}]},
        {"chunks": [{"id": None}]},
        {"chunks": [{"id": 1}]},
        {"chunks": [{"id": ""}]},
        {"chunks": [{"id": " \n"}]},
        {"chunks": [{"id": "a", "text": 1}]},
        {"chunks": [{"id": "a"}, {"id": "b"}, {"id": "a"}]},
    ],
)
def test_malformed_document_is_a_422_and_stages_nothing(caller: Caller, body: Any) -> None:
    refused(caller.ask("PUT", "/documents/d", body), 422, "validation_error")
    refused(caller.chunks("d"), 404, "not_found")
    assert caller.counts == {}


@pytest.mark.parametrize(
    "chunk",
    [b'{"id":"a"', b'{"id":"a","m":"\xff"}', b'{"id":"a","m":"\n"}', b'{"id":"a","m":tru}'],
)
def test_broken_json_is_a_400_and_stages_nothing(caller: Caller, chunk: bytes) -> None:
    body = b'{"chunks":[' + chunk + b"]}"
    refused(caller.ask("PUT", "/documents/d", body), 400, "bad_request")
    nested = b'{"chunks":[{"id":"a","m":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    refused(caller.ask("PUT", "/documents/d", nested), 400, "bad_request")
    refused(caller.chunks("d"), 404, "not_found")


def test_too_large_a_document_is_a_413_and_is_not_staged(caller: Caller) -> None:
    body = b'{"chunks":[{"id":"a","text":"' + b"x" * (16 * 1024 * 1024) + b'"}]}'
    with caller.gateway.connect() as connection:
        connection.send_what_is_taken(
            request_bytes("PUT", f"{caller.path}/documents/d", body, [AUTH])
        )
        refused(connection.receive(), 413, "payload_too_large")
    refused(caller.chunks("d"), 404, "not_found")


# As it is spelled in the path, and the id that it is.
SPELLINGS = [
    ("a/b", "a/b"),
    ("a%2Fb", "a/b"),
    ("a%252Fb", "a%2Fb"),
    ("%3F%23%25%20%3A;", "?#% :;"),
    ("%C3%A9", "é"),
    ("stage", "stage"),
    ("heartbeat", "heartbeat"),
    ("chunks", "chunks"),
    ("vectors", "vectors"),
    ("a%2Fchunks", "a/chunks"),
    ("chunks/x", "chunks/x"),
    ("/", "/"),
    ("x/", "x/"),
    ("x" * 1024, "x" * 1024),
]


@pytest.mark.parametrize(("spelled", "identifier"), SPELLINGS)
def test_document_ids_may_hold_anything(caller: Caller, spelled: str, identifier: str) -> None:
    body = {"chunks": [{"id": identifier}]}
    reply = caller.ask("PUT", f"/documents/{spelled}", body)
    assert (reply.status, reply.json["document_id"]) == (200, identifier)
    assert caller.ask("GET", f"/documents/{spelled}/chunks").json == [{"id": identifier}]
    assert caller.chunks(identifier).status == 200
    assert caller.claim() == [identifier]
    assert caller.vectors(identifier, [{"id": "r", "vector": [1]}]).status == 200


@pytest.mark.parametrize("spelled", ["%FF", "%C3", "x" * 1025, "%C3%A9" * 513])
def test_document_ids_that_cannot_be_are_a_422(caller: Caller, spelled: str) -> None:
    refused(caller.ask("PUT", f"/documents/{spelled}", {"chunks": []}), 422, "validation_error")


def test_staged_document_is_no_document_of_the_namespace(caller: Caller) -> None:
    caller.stage("d")
    caller.upstream.script()
    ask(caller.gateway, "GET", f"/v2/namespaces/{caller.namespace}/documents/d")
    assert caller.upstream.only.target.endswith(b"/query")


def test_unknown_document_is_a_404(caller: Caller) -> None:
    refused(caller.chunks("d"), 404, "not_found")


def large(count: int) -> list[dict[str, Any]]:
    return [{"id": f"c-{n}", "text": "x" * 500, "metadata": {"n": [n]}} for n in range(count)]


def test_large_document_is_read_back_byte_for_byte(caller: Caller) -> None:
    array = json.dumps(large(3000)).encode()
    reply = caller.ask("PUT", "/documents/d", b'{"chunks": ' + array + b', "x": 1}')
    assert reply.json["chunk_count"] == 3000
    assert reply.json["chunk_ids"] == [f"c-{n}" for n in range(3000)]
    assert caller.chunks("d").body == array


def test_fault_far_into_a_large_document_refuses_it_whole(caller: Caller) -> None:
    for spoiled in ({"id": "c-0"}, {"id": ""}, {"id": 1}):
        chunks = [*large(2000), spoiled, *large(0)]
        refused(caller.stage("d", chunks), 422, "validation_error")
    broken = json.dumps({"chunks": large(2000)}).encode()[:-3]
    refused(caller.ask("PUT", "/documents/d", broken), 400, "bad_request")
    refused(caller.chunks("d"), 404, "not_found")


def test_batch_stages_each_document_by_itself(caller: Caller) -> None:
    documents = [
        {"id": "a", "chunks": CHUNKS},
        {"id": "b", "chunks": [{"id": ""}]},
        {"id": "c"},
        {"id": "d", "chunks": "x"},
        {"id": " ", "chunks": []},
        {"id": "x" * 1025, "chunks": []},
        {"id": "a", "chunks": []},
        {"id": "e", "chunks": []},
    ]
    reply = caller.post("/documents", {"documents": documents})
    assert reply.status == 200
    assert list(reply.json) == ["pipeline_id", "staged", "documents", "failed"]
    assert (reply.json["pipeline_id"], reply.json["staged"]) == (caller.pipeline, 2)
    assert reply.json["documents"] == [
        {"document_id": "a", "stage": "pending", "chunk_count": 2},
        {"document_id": "e", "stage": "pending", "chunk_count": 0},
    ]
    failed = reply.json["failed"]
    assert [each["document_id"] for each in failed] == ["b", "c", "d", " ", "x" * 1025, "a"]
    assert {each["error"] for each in failed} == {"validation_error"}
    assert all(each["message"] for each in failed)
    assert caller.chunks("a").json == CHUNKS
    assert caller.counts == {"pending": 2}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        [],
        {},
        {"documents": None},
        {"documents": {}},
        {"documents": ["a"]},
        {"documents": [{"id": "a", "chunks": []}, {"chunks": []}]},
        {"documents": [{"id": "a", "chunks": []}, {"id": 1, "chunks": []}]},
        {"documents": [{"id": str(n), "chunks": []} for n in range(10_001)]},
    ],
)
def test_malformed_batch_is_a_422_and_stages_nothing(caller: Caller, body: Any) -> None:
    refused(caller.post("/documents", body), 422, "validation_error")
    assert caller.counts == {}


def test_empty_batch_stages_nothing(caller: Caller) -> None:
    reply = caller.post("/documents", {"documents": []})
    assert reply.json == {
        "pipeline_id": caller.pipeline,
        "staged": 0,
        "documents": [],
        "failed": [],
    }


def test_large_batch_is_staged_in_order(caller: Caller) -> None:
    documents = [
        {"id": f"d-{n}", "chunks": [{"id": f"{n}-{i}", "text": "x" * 400} for i in range(2)]}
        for n in range(2500)
    ]
    reply = caller.post("/documents", {"documents": documents})
    assert reply.json["staged"] == 2500
    assert [each["document_id"] for each in reply.json["documents"]] == [
        each["id"] for each in documents
    ]
    assert caller.claim(limit=10_000) == [each["id"] for each in documents]
    assert caller.chunks("d-2499").json == documents[-1]["chunks"]


def test_fault_far_into_a_large_batch_stages_nothing(caller: Caller) -> None:
    documents = [{"id": f"d-{n}", "chunks": large(2)} for n in range(500)]
    broken = json.dumps({"documents": documents}).encode()[:-2] + b",]}"
    refused(caller.ask("POST", "/documents", broken), 400, "bad_request")
    refused(caller.post("/documents", {"documents": [*documents, {"id": 1}]}), 422,
            "validation_error")  # fmt: skip
    assert caller.counts == {}


def test_chunks_of_several_documents_come_in_the_order_asked_for(caller: Caller) -> None:
    for name in ("a", "b", "c"):
        caller.stage(name, [{"id": name}])
    caller.move(["made"], "pending", create_missing=True)
    ids = ["c", "x", "a", "made", "y", "c"]
    reply = caller.post("/documents/chunks", {"document_ids": ids})
    assert reply.status == 200
    assert reply.json == {
        "documents": [
            {"document_id": "c", "chunks": [{"id": "c"}]},
            {"document_id": "a", "chunks": [{"id": "a"}]},
            {"document_id": "made", "chunks": []},
            {"document_id": "c", "chunks": [{"id": "c"}]},
        ],
        "missing": ["x", "y"],
    }
    for few in ([], ["x"]):
        reply = caller.post("/documents/chunks", {"document_ids": few})
        assert reply.json == {"documents": [], "missing": few}


def test_chunks_of_many_large_documents_are_streamed(caller: Caller) -> None:
    documents = [{"id": f"d-{n}", "chunks": large(1000)} for n in range(30)]
    for document in documents:
        assert caller.stage(document["id"], document["chunks"]).status == 200
    ids = [document["id"] for document in documents]
    reply = caller.post("/documents/chunks", {"document_ids": [*ids, "x"]})
    assert reply.value(b"content-length") is None
    assert reply.complete
    found = reply.json
    assert found["missing"] == ["x"]
    assert [each["document_id"] for each in found["documents"]] == ids
    assert all(
        each["chunks"] == document["chunks"]
        for each, document in zip(found["documents"], documents, strict=True)
    )
    claimed = caller.post("/claim", {"worker_id": "w", "include_chunks": True}).json
    assert claimed["documents"] == ids
    # What the store cannot give in its time is left out, and is there when it is asked for again.
    left_out = {each: caller.chunks(each).json for each in ids if each not in claimed["chunks"]}
    chunks = claimed["chunks"] | left_out
    assert chunks == {document["id"]: document["chunks"] for document in documents}


@pytest.mark.parametrize(
    "body",
    [b"", {}, {"document_ids": None}, {"document_ids": [1]}, {"document_ids": ["x"] * 10_001}],
)
def test_malformed_batch_read_is_a_422(caller: Caller, body: Any) -> None:
    refused(caller.ask("POST", "/documents/chunks", body), 422, "validation_error")
