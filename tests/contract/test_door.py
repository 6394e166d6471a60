"""Writes never slip through: no spelling of a write reaches upstream without its stamp."""

import pytest

from tests.fakes.client import AUTH, request_bytes
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream

ROWS = b'{"upsert_rows":[{"id":1}]}'

DISGUISES = [
    ("POST", "/v1/namespaces/ns"),
    ("PUT", "/v1/namespaces/ns"),
    ("PATCH", "/v1/namespaces/ns"),
    ("POST", "/v1/vectors/ns"),
    ("POST", "/v1/vectors"),
    ("PUT", "/v1/vectors/ns"),
    ("DELETE", "/v1/vectors/ns"),
    ("POST", "/v1/Vectors/ns"),
    ("POST", "/v1/vectors/ns/upsert"),
    ("POST", "/v1/namespaces/ns/async"),
    ("PUT", "/v2/namespaces/ns"),
    ("PATCH", "/v2/namespaces/ns"),
    ("OPTIONS", "/v2/namespaces/ns"),
    ("post", "/v2/namespaces/ns"),
    ("Post", "/v2/namespaces/ns"),
    ("POSTX", "/v2/namespaces/ns"),
    ("TRACE", "/v2/namespaces/ns"),
    ("MERGE", "/v2/namespaces/ns/query"),
    ("PUT", "/v2/namespaces/ns/async"),
    ("PATCH", "/v2/namespaces/ns/async"),
    ("DELETE", "/v2/namespaces/ns/async"),
    ("POST", "/v2/namespaces/ns/async/"),
    ("POST", "/v2/namespaces/ns/ASYNC"),
    ("POST", "/v2/namespaces/ns/%61sync"),
    ("POST", "/v2/namespaces/ns/async;a"),
    ("POST", "/v2/namespaces/ns/%2561sync"),
    ("POST", "/v1/namespaces/ns/async;a"),
    ("POST", "/v2/namespaces/ns/"),
    ("POST", "/v2/namespaces/ns//"),
    ("POST", "/v2/namespaces/ns/."),
    ("POST", "/v2/namespaces/ns/.."),
    ("POST", "/v2/namespaces/ns/query/.."),
    ("POST", "/v2/namespaces/ns/query/../"),
    ("POST", "/v2/namespaces/ns/%2e"),
    ("POST", "/v2/namespaces/ns/%2E%2e"),
    ("POST", "/v2/namespaces/ns/query/%2e%2e"),
    ("POST", "/v2/namespaces/ns/query/.%2e"),
    ("POST", "/v2/namespaces/ns/query%2f.."),
    ("POST", "/v2/namespaces/ns/query%2F%2E%2E"),
    ("POST", "/v2/namespaces/ns/query%5C.."),
    ("POST", "/v2/namespaces/ns/%252e%252e"),
    ("POST", "/v2/namespaces/ns/%25252e"),
    ("POST", "/v2/namespaces/ns/%2f"),
    ("POST", "/v2/namespaces/x/../ns"),
    ("POST", "/v2/namespaces/./ns"),
    ("POST", "/v2/./namespaces/ns"),
    ("POST", "/./v2/namespaces/ns"),
    ("POST", "/x/../v2/namespaces/ns"),
    ("POST", "/v1/../v2/namespaces/ns"),
    ("POST", "/v1/%2e%2e/v2/namespaces/ns"),
    ("POST", "/v1/x/../../v2/namespaces/ns"),
    ("POST", "/v1/x/y/..%2f..%2f..%2fv2/namespaces/ns"),
    ("POST", "/v2//namespaces/ns"),
    ("POST", "/v2/namespaces//ns"),
    ("POST", "//v2/namespaces/ns"),
    ("POST", "/%76%32/namespaces/ns"),
    ("POST", "/v2/%6Eamespaces/ns"),
    ("POST", "/v2/namespaces/%6es"),
    ("POST", "/v2/namespaces/a%2Fb"),
    ("POST", "/v2/namespaces/ns%2F"),
    ("POST", "/v2/namespaces/ns%2Fasync"),
    ("POST", "/v2/namespaces%2Fns"),
    ("POST", "/v2%2Fnamespaces%2Fns"),
    ("POST", "/v2/namespaces%00/ns"),
    ("POST", "/V2/namespaces/ns"),
    ("POST", "/v2/Namespaces/ns"),
    ("POST", "/v2/NAMESPACES/ns"),
    ("POST", "/v1/NAMESPACES/ns"),
    ("POST", "/v1/namespaces;a=b/ns"),
    ("POST", "/v1/vectors;a/ns"),
    ("POST", "/v2/namespaces;a/ns"),
    ("POST", "/v2/namespaces/ns;a"),
    ("POST", "/v2/namespaces/ns\\"),
    ("POST", "/v2\\namespaces\\ns"),
    ("POST", "/v2/namespaces/ns%20"),
    ("POST", "/v2/namespaces/ns%3Fx"),
    ("POST", "/v2/namespaces/ns%23"),
    ("POST", "/v2/namespaces/é"),
    ("POST", "/v2/namespaces/ns/é"),
    ("POST", "/v2/namespaces/ns/%zz"),
    ("POST", "/v2/namespaces/ns/%"),
    ("POST", "/v2/namespaces/" + "n" * 129),
    ("POST", "/v2/namespaces/."),
    ("POST", "/v2/namespaces/.."),
    ("POST", "/v2/namespaces/"),
    ("PUT", "http://elsewhere/v2/namespaces/ns"),
    ("POST", "http://elsewhere/v2/namespaces/ns/"),
    ("POST", "http://elsewhere/v1/namespaces/ns"),
    ("POST", "http://elsewhere//v2/namespaces/ns"),
    ("PUT", "/v2/namespaces/ns#fragment"),
]

MAY_PASS = [
    ("GET", "/v1/namespaces?prefix=a%2Fb&page_size=2"),
    ("GET", "/v1/namespaces/ns"),
    ("HEAD", "/v1/namespaces/ns"),
    ("DELETE", "/v1/namespaces/ns"),
    ("GET", "/v1/namespaces/ns/metadata"),
    ("PATCH", "/v1/namespaces/ns/metadata"),
    ("GET", "/v1/namespaces/ns/schema"),
    ("POST", "/v1/namespaces/ns/schema"),
    ("POST", "/v1/namespaces/ns/_debug/recall"),
    ("GET", "/v1/namespaces/ns/hint_cache_warm"),
    ("GET", "/v1/namespaces/ns/operations/op_7f?stainless=1"),
    ("GET", "/v1/vectors/ns"),
    ("GET", "/v2/namespaces/ns"),
    ("HEAD", "/v2/namespaces/ns"),
    ("DELETE", "/v2/namespaces/ns"),
    ("GET", "/v2/namespaces/ns/metadata"),
    ("POST", "/v2/namespaces/ns/query"),
    ("POST", "/v2/namespaces/ns/explain_query"),
    ("POST", "/v2/namespaces/ns.-_0/something/new"),
    ("GET", "/v2/namespaces/ns/things/a%2Fb%20c"),
    ("GET", "/v2/namespaces/ns/things/100%25"),
    ("GET", "/v2/namespaces/...?a=/../"),
]


@pytest.mark.parametrize(("method", "target"), DISGUISES)
def test_disguised_write_is_refused_and_upstream_sees_nothing(
    gateway: RunningGateway, upstream: Upstream, method: str, target: str
) -> None:
    reply = gateway.ask(method, target, ROWS)
    assert reply.status in (400, 404, 405)
    assert reply.json["error"] in ("bad_request", "not_found", "method_not_allowed")
    assert reply.json["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(("method", "target"), MAY_PASS)
def test_other_requests_pass_as_spelled(
    gateway: RunningGateway, upstream: Upstream, method: str, target: str
) -> None:
    body = ROWS if method in ("POST", "PATCH") else None
    assert gateway.ask(method, target, body).status == 200
    seen = upstream.only
    assert (seen.method, seen.target, seen.body) == (method, target.encode(), body or b"")


@pytest.mark.parametrize("target", ["/v2/namespaces/ns", "http://elsewhere/v2/namespaces/ns"])
def test_write_in_absolute_form_is_a_write(
    gateway: RunningGateway, upstream: Upstream, target: str
) -> None:
    assert gateway.ask("POST", target, ROWS).status == 200
    assert upstream.only.target == b"/v2/namespaces/ns"
    assert upstream.only.values(b"host") == [f"127.0.0.1:{upstream.port}".encode()]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("word", ["import", "IMPORT"])
def test_import_is_unsupported(
    gateway: RunningGateway, upstream: Upstream, method: str, word: str
) -> None:
    reply = gateway.ask(method, f"/v2/namespaces/ns/{word}", b"ARROW1")
    assert reply.status == 422
    assert reply.json["error"] == "UnsupportedByStore"
    assert reply.json["store"] == "turbopuffer"
    assert reply.json["route"] == "importNamespace"
    assert upstream.requests == []


@pytest.mark.parametrize(
    "name",
    [
        b"X-HTTP-Method-Override",
        b"X-HTTP-Method",
        b"X-Method-Override",
        b"X-Original-URL",
        b"X-Rewrite-URL",
    ],
)
def test_headers_that_override_the_method_or_path_are_dropped(
    gateway: RunningGateway, upstream: Upstream, name: bytes
) -> None:
    headers = [AUTH, (name, b"POST")]
    assert gateway.ask("GET", "/v2/namespaces/ns", None, headers).status == 200
    assert upstream.only.values(name.lower()) == []


@pytest.mark.parametrize(("method", "target"), [("OPTIONS", "*"), ("CONNECT", "elsewhere:80")])
def test_targets_that_are_no_paths_are_404(
    gateway: RunningGateway, upstream: Upstream, method: str, target: str
) -> None:
    reply = gateway.ask(method, target)
    assert reply.status == 404
    assert reply.json["error"] == "not_found"
    assert upstream.requests == []


@pytest.mark.parametrize("target", ["/", "/foo", "/v3/namespaces", "/v2", "/v2/foo"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_path_is_404(
    gateway: RunningGateway, upstream: Upstream, method: str, target: str
) -> None:
    reply = gateway.ask(method, target, b"{}")
    assert reply.status == 404
    assert reply.json["error"] == "not_found"
    assert upstream.requests == []


def test_refused_write_with_both_lengths_never_reaches_upstream(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """A body framed in two ways is how one request is smuggled inside another."""
    headers = [AUTH, (b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"26")]
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", "/v2/namespaces/ns", None, headers) + ROWS)
        reply = connection.receive()
        assert reply.status == 400
        assert reply.json["error"] == "bad_request"
        assert connection.ended()
    assert upstream.requests == []
