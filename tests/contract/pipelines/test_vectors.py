"""Writing a document's vectors: what upstream is sent, and what becomes of the document."""

import asyncio
import json
import re
from typing import Any

import pytest

from tests.contract.pipelines.calling import CHUNKS, Caller, ask, caller, gateway, refused, soon
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import OK_BODY, Step, Upstream, Wire, answer, raw

__all__ = ["caller", "gateway"]

ROWS = [{"id": "r-0", "vector": [1, 0]}, {"id": "r-1", "vector": [0, 1]}]
STAMPS = re.compile(rb'"_hevlayer_(?:upserted_at|shard)": *\d+,')


@pytest.fixture
def staged(caller: Caller) -> Caller:
    caller.stage("d")
    return caller


def sent(caller: Caller, n: int = -1) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(STAMPS.sub(b"", caller.upstream.requests[n].body))
    return body


def test_rows_go_upstream_stamped_and_the_document_is_indexed(staged: Caller) -> None:
    before = staged.status["indexed_rate_per_min"]
    reply = staged.vectors("d", ROWS)
    assert (reply.status, reply.body) == (200, OK_BODY)
    request = staged.upstream.only
    assert (request.method, request.target) == (
        "POST",
        f"/v2/namespaces/{staged.namespace}".encode(),
    )
    assert request.values(b"authorization") == [b"Bearer key-1"]
    assert len(STAMPS.findall(request.body)) == 4
    assert sent(staged) == {"distance_metric": "cosine_distance", "upsert_rows": ROWS}
    assert staged.counts == {"indexed": 1}
    assert staged.status["indexed_rate_per_min"] == before + 1
    assert staged.chunks("d").body == b"[]"
    assert staged.claim() == []


def test_bytes_of_rows_are_the_callers(staged: Caller) -> None:
    body = (
        b'{"vectors": [ {"id":"\\u00e9\xc3\xa9" , "vector":[1.10,2E+3], "attributes":{ "n":1e-7,\n'
        b'"big":18446744073709551616, "t":{"id":1} } } , {"attributes":{},"vector":"AACAPwAAAD8=",'
        b'"id":18446744073709551615},{"id":7,"vectors":[[1,2],[3.0,4]],"attributes":null}], "x":1}'
    )
    assert staged.ask("PUT", "/documents/d/vectors", body).status == 200
    assert STAMPS.sub(b"", staged.upstream.only.body) == (
        b'{"distance_metric":"cosine_distance","upsert_rows":['
        b'{"id":"\\u00e9\xc3\xa9","vector":[1.10,2E+3], "n":1e-7,\n'
        b'"big":18446744073709551616, "t":{"id":1} },'
        b'{"id":18446744073709551615,"vector":"AACAPwAAAD8="},'
        b'{"id":7,"vectors":[[1,2],[3.0,4]]}]}'
    )


def test_many_rows_arrive_whole_and_in_order(staged: Caller) -> None:
    rows = [{"id": f"r-{n}", "vector": [n] * 50, "attributes": {"n": n}} for n in range(3000)]
    assert staged.vectors("d", rows).status == 200
    flat = [{"id": row["id"], "vector": row["vector"], "n": n} for n, row in enumerate(rows)]
    assert sent(staged)["upsert_rows"] == flat


def test_rows_are_cached_like_those_of_any_write(staged: Caller) -> None:
    staged.vectors("d", [{**ROWS[0], "attributes": {"text": "tide"}}])
    asked = len(staged.upstream.requests)
    path = f"/v2/namespaces/{staged.namespace}/documents/r-0"
    reply = ask(staged.gateway, "GET", path)
    assert reply.value(b"x-layer-cache") == b"hit"
    assert reply.json["attributes"]["text"] == "tide"
    assert "_hevlayer_upserted_at" in reply.json["attributes"]
    assert len(staged.upstream.requests) == asked


@pytest.mark.parametrize(
    "step",
    [
        answer(400, b'{"status":"error","error":"bad dimension"}'),
        answer(429, b"slow down", [(b"Retry-After", b"3"), (b"Content-Type", b"text/plain")]),
        answer(500, b"{}"),
        answer(503, b"busy", [(b"Content-Type", b"text/plain")]),
    ],
)
def test_refusal_of_upstream_is_relayed_and_leaves_the_document(staged: Caller, step: Step) -> None:
    staged.claim("w")
    staged.upstream.script(step)
    reply = staged.vectors("d", ROWS)
    direct = staged.upstream.script(step) or ask(
        staged.gateway, "POST", f"/v2/namespaces/{staged.namespace}", {"upsert_rows": ROWS}
    )
    dated = {b"date", b"content-length"}
    assert (reply.status, reply.body) == (direct.status, direct.body)
    assert [h for h in reply.headers if h[0] not in dated] == [
        h for h in direct.headers if h[0] not in dated
    ]
    assert staged.counts == {"embedding": 1}
    assert staged.chunks("d").json == CHUNKS
    assert staged.heartbeat(["d"], "w") == 1


def test_upstream_that_breaks_off_is_a_502_and_leaves_the_document(staged: Caller) -> None:
    staged.upstream.script(raw(b"", reset=True))
    refused(staged.vectors("d", ROWS), 502, "upstream_error")
    assert staged.counts == {"pending": 1}
    soon(lambda: staged.status["status"] == "waiting_on_upstream")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("direct", [False, True])
def test_pipeline_waits_on_upstream_when_that_pushes_back(
    staged: Caller, status: int, direct: bool
) -> None:
    assert staged.status["status"] == "pending"
    staged.upstream.script(answer(status, b"{}"))
    if direct:
        ask(staged.gateway, "POST", f"/v2/namespaces/{staged.namespace}", {"deletes": [1]})
    else:
        staged.vectors("d", ROWS)
    soon(lambda: staged.status["status"] == "waiting_on_upstream")
    staged.move(["d"], "indexed")
    assert staged.status["status"] == "idle"


def test_worker_that_says_who_it_is_must_hold_the_document(staged: Caller) -> None:
    refused(staged.vectors("d", ROWS, "?worker_id=w"), 409, "conflict")
    staged.claim("w a/b")
    refused(staged.vectors("d", ROWS, "?worker_id=v"), 409, "conflict")
    assert staged.upstream.requests == []
    for _ in range(2):
        # The answer may be lost, and the same be sent again.
        assert staged.vectors("d", ROWS, "?worker_id=w%20a%2Fb").status == 200
    assert staged.counts == {"indexed": 1}
    refused(staged.vectors("d", ROWS, "?worker_id=v"), 409, "conflict")


def test_rows_of_the_version_before_can_be_replaced(staged: Caller) -> None:
    first = [{"id": name, "vector": [1]} for name in ("a", "b", 7, "é")]
    assert staged.vectors("d", first, "?replace=true").status == 200
    assert "deletes" not in sent(staged)
    staged.stage("d", [])
    # The id that was spelled with an escape before is spelled without one now.
    body = b'{"vectors":[{"id":"\xc3\xa9","vector":[1]},{"id":"a","vector":[1]}]}'
    reply = staged.ask("PUT", "/documents/d/vectors?replace=true", body)
    assert reply.status == 200
    assert sent(staged)["deletes"] == ["b", 7]
    staged.vectors("d", [{"id": "z", "vector": [1]}])
    assert "deletes" not in sent(staged)


def test_document_staged_anew_meanwhile_stays_pending(
    staged: Caller, gateway: RunningGateway, upstream: Upstream
) -> None:
    async def act(wire: Wire) -> None:
        await asyncio.to_thread(staged.stage, "d", [{"id": "newer"}])
        await answer().act(wire)

    upstream.script(Step(act))
    reply = staged.vectors("d", ROWS)
    assert (reply.status, reply.body) == (200, OK_BODY)
    assert reply.value(b"x-layer-warning") == b"document_changed_not_indexed"
    assert staged.counts == {"pending": 1}
    assert staged.chunks("d").json == [{"id": "newer"}]


def test_pipeline_deleted_meanwhile_does_not_hide_that_rows_are_written(
    staged: Caller, upstream: Upstream
) -> None:
    async def act(wire: Wire) -> None:
        await asyncio.to_thread(staged.ask, "DELETE", "")
        await answer().act(wire)

    upstream.script(Step(act))
    reply = staged.vectors("d", ROWS)
    assert (reply.status, reply.body) == (200, OK_BODY)
    assert reply.value(b"x-layer-warning") == b"document_changed_not_indexed"


def test_document_made_without_chunks_can_be_indexed(caller: Caller) -> None:
    caller.move(["d"], "pending", create_missing=True)
    assert caller.vectors("d", ROWS).status == 200
    assert caller.counts == {"indexed": 1}


def test_unknown_document_is_a_404_and_upstream_sees_nothing(caller: Caller) -> None:
    refused(caller.vectors("d", ROWS), 404, "not_found")
    assert caller.upstream.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        [],
        {},
        {"vectors": None},
        {"vectors": []},
        {"vectors": {}},
        {"vectors": ["a"]},
        {"vectors": [{"vector": [1]}]},
        {"vectors": [{"id": "a"}]},
        {"vectors": [{"id": "a", "vector": None, "vectors": None}]},
        {"vectors": [{"id": "a", "vector": [1], "vectors": [[1]]}]},
        {"vectors": [{"id": None, "vector": [1]}]},
        {"vectors": [{"id": ["a"], "vector": [1]}]},
        {"vectors": [{"id": "_hevlayer:x", "vector": [1]}]},
        {"vectors": [{"id": "a", "vector": []}]},
        {"vectors": [{"id": "a", "vector": {}}]},
        {"vectors": [{"id": "a", "vectors": []}]},
        {"vectors": [{"id": "a", "vector": [1], "attributes": []}]},
        {"vectors": [{"id": "a", "vector": [1], "attributes": {"id": "b"}}]},
        {"vectors": [{"id": "a", "vector": [1], "attributes": {"vector": [2]}}]},
        {"vectors": [{"id": "a", "vector": [1], "attributes": {"vectors": [[2]]}}]},
        {"vectors": [{"id": "a", "vector": [1], "attributes": {"_hevlayer_shard": 1}}]},
        {"vectors": [{"id": "a", "vector": [1], "attributes": {"_hevlayer_x": 1}}]},
    ],
)
def test_malformed_vectors_are_a_422_and_upstream_sees_nothing(staged: Caller, body: Any) -> None:
    refused(staged.ask("PUT", "/documents/d/vectors", body), 422, "validation_error")
    assert staged.upstream.requests == []
    assert staged.counts == {"pending": 1}


@pytest.mark.parametrize("query", ["?replace=maybe", "?worker_id=", "?worker_id=%20"])
def test_malformed_wishes_are_a_422(staged: Caller, query: str) -> None:
    refused(staged.vectors("d", ROWS, query), 422, "validation_error")
    assert staged.upstream.requests == []


def test_broken_json_is_a_400(staged: Caller) -> None:
    for body in (b'{"vectors":[', b'{"vectors":[{"id":"\xff","vector":[1]}]}'):
        refused(staged.ask("PUT", "/documents/d/vectors", body), 400, "bad_request")
