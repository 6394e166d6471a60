"""Large request bodies: sent in steps, exactly, without holding the loop or missing an answer."""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from hevfast.core.errors import GatewayError
from tests.contract.upstream.conftest import ask, opened
from tests.fakes.upstream import Step, Upstream, Wire, answer

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
TEXT = random.Random(5).randbytes(9 * MIB + 77)
WAYS = pytest.mark.parametrize("way", ["direct", "session"])


def steps(piece_bytes: int, step_bytes: int = 256 * 1024) -> Iterator[list[bytes | memoryview]]:
    """Cut the text into pieces, and gather them into lists of about a step each."""
    view = memoryview(TEXT)
    gathered: list[bytes | memoryview] = []
    for start in range(0, len(TEXT), piece_bytes):
        gathered.append(view[start : start + piece_bytes])
        if len(gathered) * piece_bytes >= step_bytes:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


async def arriving() -> AsyncIterator[bytes]:
    for start in range(0, len(TEXT), 100_000):
        await asyncio.sleep(0)
        yield TEXT[start : start + 100_000]


@WAYS
@pytest.mark.parametrize("piece_bytes", [100, 4095, 9000, 300_000])
async def test_steps_arrive_as_one_body(upstream: Upstream, way: str, piece_bytes: int) -> None:
    async with opened(upstream.url, HEVFAST_UPSTREAM_CLIENT=way) as exchange:
        for body in (steps(piece_bytes), TEXT, bytearray(TEXT), arriving()):
            upstream.script()
            reply = await exchange.send("POST", "/", [], body, len(TEXT), deed="write")
            assert reply.status == 200
            assert upstream.only.values(b"content-length") == [b"%d" % len(TEXT)]
            assert upstream.only.body_sha256 == hashlib.sha256(TEXT).hexdigest()


async def test_body_of_unknown_size_is_sent_in_chunks(upstream: Upstream) -> None:
    async with opened(upstream.url) as exchange:
        await exchange.send("POST", "/", [], arriving(), None, deed="write")
    assert upstream.only.values(b"content-length") == []
    assert upstream.only.body_sha256 == hashlib.sha256(TEXT).hexdigest()


async def test_body_of_another_size_than_was_said_breaks_the_connection_off(
    upstream: Upstream,
) -> None:
    """Or the rest of it would be the beginning of the next request."""
    async with opened(upstream.url) as exchange:
        for error in (-1, 1):
            with pytest.raises(RuntimeError, match="a body of"):
                await exchange.send("POST", "/", [], steps(9000), len(TEXT) + error, deed="write")
            assert (await ask(exchange)).status == 200


async def test_body_that_cannot_be_read_breaks_the_connection_off(upstream: Upstream) -> None:
    def broken() -> Iterator[list[bytes | memoryview]]:
        yield [TEXT[:MIB]]
        raise LookupError("no more rows")

    async with opened(upstream.url) as exchange:
        with pytest.raises(LookupError):
            await exchange.send("POST", "/", [], broken(), len(TEXT), deed="write")
        assert (await ask(exchange)).status == 200


@pytest.mark.parametrize("close", [False, True], ids=["kept open", "closed"])
async def test_answer_before_the_body_is_taken_is_given(upstream: Upstream, close: bool) -> None:
    before = upstream.connections
    upstream.script(answer(413, b"too large", early=True, close=close))
    async with opened(upstream.url, HEVFAST_UPSTREAM_CONNECTIONS_MAX="1") as exchange:
        try:
            reply = await ask(exchange, b"x" * (64 * MIB))
        except GatewayError:
            # A server that closes with the body unread resets, and may be heard no more.
            assert close
        else:
            assert (reply.status, reply.body) == (413, b"too large")
        # The rest of the body would be taken for the next request.
        assert (await ask(exchange)).status == 200
    assert upstream.connections - before == 2


@pytest.mark.parametrize("piece_bytes", [400, 9000])
async def test_large_body_never_holds_the_loop(upstream: Upstream, piece_bytes: int) -> None:
    """Between two turns the loop's thread spends no more than a few milliseconds."""
    longest = 0.0
    lists = list(steps(piece_bytes))

    async def look() -> None:
        nonlocal longest
        while True:
            spent, clock = time.thread_time(), time.perf_counter()
            await asyncio.sleep(0)
            gap = min(time.thread_time() - spent, time.perf_counter() - clock)
            longest = max(longest, gap)

    async with opened(upstream.url) as exchange:
        looking = asyncio.create_task(look())
        await asyncio.gather(
            *[
                exchange.send("POST", "/", [], iter(lists), len(TEXT), deed="write")
                for _ in range(2)
            ]
        )
        looking.cancel()
    # Two bodies of 9 MiB in one go would be some 10 ms.
    assert longest < 0.006


async def test_others_have_a_turn_after_every_step(upstream: Upstream) -> None:
    turns = 0
    seen = []

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def noted() -> Iterator[list[bytes | memoryview]]:
        # Small enough for the kernel to take them all at once.
        for start in range(0, 100_000, 1000):
            seen.append(turns)
            yield [TEXT[start : start + 1000]]

    async with opened(upstream.url) as exchange:
        turning = asyncio.create_task(turn())
        reply = await exchange.send("POST", "/", [], noted(), 100_000, deed="write")
        turning.cancel()
    assert reply.status == 200
    assert len(set(seen)) == 100


async def test_no_more_of_a_body_is_made_once_the_answer_is_here(upstream: Upstream) -> None:
    made = 0

    def counted() -> Iterator[list[bytes | memoryview]]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield [TEXT[: 256 * 1024]]

    upstream.script(answer(413, b"too large", early=True))
    async with opened(upstream.url) as exchange:
        size = 1000 * 256 * 1024
        reply = await exchange.send("POST", "/", [], counted(), size, deed="write")
        assert reply.status == 413
        assert made < 200


async def test_slow_taker_is_waited_for_and_little_is_held(upstream: Upstream) -> None:
    """What upstream does not take is not made either."""
    made = 0

    def counted() -> Iterator[list[bytes | memoryview]]:
        nonlocal made
        for step in steps(9000):
            made += sum(map(len, step))
            yield step

    async def stop_reading(wire: Wire) -> None:
        await wire.writer.wait_closed()

    total = len(TEXT)
    upstream.script(Step(stop_reading, early=True))
    async with opened(upstream.url) as exchange:
        many = (step for _ in range(20) for step in counted())
        task = asyncio.create_task(exchange.send("POST", "/", [], many, 20 * total, deed="write"))
        last = -1
        while made != last or not made:
            last = made
            await asyncio.sleep(0.1)
        assert made < 32 * MIB
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
