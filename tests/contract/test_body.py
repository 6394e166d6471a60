"""Request bodies: bounded, decoded, never waited for without end."""

import gzip
import random
import zlib

import pytest

from tests.fakes.client import AUTH, Pairs, request_bytes
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream

WRITE = "/v2/namespaces/ns"
QUERY = "/v2/namespaces/ns/query"
BOTH = pytest.mark.parametrize("path", [WRITE, QUERY])
BYTES_MAX = 3_000_000
# No rows, so that what arrives upstream is what was sent.
PLAIN = b'{"schema":{"title":"string"}}'


@pytest.fixture(scope="module")
def gateway_settings() -> dict[str, str]:
    return {"HEVFAST_BODY_BYTES_MAX": str(BYTES_MAX), "HEVFAST_BODY_SILENCE_MS": "300"}


def padded(size: int) -> bytes:
    """Give a body of this size."""
    frame = b'{"schema":{},"x":"%s"}'
    return frame % (b"x" * (size - len(frame) + 2))


def chunks(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CHUNKED: Pairs = [AUTH, (b"Transfer-Encoding", b"chunked")]
GZIP: Pairs = [AUTH, (b"Content-Encoding", b"gzip")]


@BOTH
@pytest.mark.parametrize("size", [100, 65_536, 65_537, 524_288, 524_289, BYTES_MAX])
def test_bodies_of_any_size_arrive_whole(
    gateway: RunningGateway, upstream: Upstream, path: str, size: int
) -> None:
    body = padded(size)
    assert gateway.ask("POST", path, body).status == 200
    assert upstream.only.body == body
    assert upstream.only.values(b"content-length") == [b"%d" % size]


@BOTH
@pytest.mark.parametrize(("size", "chunk"), [(100, 1), (100, 100), (300_000, 10_000)])
def test_chunked_body_arrives_whole(
    gateway: RunningGateway, upstream: Upstream, path: str, size: int, chunk: int
) -> None:
    body = padded(size)
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", path, None, CHUNKED) + chunks(body, chunk))
        assert connection.receive().status == 200
    assert upstream.only.body == body


def test_write_never_goes_upstream_chunked(gateway: RunningGateway, upstream: Upstream) -> None:
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", WRITE, None, CHUNKED) + chunks(padded(700_000), 9999))
        assert connection.receive().status == 200
    assert upstream.only.values(b"content-length") == [b"700000"]
    assert upstream.only.values(b"transfer-encoding") == []


@BOTH
def test_too_large_by_content_length_is_413_before_the_body_is_sent(
    gateway: RunningGateway, upstream: Upstream, path: str
) -> None:
    with gateway.connect() as connection:
        headers = [AUTH, (b"Content-Length", b"%d" % (BYTES_MAX + 1))]
        connection.send(request_bytes("POST", path, None, headers))
        reply = connection.receive()
        assert reply.status == 413
        assert reply.json["error"] == "payload_too_large"
        assert connection.ended()
    assert upstream.requests == []


@BOTH
def test_too_large_chunked_is_413(gateway: RunningGateway, upstream: Upstream, path: str) -> None:
    with gateway.connect() as connection:
        body = chunks(padded(BYTES_MAX + 1), 1_000_000)
        connection.send(request_bytes("POST", path, None, CHUNKED) + body[:-5])
        reply = connection.receive()
        assert reply.status == 413
        assert reply.json["error"] == "payload_too_large"
    assert upstream.requests == []


@BOTH
@pytest.mark.parametrize("sent", [b"", b"{", b"x" * 100_000])
def test_silent_client_gets_408(
    gateway: RunningGateway, upstream: Upstream, path: str, sent: bytes
) -> None:
    with gateway.connect() as connection:
        headers = [AUTH, (b"Content-Length", b"%d" % 200_000)]
        connection.send(request_bytes("POST", path, None, headers) + sent)
        reply = connection.receive()
        assert reply.status == 408
        assert reply.json["error"] == "request_timeout"
    assert upstream.requests == []
    # The server may keep the connection a while for the rest of the body, but nothing else waits.
    assert gateway.ask("POST", path, b'{"deletes":[1]}').status == 200


@BOTH
def test_slow_but_steady_client_is_served(
    gateway: RunningGateway, upstream: Upstream, path: str
) -> None:
    """The bound is on silence, not on the whole."""
    import time

    with gateway.connect() as connection:
        headers = [AUTH, (b"Content-Length", b"%d" % len(PLAIN))]
        connection.send(request_bytes("POST", path, None, headers))
        for at in range(0, len(PLAIN), 4):
            connection.send(PLAIN[at : at + 4])
            time.sleep(0.06)
        assert connection.receive().status == 200
    assert upstream.only.body == PLAIN


@BOTH
@pytest.mark.parametrize("sent", [b"", b"{", b"x" * 100_000])
def test_client_that_leaves_while_sending_leaves_no_trace(
    gateway: RunningGateway, upstream: Upstream, path: str, sent: bytes
) -> None:
    before = gateway.log
    with gateway.connect() as connection:
        headers = [AUTH, (b"Content-Length", b"200000")]
        connection.send(request_bytes("POST", path, None, headers) + sent)
    assert gateway.ask("POST", path, PLAIN).status == 200
    assert gateway.log == before
    assert [request.body for request in upstream.requests] == [PLAIN]


@BOTH
def test_broken_chunk_is_a_json_400(gateway: RunningGateway, upstream: Upstream, path: str) -> None:
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", path, None, CHUNKED) + b"zz\r\n{}\r\n0\r\n\r\n")
        reply = connection.receive()
        assert reply.status == 400
        assert reply.json["error"] == "bad_request"
    assert upstream.requests == []


RANDOM = random.Random(1).randbytes(900_000).hex().encode()
NOISE = b'{"schema":{},"x":"%s"}' % RANDOM


@pytest.mark.parametrize(
    ("body", "packed"),
    [
        (PLAIN, gzip.compress(PLAIN, 1)),
        (NOISE, gzip.compress(NOISE, 1)),
        (padded(BYTES_MAX), gzip.compress(padded(BYTES_MAX), 9)),
        (PLAIN, gzip.compress(PLAIN[:10]) + gzip.compress(PLAIN[10:])),
        (PLAIN, b"".join(gzip.compress(PLAIN[at : at + 1]) for at in range(len(PLAIN)))),
        (PLAIN, gzip.compress(b"") * 2000 + gzip.compress(PLAIN)),
    ],
    ids=["small", "noise", "zeros", "two members", "many members", "empty members"],
)
@pytest.mark.parametrize("name", [b"gzip", b"GZIP", b"x-gzip"])
def test_gzip_write_is_decoded(
    gateway: RunningGateway, upstream: Upstream, body: bytes, packed: bytes, name: bytes
) -> None:
    assert gateway.ask("POST", WRITE, packed, [AUTH, (b"Content-Encoding", name)]).status == 200
    assert upstream.only.body == body
    assert upstream.only.values(b"content-encoding") == []
    assert upstream.only.values(b"content-length") == [b"%d" % len(body)]


def test_gzip_in_small_chunks_is_decoded(gateway: RunningGateway, upstream: Upstream) -> None:
    packed = gzip.compress(PLAIN)
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", WRITE, None, [*CHUNKED, GZIP[1]]) + chunks(packed, 1))
        assert connection.receive().status == 200
    assert upstream.only.body == PLAIN


def test_gzip_query_passes_untouched(gateway: RunningGateway, upstream: Upstream) -> None:
    packed = gzip.compress(PLAIN)
    assert gateway.ask("POST", QUERY, packed, GZIP).status == 200
    assert upstream.only.body == packed
    assert upstream.only.values(b"content-encoding") == [b"gzip"]


def test_identity_is_accepted(gateway: RunningGateway, upstream: Upstream) -> None:
    headers = [AUTH, (b"Content-Encoding", b"identity")]
    assert gateway.ask("POST", WRITE, PLAIN, headers).status == 200
    assert upstream.only.values(b"content-encoding") == []


@pytest.mark.parametrize("size", [BYTES_MAX + 1, 200_000_000])
def test_gzip_that_inflates_beyond_the_limit_is_413(
    gateway: RunningGateway, upstream: Upstream, size: int
) -> None:
    reply = gateway.ask("POST", WRITE, gzip.compress(b" " * size, 9), GZIP)
    assert reply.status == 413
    assert reply.json["error"] == "payload_too_large"
    assert upstream.requests == []


WHOLE = gzip.compress(PLAIN)


@pytest.mark.parametrize(
    "packed",
    [
        PLAIN,
        b"",
        WHOLE[:-1],
        WHOLE[:-8],
        WHOLE[:5],
        WHOLE + b"x",
        WHOLE + WHOLE[:-3],
        WHOLE[:-6] + b"\x00\x00" + WHOLE[-4:],
        WHOLE[:20] + b"\xff\xff\xff\xff" + WHOLE[24:],
        zlib.compress(PLAIN),
    ],
)
def test_broken_gzip_is_400(gateway: RunningGateway, upstream: Upstream, packed: bytes) -> None:
    reply = gateway.ask("POST", WRITE, packed, GZIP)
    assert reply.status == 400
    assert reply.json["error"] == "bad_request"
    assert upstream.requests == []


@pytest.mark.parametrize("name", [b"br", b"zstd", b"deflate", b"gzip, gzip", b"gzip, identity"])
def test_other_codings_are_400(gateway: RunningGateway, upstream: Upstream, name: bytes) -> None:
    reply = gateway.ask("POST", WRITE, WHOLE, [AUTH, (b"Content-Encoding", name)])
    assert reply.status == 400
    assert reply.json["error"] == "bad_request"
    assert "gzip" in reply.json["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("name", [b"text/plain", b"application/x-www-form-urlencoded", b""])
def test_content_type_does_not_matter(
    gateway: RunningGateway, upstream: Upstream, name: bytes
) -> None:
    assert gateway.ask("POST", WRITE, PLAIN, [AUTH, (b"Content-Type", name)]).status == 200


@pytest.mark.parametrize("body", [None, b"", b"  \r\n"])
def test_empty_write_is_422(gateway: RunningGateway, upstream: Upstream, body: bytes) -> None:
    reply = gateway.ask("POST", WRITE, body)
    assert reply.status == 422
    assert reply.json["error"] == "validation_error"
    assert upstream.requests == []
