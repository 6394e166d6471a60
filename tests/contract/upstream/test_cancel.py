"""An exchange may be cancelled in any state: nothing hangs, leaks, or answers somebody else."""

import asyncio
import contextlib
import socket

import pytest

from hevfast.upstream.exchange import Exchange
from tests.contract.upstream.conftest import ask, opened, read, taken, until
from tests.fakes.upstream import Step, Upstream, Wire, head, raw, silence

pytestmark = pytest.mark.anyio

ONE = {"HEVFAST_UPSTREAM_CONNECTIONS_MAX": "1"}
LARGE = b"x" * (64 * 1024 * 1024)


async def cancelled(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def is_usable(exchange: Exchange, upstream: Upstream) -> None:
    """With one connection allowed, a slot that leaked would make this wait in vain."""
    assert (exchange.inflight, taken(exchange)) == (0, 0)
    upstream.script(raw(head(200, [(b"Content-Length", b"4")]) + b"mine"))
    async with asyncio.timeout(5):
        assert (await ask(exchange)).body == b"mine"


async def stop_reading(wire: Wire) -> None:
    await wire.writer.wait_closed()


@pytest.mark.parametrize(
    ("step", "body"),
    [
        (silence(), b"{}"),
        (raw(b"HTTP/1.1 200 OK\r\nCont"), b"{}"),
        (raw(head(200, [(b"Content-Length", b"9")]) + b"{"), b"{}"),
        (Step(stop_reading, early=True), LARGE),
    ],
    ids=["waiting", "in the head", "in the body", "sending"],
)
async def test_cancelled_under_way(upstream: Upstream, step: Step, body: bytes) -> None:
    upstream.script(step)
    async with opened(upstream.url, **ONE) as exchange:
        task = asyncio.create_task(ask(exchange, body))
        await until(lambda: len(upstream.requests) == 1)
        # Let what is on its way arrive.
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not task.done()
        await cancelled(task)
        await is_usable(exchange, upstream)


async def test_cancelled_while_waiting_for_a_connection(upstream: Upstream) -> None:
    upstream.script(silence())
    async with opened(upstream.url, **ONE) as exchange:
        first = asyncio.create_task(ask(exchange))
        await until(lambda: len(upstream.requests) == 1)
        waiting = [asyncio.create_task(ask(exchange)) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert exchange.inflight == 4
        for task in (waiting[1], waiting[0], waiting[2], first):
            await cancelled(task)
        await is_usable(exchange, upstream)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cancelled_while_connecting(upstream: Upstream, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://localhost:{server.getsockname()[1]}"
        async with opened(url, **ONE) as exchange:
            for turns in range(12):
                task = asyncio.create_task(ask(exchange))
                for _ in range(turns):
                    await asyncio.sleep(0)
                await cancelled(task)
                assert (exchange.inflight, taken(exchange)) == (0, 0)


async def test_large_answer_that_is_not_read_to_its_end_closes_its_connection(
    upstream: Upstream,
) -> None:
    data = head(200, [(b"Content-Length", b"99999999")]) + b"z" * 3_000_000
    async with opened(upstream.url, **ONE) as exchange:
        for pieces in (0, 1, 3):
            upstream.script(raw(data))
            answer = await ask(exchange)
            assert not isinstance(answer.body, bytes)
            for _ in range(pieces):
                assert await anext(answer.body)
            await answer.body.aclose()
            await answer.body.aclose()
            await is_usable(exchange, upstream)


async def test_cancelled_while_reading_a_large_answer(upstream: Upstream) -> None:
    upstream.script(raw(head(200, [(b"Content-Length", b"99999999")]) + b"z" * 100_000))
    async with opened(upstream.url, **ONE) as exchange:
        answer = await ask(exchange)
        task = asyncio.create_task(read(answer))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not task.done()
        await cancelled(task)
        await is_usable(exchange, upstream)


async def test_answer_that_comes_with_the_cancellation_is_nobody_elses(upstream: Upstream) -> None:
    """Cancelled in each of many moments around the answer, the next answer is always the next's."""
    async with opened(upstream.url, **ONE) as exchange:
        for turns in range(60):
            upstream.script(raw(head(200, [(b"Content-Length", b"3")]) + b"old"))
            task = asyncio.create_task(ask(exchange))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert (await task).body == b"old"
            upstream.script()
            reply = await exchange.send("GET", "/v1/x", [], None, None, deed="fetch")
            assert reply.body != b"old"
