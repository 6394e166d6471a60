"""TLS towards upstream: who answers is verified, and told by whose name it was asked for."""

import hashlib
import random
import ssl
from collections.abc import Iterator

import pytest
import trustme

from tests.contract.upstream.conftest import opened
from tests.fakes.gateway import running_gateway
from tests.fakes.upstream import OK_BODY, Upstream, answer, running_upstream

LARGE = b'{"upsert_rows":[{"id":1,"a":"' + random.Random(1).randbytes(3_000_000).hex().encode()
LARGE += b'"}]}'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    """Give an authority, and the file by which the gateway knows it."""
    made = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    made.cert_pem.write_to_path(str(path))
    return made, str(path)


def serving(authority: trustme.CA, name: str, asked: list[str | None]) -> Iterator[Upstream]:
    """Serve with a certificate for `name`; note by which names clients ask."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    context.sni_callback = lambda _, asked_for, __: asked.append(asked_for)
    with running_upstream(context) as upstream:
        yield upstream


@pytest.mark.parametrize("way", ["direct", "session"])
def test_writes_go_over_one_verified_connection(
    authority: tuple[trustme.CA, str], way: str
) -> None:
    asked: list[str | None] = []
    settings = {"SSL_CERT_FILE": authority[1], "HEVFAST_UPSTREAM_CLIENT": way}
    for upstream in serving(authority[0], "localhost", asked):
        with running_gateway(upstream.url, HEVFAST_CACHE="off", **settings) as gateway:
            for body in (b'{"upsert_rows":[{"id":1}]}', LARGE, b'{"upsert_rows":[{"id":2}]}'):
                upstream.script(answer())
                reply = gateway.write(body)
                assert (reply.status, reply.body) == (200, OK_BODY)
            upstream.script(answer(headers=[(b"Connection", b"close")]))
            assert gateway.write(b'{"upsert_rows":[{"id":3}]}').status == 200
            assert gateway.write(b'{"upsert_rows":[{"id":4}]}').status == 200
    assert asked == ["localhost", "localhost"]


def test_large_body_arrives_whole(authority: tuple[trustme.CA, str]) -> None:
    settings = {"SSL_CERT_FILE": authority[1], "HEVFAST_CACHE": "off"}
    for upstream in serving(authority[0], "localhost", []):
        with running_gateway(upstream.url, **settings) as gateway:
            body = b'{"filters":"' + LARGE.hex().encode() + b'"}'
            upstream.script()
            assert gateway.ask("POST", "/v2/namespaces/ns/query", body).status == 200
            assert upstream.only.body_sha256 == hashlib.sha256(body).hexdigest()


@pytest.mark.anyio
@pytest.mark.parametrize("piece_bytes", [300, 40_000])
async def test_large_body_in_steps_arrives_whole(
    authority: tuple[trustme.CA, str], piece_bytes: int
) -> None:
    for upstream in serving(authority[0], "localhost", []):
        async with opened(upstream.url) as exchange:
            trusting = ssl.create_default_context(cafile=authority[1])
            exchange._session._session.connector._ssl = trusting
            for _ in range(2):
                view = memoryview(LARGE)
                pieces = [
                    view[start : start + piece_bytes] for start in range(0, len(view), piece_bytes)
                ]
                steps = [pieces[start : start + 7] for start in range(0, len(pieces), 7)]
                upstream.script()
                reply = await exchange.send("POST", "/", [], steps, len(LARGE), deed="write")
                assert (reply.status, reply.body) == (200, OK_BODY)
                assert upstream.only.body_sha256 == hashlib.sha256(LARGE).hexdigest()
        assert upstream.connections == 1


def test_server_that_cannot_prove_its_name_gets_nothing(authority: tuple[trustme.CA, str]) -> None:
    """Neither an unknown authority nor the name of another host will do."""
    unknown = serving(trustme.CA(), "localhost", [])
    other = serving(authority[0], "other.example", [])
    for case in (unknown, other):
        for upstream in case:
            upstream.script()
            with running_gateway(
                upstream.url, SSL_CERT_FILE=authority[1], HEVFAST_CACHE="off"
            ) as gateway:
                reply = gateway.write(b'{"upsert_rows":[{"id":1}]}')
                assert reply.status == 502
                assert "certificate was not accepted" in reply.json["message"]
            assert upstream.requests == []
