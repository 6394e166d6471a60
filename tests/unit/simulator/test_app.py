"""The application as such: routing, keys, faults, commit time; without sockets."""

import asyncio
import gzip
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from starlette.types import ASGIApp

from hevfast.simulator.app import build
from hevfast.simulator.options import Fault, Options

KEY = {"authorization": "Bearer any"}
ONE_ROW = {"upsert_rows": [{"id": 1}]}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def call(
    app: ASGIApp, method: str, target: str, body: object = b"", headers: Mapping[str, str] = KEY
) -> Answer:
    """Send one request into an application and collect its answer."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("test", 80),
        "scheme": "http",
    }
    # Two parts, since large bodies arrive in many.
    half = len(raw) // 2
    parts = [
        {"type": "http.request", "body": raw[:half], "more_body": True},
        {"type": "http.request", "body": raw[half:], "more_body": False},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, b"".join(part["body"] for part in sent[1:]))


def ask(app: ASGIApp, method: str, target: str, *rest: Any) -> Answer:
    return asyncio.run(call(app, method, target, *rest))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/health", 404),
        ("GET", "/v1/namespaces/", 404),
        ("POST", "/v1/namespaces/books/query", 404),
        ("GET", "/v2/namespaces/books", 405),
        ("POST", "/v1/namespaces", 405),
        ("DELETE", "/v1/namespaces/books/schema", 405),
        ("PATCH", "/v2/namespaces/books/metadata", 405),
    ],
)
def test_unknown_path_or_method_is_json(method: str, path: str, status: int) -> None:
    answer = ask(build(), method, path)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["status"] == "error"
    assert answer.json()["error"].startswith("💔 ")


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "any"}, {"authorization": "Basic x"}, {"authorization": "Bearer "}],
)
def test_request_without_bearer_key_is_401_on_every_path(headers: dict[str, str]) -> None:
    for path in ("/v1/namespaces", "/nowhere"):
        answer = ask(build(), "GET", path, b"", headers)
        assert (answer.status, answer.json()["status"]) == (401, "error")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":1}x', b"[" * 100_000])
def test_malformed_json_is_400(body: bytes) -> None:
    answer = ask(build(), "POST", "/v2/namespaces/books", body)
    assert (answer.status, answer.json()["status"]) == (400, "error")


def test_body_that_is_no_object_is_422() -> None:
    answer = ask(build(), "POST", "/v2/namespaces/books", [])
    assert answer.status == 422
    assert "invalid type: sequence, expected a map" in answer.json()["error"]


def test_declared_length_over_the_limit_is_413_before_reading() -> None:
    headers = KEY | {"content-length": str(512 * 1024 * 1024 + 1)}
    assert ask(build(), "POST", "/v2/namespaces/books", b"{}", headers).status == 413


def test_unknown_compression_is_400() -> None:
    answer = ask(build(), "POST", "/v2/namespaces/books", b"{}", KEY | {"content-encoding": "br"})
    assert answer.status == 400


def test_large_gzip_body_is_read_in_a_thread_and_applied() -> None:
    app = build()
    rows = [{"id": number, "text": "x" * 1000} for number in range(200)]
    body = gzip.compress(msgspec.json.encode({"upsert_rows": rows}))
    headers = KEY | {"content-encoding": "gzip"}
    assert ask(app, "POST", "/v2/namespaces/books", body, headers).json()["rows_affected"] == 200


def test_each_application_has_its_own_state() -> None:
    first, second = build(), build()
    ask(first, "POST", "/v2/namespaces/books", ONE_ROW)
    assert ask(first, "GET", "/v1/namespaces/books/schema").status == 200
    assert ask(second, "GET", "/v1/namespaces/books/schema").status == 404


def test_injected_fault_answers_its_status_and_applies_nothing() -> None:
    app = build(Options(faults=(Fault(1.0, status=503),)))
    answer = ask(app, "POST", "/v2/namespaces/books", ONE_ROW)
    assert (answer.status, answer.json()["status"]) == (503, "error")
    assert ask(app, "GET", "/v1/namespaces/books/schema").status == 404


def test_write_answers_after_the_commit_time_and_reads_do_not_wait() -> None:
    app = build(Options(commit_ms=(60, 60)))

    async def scenario() -> None:
        started_s = time.monotonic()
        pending = asyncio.create_task(call(app, "POST", "/v2/namespaces/books", ONE_ROW))
        early = await call(app, "GET", "/v1/namespaces/books/schema")
        assert not pending.done()
        assert early.status == 404
        answer = await pending
        assert answer.status == 200
        assert time.monotonic() - started_s >= 0.06
        assert answer.json()["performance"]["server_total_ms"] >= 60
        assert (await call(app, "GET", "/v1/namespaces/books/schema")).status == 200

    asyncio.run(scenario())


def test_asynchronous_copy_is_finished_when_polled() -> None:
    app = build()
    ask(app, "POST", "/v2/namespaces/books", ONE_ROW)
    copy = {"copy_from_namespace": {"source_namespace": "books"}}
    outcomes = []
    for _ in range(2):
        started = ask(
            app, "POST", "/v2/namespaces/twin/async?stainless_overload=startCopyFrom", copy
        )
        token = started.json()["token"]
        operation = ask(app, "GET", f"/v1/namespaces/twin/operations/{token}").json()
        assert operation["status"] == "finished"
        outcomes.append(operation["result"])
    assert outcomes[0]["success"]["rows_affected"] == 1
    assert outcomes[1]["error"]["status_code"] == 400
    assert "destination namespace already exists" in outcomes[1]["error"]["detail"]["error"]
    assert ask(app, "GET", "/v1/namespaces/books/operations/op_1").status == 404


def test_unexpected_failure_is_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hevfast.simulator.catalogue.Catalogue.page", fail)
    sent: list[Any] = []

    async def scenario() -> None:
        app = build()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/v1/namespaces", "query_string": b""}
        scope["headers"] = [(b"authorization", b"Bearer any")]
        # Starlette answers first and then raises again, so that the server can log it.
        with pytest.raises(ZeroDivisionError):
            await app(scope, None, send)  # type: ignore[arg-type]  # nothing is received

    asyncio.run(scenario())
    assert sent[0]["status"] == 500
    assert msgspec.json.decode(sent[1]["body"])["status"] == "error"
