"""Reading bodies from ASGI messages."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hevfast.core.errors import GatewayError
from hevfast.core.limits import GZIP_MEMBERS_MAX
from hevfast.edge import body
from hevfast.edge.body import read_body, read_plain, stream_body
from hevfast.edge.head import Head
from hevfast.edge.silence import Silence

pytestmark = pytest.mark.anyio

GONE = {"type": "http.disconnect"}


def messages(*pieces: bytes, end: Any = None) -> Callable[[], Awaitable[Any]]:
    """Give a `receive` that tells these pieces, and then `end` or an empty last one."""
    told = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    told.append(end or {"type": "http.request", "body": b"", "more_body": False})
    left = iter(told)

    async def receive() -> Any:
        return next(left)

    return receive


async def never() -> Any:
    await asyncio.Event().wait()


async def test_one_piece_is_given_as_it_came() -> None:
    piece = b"x" * 1000
    assert await read_body(messages(piece), 1000, 1000, Silence(1)) is piece


async def test_several_pieces_become_one_body() -> None:
    assert await read_body(messages(b"a", b"", b"b", b"c"), None, 3, Silence(1)) == b"abc"


async def test_pieces_of_a_large_body_go_into_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_JOINED_BYTES_MAX", 3)
    pieces = [b"a", b"bc", b"", b"d", b"ef"]
    joined = await read_body(messages(*pieces[:2]), None, 6, Silence(1))
    gathered = await read_body(messages(*pieces), None, 6, Silence(1))
    assert (type(joined), joined) == (bytes, b"abc")
    assert (type(gathered), gathered) == (bytearray, bytearray(b"abcdef"))


async def test_no_piece_is_an_empty_body() -> None:
    assert await read_body(messages(), None, 3, Silence(1)) == b""


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"ab", b"cd"], [b"", b"abc", b"d"]])
async def test_too_large(pieces: list[bytes]) -> None:
    with pytest.raises(GatewayError) as caught:
        await read_body(messages(*pieces), None, 3, Silence(1))
    assert caught.value.status == 413
    with pytest.raises(GatewayError) as caught:
        async for _ in stream_body(messages(*pieces), 3, Silence(1)):
            pass
    assert caught.value.status == 413


async def test_silence() -> None:
    with pytest.raises(GatewayError) as caught:
        await read_body(never, 3, 3, Silence(0.01))
    assert caught.value.status == 408
    with pytest.raises(GatewayError) as caught:
        await anext(stream_body(never, 3, Silence(0.01)))
    assert caught.value.status == 408


async def test_cancellation_is_not_taken_for_silence() -> None:
    task = asyncio.ensure_future(read_body(never, 3, 3, Silence(10)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_client_that_leaves() -> None:
    with pytest.raises(GatewayError) as caught:
        await read_body(messages(b"a", end=GONE), 3, 3, Silence(1))
    assert caught.value.status == 400


async def test_inflating_gives_other_tasks_their_turn() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.ensure_future(count())
    packed = gzip.compress(bytes(16 * 1024 * 1024))
    head = Head([(b"content-encoding", b"gzip")])
    body = await read_plain(messages(packed), head, 1 << 30, Silence(1))
    counter.cancel()
    assert len(body) == 16 * 1024 * 1024
    assert turns >= 60


async def test_too_many_members() -> None:
    packed = gzip.compress(b"") * (GZIP_MEMBERS_MAX + 1)
    head = Head([(b"content-encoding", b"gzip")])
    with pytest.raises(GatewayError) as caught:
        await read_plain(messages(packed), head, 1 << 30, Silence(1))
    assert caught.value.status == 400
