"""Upstream misbehaves: the client gets a JSON 502 that says how, and nothing is sent twice."""

from collections.abc import Iterator

import pytest

from tests.fakes.client import AUTH, request_bytes
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import (
    Step,
    Upstream,
    Wire,
    answer,
    chunked,
    cut_short,
    drip,
    head,
    raw,
    silence,
    unused_port,
)

ROWS = b'{"upsert_rows":[{"id":1}]}'
LARGE = b'{"upsert_rows":[' + b",".join(b'{"id":%d}' % n for n in range(600_000)) + b"]}"
ROUTES = [
    ("POST", "/v2/namespaces/ns", "write"),
    ("POST", "/v2/namespaces/ns/query", "query"),
    ("GET", "/v1/namespaces", "passthrough"),
    ("DELETE", "/v2/namespaces/ns", "delete"),
]

FAULTS = {
    "reset before the answer": raw(b"", reset=True),
    "close before the answer": raw(b"", close=True),
    "close within the head": raw(b"HTTP/1.1 200 OK\r\nContent-Le", close=True),
    "reset within the head": raw(b"HTTP/1.1 200 OK\r\nContent-Le", reset=True),
    "cut short": cut_short(b'{"status":"OK"', 100),
    "cut short by a reset": cut_short(b'{"status":"OK"', 100, reset=True),
    "chunks without an end": chunked([b'{"status":', b'"OK"'], end=False),
    "chunk of a bad size": raw(
        head(200, [(b"Transfer-Encoding", b"chunked")]) + b"zz\r\n{}\r\n", close=True
    ),
    "garbage": raw(b"\x00\x01\x02 what\r\n\r\n", close=True),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", close=True),
    "endless head": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, close=True),
    "control character in a header": raw(
        b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\n{}", close=True
    ),
    "two lengths": raw(
        head(200, [(b"Content-Length", b"2"), (b"Content-Length", b"3")]) + b"{}x", close=True
    ),
    "length and chunks": raw(
        head(200, [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")])
        + b"2\r\n{}\r\n0\r\n\r\n",
        close=True,
    ),
    "negative length": raw(head(200, [(b"Content-Length", b"-3")]) + b"{}", close=True),
    "status 000": raw(b"HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\n{}", close=True),
    "status 101": raw(head(101, [(b"Upgrade", b"x"), (b"Connection", b"upgrade")]), close=True),
    "status 999": raw(head(999, [(b"Content-Length", b"2")]) + b"{}", close=True),
    "status of four digits": raw(head(1000, [(b"Content-Length", b"2")]) + b"{}", close=True),
    "endless interim answers": drip(b"HTTP/1.1 199 X\r\n\r\n" * 2000, 0.0005),
    "silence": silence(),
    "silence within the body": raw(head(200, [(b"Content-Length", b"9")]) + b"{"),
    "drip without an end": drip(head(200, []) + b"x" * 5000, 0.01),
}


@pytest.fixture(scope="module")
def gateway_settings() -> dict[str, str]:
    return {
        "HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS": "500",
        "HEVFAST_UPSTREAM_READ_TIMEOUT_MS": "250",
        "HEVFAST_UPSTREAM_TOTAL_TIMEOUT_MS": "600",
    }


@pytest.mark.parametrize(("method", "path", "deed"), ROUTES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_a_json_502_and_the_request_is_sent_once(
    gateway: RunningGateway, upstream: Upstream, fault: Step, method: str, path: str, deed: str
) -> None:
    upstream.script(fault)
    reply = gateway.ask(method, path, ROWS)
    assert reply.status == 502
    assert reply.json["error"] == "upstream_error"
    assert reply.json["message"].startswith(f"Turbopuffer {deed} failed: ")
    assert reply.value(b"server") == b"hevfast"
    assert len(upstream.requests) == 1
    # The next request is not harmed by what the last one left behind.
    assert gateway.ask(method, path, ROWS).status == 200


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
def test_connection_closed_while_idle_does_no_harm(
    gateway: RunningGateway, upstream: Upstream, method: str
) -> None:
    for _ in range(3):
        upstream.script(answer(close=True))
        assert gateway.ask(method, "/v2/namespaces/ns", ROWS).status == 200


def test_unasked_answer_is_never_taken_for_the_next_one(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    stale = head(200, [(b"Content-Length", b"5")]) + b"stale"
    good = head(200, [(b"Content-Length", b"4")]) + b"good"
    for path in ("/v2/namespaces/ns", "/v2/namespaces/ns/query"):
        upstream.script(raw(good + stale))
        assert gateway.ask("POST", path, ROWS).body == b"good"
        upstream.script(raw(good))
        assert gateway.ask("POST", path, ROWS).body == b"good"


@pytest.mark.parametrize("path", ["/v2/namespaces/ns", "/v2/namespaces/ns/query"])
@pytest.mark.parametrize("close", [True, False])
def test_early_answer_is_relayed_while_the_body_is_being_sent(
    gateway: RunningGateway, upstream: Upstream, path: str, close: bool
) -> None:
    body = b'{"status":"error","error":"too large"}'
    upstream.script(answer(413, body, early=True, close=close))
    with gateway.connect() as connection:
        connection.send_what_is_taken(request_bytes("POST", path, LARGE))
        reply = connection.receive()
    # Upstream may close before it was heard; then all that is known is that it closed.
    if reply.status == 502:
        assert close
    else:
        assert (reply.status, reply.body) == (413, body)
    assert gateway.ask("POST", path, ROWS).status == 200


@pytest.mark.parametrize("path", ["/v2/namespaces/ns", "/v2/namespaces/ns/query"])
def test_upstream_that_stops_reading_is_given_up(
    gateway: RunningGateway, upstream: Upstream, path: str
) -> None:
    async def stop_reading(wire: Wire) -> None:
        await wire.writer.wait_closed()

    upstream.script(Step(stop_reading, early=True))
    with gateway.connect() as connection:
        connection.send_what_is_taken(request_bytes("POST", path, LARGE))
        assert connection.receive().status == 502


@pytest.mark.parametrize(("method", "path", "deed"), ROUTES)
def test_refused_connection_is_a_502(method: str, path: str, deed: str) -> None:
    for gateway in _gateway_to(f"http://127.0.0.1:{unused_port()}"):
        reply = gateway.ask(method, path, ROWS)
        assert reply.status == 502
        expected = f"Turbopuffer {deed} failed: connection refused."
        assert reply.json == {"error": "upstream_error", "message": expected}
        assert gateway.log.count("upstream_error") == 1


def test_unknown_host_is_a_502() -> None:
    for gateway in _gateway_to("http://no-such-host.invalid"):
        reply = gateway.ask("POST", "/v2/namespaces/ns", ROWS)
        assert reply.status == 502
        assert "could not be resolved" in reply.json["message"]


def test_upstream_without_tls_is_a_502(upstream: Upstream) -> None:
    upstream.script(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", close=True))
    url = f"https://127.0.0.1:{upstream.port}"
    for gateway in _gateway_to(url, HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS="300"):
        reply = gateway.ask("POST", "/v2/namespaces/ns", ROWS)
        assert reply.status == 502
        assert reply.json["error"] == "upstream_error"


def test_waiting_for_a_free_connection_ends(upstream: Upstream) -> None:
    settings = {
        "HEVFAST_UPSTREAM_CONNECTIONS_MAX": "1",
        "HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS": "100",
        "HEVFAST_UPSTREAM_READ_TIMEOUT_MS": "2000",
    }
    for gateway in _gateway_to(upstream.url, **settings):
        upstream.script(silence())
        with gateway.connect() as first:
            first.send(request_bytes("POST", "/v2/namespaces/ns", ROWS, [AUTH]))
            upstream.wait(1)
            reply = gateway.ask("POST", "/v2/namespaces/ns", ROWS)
            assert reply.status == 502
            assert "waiting for a connection" in reply.json["message"]
            assert first.receive().status == 502
        assert gateway.ask("POST", "/v2/namespaces/ns", ROWS).status == 200


def _gateway_to(url: str, **settings: str) -> Iterator[RunningGateway]:
    with running_gateway(url, **settings) as gateway:
        yield gateway
