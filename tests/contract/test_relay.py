"""What travels in each direction, and what does not."""

import gzip

import pytest

from tests.fakes.client import AUTH
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import OK_BODY, Upstream, answer, chunked, drip, head, raw

ROWS = b'{"upsert_rows":[{"id":1}]}'
ROUTES = [("POST", "/v2/namespaces/ns"), ("POST", "/v2/namespaces/ns/query")]
BOTH = pytest.mark.parametrize(("method", "path"), ROUTES)

ERROR = '{"status":"error","error":"💔 no such thing"}'.encode()


@BOTH
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 422, 429, 500, 502, 503])
def test_upstream_status_and_bytes_are_relayed(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str, status: int
) -> None:
    headers = [(b"Content-Type", b"application/json; charset=utf-8"), (b"Retry-After", b"7")]
    upstream.script(answer(status, ERROR, headers))
    reply = gateway.ask(method, path, ROWS)
    assert (reply.status, reply.body) == (status, ERROR)
    assert reply.value(b"content-type") == b"application/json; charset=utf-8"
    assert reply.value(b"retry-after") == b"7"
    assert reply.value(b"server") == b"hevfast"
    assert len(upstream.requests) == 1


@BOTH
@pytest.mark.parametrize("status", [200, 201, 202, 300, 404, 599])
def test_bodies_that_are_not_json_are_relayed(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str, status: int
) -> None:
    upstream.script(answer(status, b"\x00\xff plain", [(b"Content-Type", b"text/plain")]))
    reply = gateway.ask(method, path, ROWS)
    assert (reply.status, reply.body) == (status, b"\x00\xff plain")
    assert reply.value(b"content-type") == b"text/plain"


@BOTH
def test_end_to_end_answer_headers_are_relayed_and_hop_headers_are_not(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    sent = [
        (b"Content-Type", b"application/json"),
        (b"X-Request-Id", b"r-1"),
        (b"Retry-After-Ms", b"12"),
        (b"X-Should-Retry", b"false"),
        (b"Preference-Applied", b"respond-async"),
        (b"Location", b"/v1/namespaces/ns/operations/op_1"),
        (b"Date", b"Mon, 01 Jan 2024 00:00:00 GMT"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"X-Latin", b"caf\xe9"),
        (b"Server", b"tpuf"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"Keep-Alive", b"timeout=5"),
        (b"X-Hop", b"1"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"Trailer", b"x"),
    ]
    upstream.script(answer(202, OK_BODY, sent))
    reply = gateway.ask(method, path, ROWS)
    assert reply.status == 202
    expected = [(name.lower(), value) for name, value in sent[:10]]
    expected += [(b"content-length", b"%d" % len(OK_BODY)), (b"server", b"hevfast")]
    assert sorted(reply.headers) == sorted(expected)
    assert reply.values(b"set-cookie") == [b"a=1", b"b=2"]


@BOTH
def test_compressed_answer_is_relayed_compressed(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    packed = gzip.compress(OK_BODY)
    upstream.script(answer(200, packed, [(b"Content-Encoding", b"gzip")]))
    reply = gateway.ask(method, path, ROWS, [AUTH, (b"Accept-Encoding", b"gzip")])
    assert reply.body == packed
    assert reply.value(b"content-encoding") == b"gzip"
    assert upstream.only.values(b"accept-encoding") == [b"gzip"]


@BOTH
def test_chunked_answer_is_relayed(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    upstream.script(chunked([b'{"a":', b"1}"]))
    reply = gateway.ask(method, path, ROWS)
    assert (reply.status, reply.body, reply.complete) == (200, b'{"a":1}', True)


@BOTH
def test_answer_that_ends_with_the_connection_is_relayed(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    upstream.script(raw(head(200, []) + b"until the end", close=True))
    assert gateway.ask(method, path, ROWS).body == b"until the end"


@BOTH
def test_interim_answer_is_skipped(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    body = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + head(
        200, [(b"Content-Length", b"2")]
    )
    upstream.script(raw(body + b"{}"))
    assert gateway.ask(method, path, ROWS).body == b"{}"


@BOTH
def test_dripping_answer_is_relayed(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    upstream.script(drip(head(200, [(b"Content-Length", b"2")]) + b"{}", 0.001))
    assert gateway.ask(method, path, ROWS).body == b"{}"


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_relayed_and_not_followed(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str, status: int
) -> None:
    target = f"{upstream.url}/v2/namespaces/other".encode()
    upstream.script(answer(status, b"", [(b"Location", target)]))
    reply = gateway.ask(method, path, ROWS)
    assert (reply.status, reply.value(b"location")) == (status, target)
    assert len(upstream.requests) == 1


def test_head_keeps_the_length_and_has_no_body(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script(raw(head(200, [(b"Content-Length", b"77"), (b"X-A", b"1")])))
    with gateway.connect() as connection:
        for _ in range(2):
            connection.send(b"HEAD /v1/namespaces/ns HTTP/1.1\r\nHost: g\r\n")
            connection.send(b"Authorization: Bearer k\r\n\r\n")
            reply = connection.receive("HEAD")
            assert reply.status == 200
            upstream.script(raw(head(200, [(b"Content-Length", b"77")])))
    assert reply.value(b"content-length") == b"77"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(gateway: RunningGateway, upstream: Upstream, status: int) -> None:
    upstream.script(raw(head(status, [(b"ETag", b'"x"')])))
    with gateway.connect() as connection:
        for _ in range(2):
            connection.send(b"GET /v1/namespaces/ns HTTP/1.1\r\nHost: g\r\n")
            connection.send(b"Authorization: Bearer k\r\n\r\n")
            reply = connection.receive("GET")
            assert (reply.status, reply.value(b"etag")) == (status, b'"x"')
            assert reply.value(b"transfer-encoding") is None
            upstream.script(raw(head(status, [(b"ETag", b'"x"')])))


@BOTH
def test_request_headers(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    sent = [
        AUTH,
        (b"Content-Type", b"application/json"),
        (b"User-Agent", b"Turbopuffer/Python 3.1.0"),
        (b"Accept", b"application/json"),
        (b"Prefer", b"respond-async"),
        (b"X-Stainless-Lang", b"python"),
        (b"X-Repeated", b"1"),
        (b"X-Repeated", b"2"),
        (b"X-Utf8", "café".encode()),
        (b"Cookie", b"a=1; b=2"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"TE", b"trailers"),
        (b"Proxy-Authorization", b"Basic x"),
    ]
    assert gateway.ask(method, path, ROWS, sent).status == 200
    seen = upstream.only
    expected = [(name.lower(), value) for name, value in sent[:10]] + [
        (b"host", f"127.0.0.1:{upstream.port}".encode()),
        (b"accept-encoding", b"identity"),
        (b"content-length", b"%d" % seen.body_size),
    ]
    assert sorted((name.lower(), value) for name, value in seen.headers) == sorted(expected)
    assert seen.values(b"x-repeated") == [b"1", b"2"]


@BOTH
def test_header_that_could_only_be_sent_altered_is_refused(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    reply = gateway.ask(method, path, ROWS, [AUTH, (b"X-Latin", b"caf\xe9")])
    assert reply.status == 400
    assert reply.json["error"] == "bad_request"
    assert upstream.requests == []


@BOTH
def test_no_header_is_invented(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    assert gateway.ask(method, path, ROWS, [AUTH]).status == 200
    names = sorted(name.lower() for name, _ in upstream.only.headers)
    assert names == [b"accept-encoding", b"authorization", b"content-length", b"host"]


@BOTH
@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("?stainless_overload=copyFrom", ""),
        ("?a=1&stainless_overload=copyFrom&b=2", "?a=1&b=2"),
        ("?stainless_overload", ""),
        ("?a=%20+%2f%2F~'(x)&&=&b", "?a=%20+%2f%2F~'(x)&&=&b"),
        ("?stainless_overloaded=1", "?stainless_overloaded=1"),
        ("?x=stainless_overload", "?x=stainless_overload"),
        ("?a=http://b/../c?d", "?a=http://b/../c?d"),
    ],
)
def test_query_string(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str, query: str, sent: str
) -> None:
    assert gateway.ask(method, path + query, ROWS).status == 200
    assert upstream.only.target == (path + sent).encode()


def test_start_copy_from_is_a_write(gateway: RunningGateway, upstream: Upstream) -> None:
    body = b'{"schema":{},"copy_from_namespace":"a"}'
    target = "/v2/namespaces/ns/async?stainless_overload=startCopyFrom"
    assert gateway.ask("POST", target, body).status == 200
    assert upstream.only.target == b"/v2/namespaces/ns/async"
    assert upstream.only.body == body


def test_expect_continue_is_answered_here(gateway: RunningGateway, upstream: Upstream) -> None:
    with gateway.connect() as connection:
        connection.send(
            b"POST /v2/namespaces/ns HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer k\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ROWS)
        )
        assert connection.socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(ROWS)
        assert connection.receive().status == 200
    assert upstream.only.values(b"expect") == []


def test_connection_is_kept_open_after_a_write(gateway: RunningGateway, upstream: Upstream) -> None:
    with gateway.connect() as connection:
        for _ in range(3):
            connection.send(
                b"POST /v2/namespaces/ns HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer k\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(ROWS), ROWS)
            )
            reply = connection.receive()
            assert reply.status == 200
            assert reply.value(b"connection") is None
    assert len(upstream.requests) == 3
