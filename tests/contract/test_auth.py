"""Who may call: the table of Authorization headers, with and without a configured key."""

from collections.abc import Iterator

import pytest

from tests.fakes.client import Pairs, request_bytes
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Upstream

KEY = "tpuf_0123456789"
ROWS = b'{"upsert_rows":[{"id":1}]}'
PATHS = [
    ("POST", "/v2/namespaces/ns"),
    ("POST", "/v2/namespaces/ns/query"),
    ("GET", "/v1/namespaces"),
]
MALFORMED: list[Pairs] = [
    [],
    [(b"Authorization", b"")],
    [(b"Authorization", b"Bearer")],
    [(b"Authorization", b"Bearer ")],
    [(b"Authorization", b"bearer key")],
    [(b"Authorization", b"BEARER key")],
    [(b"Authorization", b"Bearer  key")],
    [(b"Authorization", b"Bearer a b")],
    [(b"Authorization", b"Basic a2V5")],
    [(b"Authorization", b"key")],
    [(b"Authorization", b"Bearer k\xe9y")],
    [(b"Authorization", b"Bearer key"), (b"Authorization", b"Bearer key")],
    [(b"authorization", b"Bearer key"), (b"AUTHORIZATION", b"Bearer other")],
]


@pytest.fixture(scope="module")
def keyed_gateway(shared_upstream: Upstream) -> Iterator[RunningGateway]:
    with running_gateway(shared_upstream.url, TURBOPUFFER_API_KEY=KEY) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("headers", MALFORMED)
def test_malformed_authorization_is_401(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str, headers: Pairs
) -> None:
    reply = gateway.ask(method, path, ROWS, headers)
    assert reply.status == 401
    assert reply.json["error"] == "unauthorized"
    assert reply.json["message"]
    assert reply.value(b"www-authenticate") == b"Bearer"
    assert upstream.requests == []


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_callers_key_goes_upstream_without_configured_key(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    reply = gateway.ask(method, path, ROWS, [(b"Authorization", b"Bearer any-key")])
    assert reply.status == 200
    assert upstream.only.values(b"authorization") == [b"Bearer any-key"]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_configured_key_is_accepted_and_sent(
    keyed_gateway: RunningGateway, upstream: Upstream, method: str, path: str
) -> None:
    reply = keyed_gateway.ask(method, path, ROWS, [(b"Authorization", b"Bearer " + KEY.encode())])
    assert reply.status == 200
    assert upstream.only.values(b"authorization") == [b"Bearer " + KEY.encode()]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("key", [b"other", KEY.encode() + b"0", KEY[:-1].encode(), b"\x22"])
def test_other_key_than_configured_is_403(
    keyed_gateway: RunningGateway, upstream: Upstream, method: str, path: str, key: bytes
) -> None:
    reply = keyed_gateway.ask(method, path, ROWS, [(b"Authorization", b"Bearer " + key)])
    assert reply.status == 403
    assert reply.json["error"] == "forbidden"
    assert upstream.requests == []


def test_missing_authorization_with_configured_key_is_401(
    keyed_gateway: RunningGateway, upstream: Upstream
) -> None:
    assert keyed_gateway.ask("GET", "/v1/namespaces", headers=[]).status == 401


@pytest.mark.parametrize(("method", "path"), PATHS[:2])
def test_refused_before_a_byte_of_the_body_was_sent(
    gateway: RunningGateway, method: str, path: str
) -> None:
    with gateway.connect() as connection:
        head = request_bytes(method, path, headers=[(b"Content-Length", b"100000")])
        connection.send(head)
        assert connection.receive().status == 401


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_operations_need_no_key(keyed_gateway: RunningGateway, path: str) -> None:
    assert keyed_gateway.ask("GET", path, headers=[]).status == 200
