"""A pipeline's own life, and what all routes below one have in common."""

import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.pipelines.calling import Caller, ask, caller, gateway, refused
from tests.fakes.client import AUTH
from tests.fakes.gateway import RunningGateway

__all__ = ["caller", "gateway"]

CREATE = {"id": "p", "target_namespace": "ns"}

# Every route below a pipeline, with a body that would be right.
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("DELETE", "", None),
    ("GET", "/status", None),
    ("POST", "/pause", None),
    ("POST", "/resume", None),
    ("POST", "/claim", {"worker_id": "w"}),
    ("POST", "/documents", {"documents": [{"id": "d", "chunks": []}]}),
    ("POST", "/documents", {"documents": []}),
    ("POST", "/documents/chunks", {"document_ids": ["d"]}),
    ("POST", "/documents/chunks", {"document_ids": []}),
    ("POST", "/documents/heartbeat", {"document_ids": ["d"], "worker_id": "w"}),
    ("POST", "/documents/stage", {"document_ids": ["d"], "stage": "pending"}),
    ("PUT", "/documents/d", {"chunks": []}),
    ("GET", "/documents/d/chunks", None),
    ("PUT", "/documents/d/vectors", {"vectors": [{"id": "r", "vector": [1]}]}),
]


def test_created_pipeline_is_answered_whole_and_listed_at_once(caller: Caller) -> None:
    body = {"id": "made", "target_namespace": "ns-1", "distance_metric": "euclidean_squared"}
    reply = ask(caller.gateway, "POST", "/v2/pipelines", body)
    assert reply.status == 201
    made = reply.json
    assert list(made) == ["id", "target_namespace", "distance_metric", "created_at"]
    assert {**made, **body} == made
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["created_at"])
    listed = ask(caller.gateway, "GET", "/v2/pipelines")
    assert listed.status == 200
    assert listed.json["pipelines"][-1] == made
    assert caller.upstream.requests == []


@pytest.mark.parametrize("metric", [{}, {"distance_metric": None}])
def test_distance_metric_is_the_cosine_if_none_is_named(caller: Caller, metric: Any) -> None:
    body = {"id": f"metric-{len(metric)}", "target_namespace": "ns", **metric}
    reply = ask(caller.gateway, "POST", "/v2/pipelines", body)
    assert reply.json["distance_metric"] == "cosine_distance"


def test_taken_id_is_a_409_and_leaves_the_pipeline(caller: Caller) -> None:
    before = caller.ask("GET", "").json
    refused(caller.create(), 409, "conflict")
    assert caller.ask("GET", "").json == before


def test_pipeline_can_be_read_paused_and_resumed(caller: Caller) -> None:
    plain = caller.ask("GET", "").json
    assert plain["paused"] is False
    caller.stage("d")
    paused = caller.ask("POST", "/pause")
    assert (paused.status, paused.json) == (200, {**plain, "paused": True})
    assert caller.ask("GET", "").json == paused.json
    assert caller.claim() == []
    assert caller.stage("e").status == 200
    assert caller.status["pending_count"] == 2
    assert caller.ask("POST", "/resume").json == plain
    assert caller.claim() == ["d", "e"]


def test_deleted_pipeline_is_gone_with_its_documents(caller: Caller) -> None:
    caller.stage("d")
    reply = caller.ask("DELETE", "")
    assert (reply.status, reply.json["status"]) == (200, "OK")
    refused(caller.ask("DELETE", ""), 404, "not_found")
    assert caller.create().status == 201
    refused(caller.chunks("d"), 404, "not_found")
    assert caller.counts == {}


@pytest.mark.parametrize(("method", "below", "body"), ROUTES)
def test_unknown_pipeline_is_a_404_everywhere(
    caller: Caller, method: str, below: str, body: Any
) -> None:
    reply = ask(caller.gateway, method, f"/v2/pipelines/nobody{below}", body)
    refused(reply, 404, "not_found")
    assert caller.upstream.requests == []


@pytest.mark.parametrize(("method", "below", "body"), ROUTES)
def test_no_route_answers_without_a_key(caller: Caller, method: str, below: str, body: Any) -> None:
    refused(caller.ask(method, below, body, []), 401, "unauthorized")
    other = [(b"Authorization", b"Bearer other")]
    refused(caller.ask(method, below, body, other), 403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        [],
        {},
        {"id": "p"},
        {"target_namespace": "ns"},
        {**CREATE, "id": 1},
        {**CREATE, "id": None},
        {**CREATE, "id": ""},
        {**CREATE, "id": " \t"},
        {**CREATE, "id": "x" * 257},
        {**CREATE, "id": "é" * 129},
        {**CREATE, "target_namespace": ""},
        {**CREATE, "target_namespace": "a/b"},
        {**CREATE, "target_namespace": ".."},
        {**CREATE, "target_namespace": "n" * 129},
        {**CREATE, "distance_metric": ""},
        {**CREATE, "distance_metric": 1},
    ],
)
def test_malformed_pipeline_is_a_422(caller: Caller, body: Any) -> None:
    refused(ask(caller.gateway, "POST", "/v2/pipelines", body), 422, "validation_error")


@pytest.mark.parametrize("below", ["", "/x/claim", "/x/documents/stage", "/x/documents"])
@pytest.mark.parametrize("body", [b"{", b"{]", b'{"id":"\xff"}', b'{"x":' + b"[" * 100_000])
def test_broken_json_is_a_400(caller: Caller, below: str, body: bytes) -> None:
    target = "/v2/pipelines" + below.replace("x", caller.pipeline)
    refused(ask(caller.gateway, "POST", target, body), 400, "bad_request")


@pytest.mark.parametrize("below", ["/claim", "/documents", "/documents/chunks", "/documents/stage"])
def test_too_large_a_body_is_a_413_before_it_is_read(caller: Caller, below: str) -> None:
    headers = [AUTH, (b"Content-Length", b"%d" % (64 * 1024 * 1024 + 1))]
    refused(caller.ask("POST", below, None, headers), 413, "payload_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/pipelines/",
        "/v2/pipelinesx",
        "/v2/pipelines//status",
        "/v2/pipelines/p/",
        "/v2/pipelines/p/other",
        "/v2/pipelines/p/status/",
        "/v2/pipelines/p/documents/",
        "/v2/pipelines/p/documents//chunks",
        "/v2/pipelines/p/documentsx",
        "/v2/pipelines/p/claim/x",
    ],
)
def test_other_paths_are_a_404(caller: Caller, path: str) -> None:
    refused(ask(caller.gateway, "GET", path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "below", "allowed"),
    [
        ("PATCH", "", b"GET, DELETE, HEAD"),
        ("POST", "/status", b"GET, HEAD"),
        ("GET", "/claim", b"POST"),
        ("GET", "/documents", b"POST"),
        ("GET", "/documents/d", b"PUT"),
        ("POST", "/documents/d", b"PUT"),
        ("DELETE", "/documents/heartbeat", b"PUT"),
        ("PUT", "/documents/d/chunks", b"GET, HEAD"),
        ("POST", "/documents/d/vectors", b"PUT"),
    ],
)
def test_other_methods_are_a_405_that_names_the_right_ones(
    caller: Caller, method: str, below: str, allowed: bytes
) -> None:
    reply = caller.ask(method, below)
    refused(reply, 405, "method_not_allowed")
    assert reply.value(b"allow") == allowed


def test_head_is_get_without_the_body(caller: Caller) -> None:
    reply = caller.ask("HEAD", "/status")
    length = len(caller.ask("GET", "/status").body)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.value(b"content-length") == b"%d" % length


@pytest.mark.parametrize("name", ["a b", "a/b", "ü%41", "?#:;", "..", "x" * 256])
def test_pipeline_ids_may_hold_anything(gateway: RunningGateway, name: str) -> None:
    body = {"id": name, "target_namespace": "ns"}
    assert ask(gateway, "POST", "/v2/pipelines", body).json["id"] == name
    reply = ask(gateway, "GET", f"/v2/pipelines/{quote(name, safe='')}")
    assert reply.json["id"] == name


@pytest.mark.parametrize("name", ["%FF", "x" * 257])
def test_pipeline_ids_that_cannot_be_are_a_422(caller: Caller, name: str) -> None:
    refused(ask(caller.gateway, "GET", f"/v2/pipelines/{name}/status"), 422, "validation_error")
