"""Every form an answer may have on the wire, read alike by both ways, at once or byte by byte."""

import asyncio

import pytest

from hevfast.core.errors import GatewayError
from hevfast.core.limits import ANSWER_FIELDS_MAX, ANSWER_HEAD_BYTES_MAX
from tests.contract.upstream.conftest import ask, opened, read
from tests.fakes.upstream import Step, Upstream, Wire, head, raw

pytestmark = pytest.mark.anyio

WAYS = pytest.mark.parametrize("way", ["direct", "session"])
CHUNKED = (b"Transfer-Encoding", b"chunked")

# What is sent, whether the connection ends then; and what must come of it.
FORMS: dict[str, tuple[bytes, bool, int, list[tuple[bytes, bytes]], bytes]] = {
    "length": (
        head(200, [(b"Content-Length", b"2"), (b"X-A", b" a b \t")]) + b"{}",
        False, 200, [(b"content-length", b"2"), (b"x-a", b"a b")], b"{}",
    ),
    "length of nothing": (
        head(200, [(b"Content-Length", b"0")]), False, 200, [(b"content-length", b"0")], b"",
    ),
    "repeated headers": (
        head(404, [(b"X-B", b"2"), (b"Set-Cookie", b"a"), (b"X-B", b"1"), (b"Set-Cookie", b"b"),
                   (b"X-Empty", b""), (b"X-Latin", b"caf\xe9"), (b"Content-Length", b"1")]) + b"x",
        False, 404,
        [(b"x-b", b"2"), (b"set-cookie", b"a"), (b"x-b", b"1"), (b"set-cookie", b"b"),
         (b"x-empty", b""), (b"x-latin", b"caf\xe9"), (b"content-length", b"1")], b"x",
    ),
    "chunks": (
        head(200, [CHUNKED]) + b"2\r\n{}\r\n0;last\r\nX-Trailer: t\r\n\r\n", False, 200, [], b"{}",
    ),
    "chunks of many sizes": (
        head(200, [CHUNKED]) + b"1\r\na\r\n00010;x=y\r\n0123456789abcdef\r\n0\r\n\r\n",
        False, 200, [], b"a0123456789abcdef",
    ),
    "until the end": (head(200, [(b"X-A", b"1")]) + b"abc", True, 200, [(b"x-a", b"1")], b"abc"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nold", True, 200, [], b"old"),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nr", False, 200,
                  [(b"content-length", b"1")], b"r"),
    "204": (head(204, [(b"X-A", b"1")]), False, 204, [(b"x-a", b"1")], b""),
    "304 with a length": (
        head(304, [(b"Content-Length", b"77")]), False, 304, [(b"content-length", b"77")], b"",
    ),
    "103, 100, then the answer": (
        head(103, [(b"Link", b"</a>")]) + b"HTTP/1.1 100 Continue\r\n\r\n"
        + head(200, [(b"Content-Length", b"1")]) + b"y",
        False, 200, [(b"content-length", b"1")], b"y",
    ),
    "Connection: close": (
        head(200, [(b"Connection", b"close, X-Hop"), (b"X-Hop", b"1"), (b"Content-Length", b"1")])
        + b"z",
        False, 200, [(b"content-length", b"1")], b"z",
    ),
}  # fmt: skip

# After these the connection can carry no other request, though the server leaves it open.
LAST = ("Connection: close",)


def in_bytes(data: bytes, *, close: bool) -> Step:
    """Send each byte in a write of its own, then let it go out before the next."""

    async def act(wire: Wire) -> None:
        for at in range(len(data)):
            await wire.send(data[at : at + 1])
            await asyncio.sleep(0)
        if close:
            await wire.close()

    return Step(act)


@WAYS
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "byte by byte"])
async def test_every_form_of_answer_is_read(
    upstream: Upstream,
    way: str,
    form: tuple[bytes, bool, int, list[tuple[bytes, bytes]], bytes],
    whole: bool,
) -> None:
    data, close, status, headers, body = form
    upstream.script(raw(data, close=close) if whole else in_bytes(data, close=close))
    async with opened(upstream.url, HEVFAST_UPSTREAM_CLIENT=way) as exchange:
        answer = await ask(exchange)
        assert (answer.status, answer.headers, answer.body) == (status, headers, body)
        assert 0 < answer.upstream_s < 10
        # And the next answer is the next request's.
        upstream.script(raw(head(200, [(b"Content-Length", b"4")]) + b"next"))
        assert (await ask(exchange)).body == b"next"


@WAYS
@pytest.mark.parametrize("name", FORMS)
async def test_a_connection_is_kept_exactly_when_it_can_be(
    upstream: Upstream, way: str, name: str
) -> None:
    data, close, *_ = FORMS[name]
    before = upstream.connections
    upstream.script(raw(data, close=close))
    async with opened(upstream.url, HEVFAST_UPSTREAM_CLIENT=way) as exchange:
        await ask(exchange)
        await ask(exchange)
    assert upstream.connections - before == (2 if close or name in LAST else 1)


LIMIT = ANSWER_HEAD_BYTES_MAX
ENDLESS = {
    "a status line": b"HTTP/1.1 200 " + b"x" * (LIMIT + 1),
    "a header name": b"HTTP/1.1 200 OK\r\n" + b"x" * (LIMIT + 1),
    "a header value": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (LIMIT + 1),
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (ANSWER_FIELDS_MAX + 1) + b"\r\n",
    "large headers": b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 20,
    "interim answers": b"HTTP/1.1 103 X\r\nX: y\r\n\r\n" * (LIMIT // 20),
    "a trailer": head(200, [CHUNKED]) + b"1\r\na\r\n0\r\nX: " + b"x" * (3 * LIMIT),
    "an extension of a chunk": head(200, [CHUNKED]) + b"1;" + b"x" * (3 * LIMIT),
}


@pytest.mark.parametrize("data", ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_is_not_body_is_bounded(upstream: Upstream, data: bytes) -> None:
    upstream.script(raw(data))
    async with opened(upstream.url) as exchange:
        with pytest.raises(GatewayError, match="not valid HTTP"):
            await ask(exchange)
        assert (await ask(exchange)).status == 200


@WAYS
async def test_head_of_the_largest_size_is_read(upstream: Upstream, way: str) -> None:
    fields = [(b"X-%d" % n, b"v" * 900) for n in range(100)]
    upstream.script(raw(head(200, [*fields, (b"Content-Length", b"200000")]) + b"b" * 200_000))
    async with opened(upstream.url, HEVFAST_UPSTREAM_CLIENT=way) as exchange:
        answer = await ask(exchange)
    assert len(answer.headers) == 101
    assert answer.body == b"b" * 200_000


@WAYS
@pytest.mark.parametrize("announced", [True, False])
async def test_body_over_the_bound_is_streamed_and_one_at_it_is_held(
    upstream: Upstream, way: str, announced: bool
) -> None:
    body = bytes(range(256)) * 4000
    fields = [(b"Content-Length", b"%d" % len(body))] if announced else []
    async with opened(upstream.url, HEVFAST_UPSTREAM_CLIENT=way) as exchange:
        for bound, held in ((len(body), True), (len(body) - 1, False), (1, False)):
            upstream.script(raw(head(200, fields) + body, close=not announced))
            answer = await exchange.send(
                "POST", "/", [], b"{}", 2, deed="write", whole_bytes_max=bound
            )
            # An answer that is here at once is whole, whatever its size.
            assert isinstance(answer.body, bytes) or not held
            assert exchange.inflight == (0 if isinstance(answer.body, bytes) else 1)
            assert await read(answer) == body
            assert exchange.inflight == 0


async def test_reset_is_not_the_end_of_an_answer_without_a_length(upstream: Upstream) -> None:
    """Only an orderly end says that everything was sent. (A ClientSession takes both for it.)"""

    async def act(wire: Wire) -> None:
        await wire.send(head(200, []) + b"abc")
        # What is on its way must be read first, or it is not known that there was an answer.
        await asyncio.sleep(0.05)
        wire.reset()

    upstream.script(Step(act))
    async with opened(upstream.url) as exchange:
        with pytest.raises(GatewayError, match="connection reset"):
            await ask(exchange)


async def test_large_answer_is_read_no_faster_than_it_is_taken(upstream: Upstream) -> None:
    piece = b"z" * (1024 * 1024)
    sent = 0

    async def act(wire: Wire) -> None:
        nonlocal sent
        await wire.send(head(200, [(b"Content-Length", b"%d" % (200 * len(piece)))]))
        for _ in range(200):
            await wire.send(piece)
            sent += len(piece)

    upstream.script(Step(act))
    async with opened(upstream.url) as exchange:
        answer = await ask(exchange)
        last = -1
        while sent != last:
            last = sent
            await asyncio.sleep(0.2)
        # Kernel buffers on both sides, and what is held.
        assert sent < 40 * len(piece)
        assert len(await read(answer)) == 200 * len(piece)
