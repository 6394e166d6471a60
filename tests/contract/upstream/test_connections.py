"""Kept connections: reused when they can be, never trusted when dead, never a stale answer."""

import asyncio
import contextlib
import functools
import logging
import socket
import threading

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from hevfast.core.errors import GatewayError
from hevfast.upstream.exchange import Exchange
from hevfast.upstream.line import Line
from tests.contract.upstream.conftest import WAIT_S, ask, opened, taken, until
from tests.fakes.upstream import OK_BODY, Step, Upstream, Wire, answer, head, raw, silence

pytestmark = pytest.mark.anyio

GOOD = head(200, [(b"Content-Length", b"4")]) + b"good"
STALE = head(200, [(b"Content-Length", b"5")]) + b"stale"


class Closing:
    """Answers, and closes when told to, so that the event loop of the exchange cannot know yet."""

    def __init__(self, *, reset: bool) -> None:
        self._reset = reset
        self._close = threading.Event()
        self._closed = threading.Event()

    def step(self) -> Step:
        async def act(wire: Wire) -> None:
            await wire.send(GOOD)
            await asyncio.to_thread(self._close.wait, WAIT_S)
            if self._reset:
                wire.reset()
            else:
                await wire.close()
            # The socket itself is closed in a turn of its own.
            asyncio.get_running_loop().call_later(0.05, self._closed.set)

        return Step(act)

    def now(self) -> None:
        """Close, holding up this thread's event loop until it has happened."""
        self._close.set()
        assert self._closed.wait(WAIT_S)


def lines(exchange: Exchange) -> list[Line]:
    """Give the idle connections, warm ones included."""
    connector = exchange._session._session.connector
    kept = [line for each in connector._conns.values() for line, _ in each]
    return kept + [line for _, line, _ in connector.warm]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_nothing_is_sent_on_a_dead_kept_connection(upstream: Upstream, reset: bool) -> None:
    closing = Closing(reset=reset)
    upstream.script(closing.step())
    async with opened(upstream.url) as exchange:
        await ask(exchange)
        assert len(lines(exchange)) == 1
        closing.now()
        upstream.script()
        assert (await ask(exchange)).status == 200
    assert len(upstream.requests) == 1


async def test_without_the_look_a_request_is_lost_on_a_dead_connection(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail; and what was sent is not sent again, whatever becomes of it."""
    monkeypatch.setattr(Line, "is_dead", lambda _: False)
    closing = Closing(reset=False)
    upstream.script(closing.step())
    async with opened(upstream.url) as exchange:
        await ask(exchange)
        closing.now()
        upstream.script()
        with pytest.raises(GatewayError):
            await ask(exchange)
    assert upstream.requests == []


async def test_many_dead_connections_cost_no_request(upstream: Upstream) -> None:
    closing = [Closing(reset=False) for _ in range(8)]
    upstream.script(*[each.step() for each in closing])
    async with opened(upstream.url) as exchange:
        await asyncio.gather(*[ask(exchange) for _ in closing])
        assert len(lines(exchange)) == 8
        for each in closing:
            each.now()
        upstream.script()
        assert (await ask(exchange)).status == 200


@pytest.mark.parametrize("fault", [raw(b"", close=True), raw(b"", reset=True)])
async def test_request_that_was_sent_is_not_sent_again(upstream: Upstream, fault: Step) -> None:
    async with opened(upstream.url) as exchange:
        await ask(exchange)
        upstream.script(fault)
        with pytest.raises(GatewayError):
            await ask(exchange)
        assert len(upstream.requests) == 1


async def test_server_that_closes_at_once_is_not_asked_forever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        accepted = 0

        def accept() -> None:
            nonlocal accepted
            while True:
                try:
                    end, _ = server.accept()
                except OSError:
                    return
                accepted += 1
                end.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        async with opened(f"http://127.0.0.1:{port}") as exchange:
            with pytest.raises(GatewayError):
                await ask(exchange)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(WAIT_S)
    assert accepted == 1


async def test_greeting_is_not_taken_for_an_answer() -> None:
    """What a server says on its own when a connection opens answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends: list[socket.socket] = []

        def greet() -> None:
            end, _ = server.accept()
            ends.append(end)
            end.sendall(STALE)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        async with opened(
            f"http://127.0.0.1:{server.getsockname()[1]}", HEVFAST_UPSTREAM_READ_TIMEOUT_MS="200"
        ) as exchange:
            # If it is here already, the connection counts as dead and is not given at all.
            with contextlib.suppress(aiohttp.ServerDisconnectedError):
                connection, line = await exchange._direct._pool.acquire()
                await until(line.is_dead)
                connection.release()
            assert lines(exchange) == []
        thread.join(WAIT_S)
        ends[0].close()


async def test_glued_answer_is_dropped_with_its_connection(upstream: Upstream) -> None:
    for extra in (STALE, STALE[:9], b"x", b"\0"):
        before = upstream.connections
        upstream.script(raw(GOOD + extra), raw(GOOD))
        async with opened(upstream.url) as exchange:
            assert (await ask(exchange)).body == b"good"
            assert lines(exchange) == []
            assert (await ask(exchange)).body == b"good"
        assert upstream.connections - before == 2


async def test_answer_that_nobody_asked_for_closes_an_idle_connection(upstream: Upstream) -> None:
    asked = threading.Event()

    async def act(wire: Wire) -> None:
        await wire.send(GOOD)
        await asyncio.to_thread(asked.wait, WAIT_S)
        await wire.send(STALE)

    upstream.script(Step(act), raw(GOOD))
    async with opened(upstream.url) as exchange:
        assert (await ask(exchange)).body == b"good"
        line = lines(exchange)[0]
        asked.set()
        await until(lambda: not line.is_connected())
        assert (await ask(exchange)).body == b"good"


async def test_both_ways_share_their_connections(upstream: Upstream) -> None:
    before = upstream.connections
    async with opened(upstream.url) as exchange:
        for _ in range(5):
            for method in ("POST", "HEAD", "OPTIONS", "GET", "DELETE"):
                upstream.script(raw(head(200, [(b"Content-Length", b"0")])))
                answer = await exchange.send(method, "/v1/x", [], None, None, deed="write")
                assert (answer.status, answer.body) == (200, b"")
    assert upstream.connections - before == 1


async def test_small_writes_do_not_wait_for_each_other_in_the_kernel(upstream: Upstream) -> None:
    async with opened(upstream.url) as exchange:
        await ask(exchange)
        end = lines(exchange)[0].transport.get_extra_info("socket")
        with end.dup() as copy:
            assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_no_more_connections_than_allowed_and_none_is_lost(upstream: Upstream) -> None:
    before = upstream.connections
    async with opened(upstream.url, HEVFAST_UPSTREAM_CONNECTIONS_MAX="3") as exchange:
        answers = await asyncio.gather(*[ask(exchange) for _ in range(60)])
        assert {each.status for each in answers} == {200}
        assert len(lines(exchange)) == 3
    assert upstream.connections - before == 3


async def test_waiting_for_a_connection_is_bounded(upstream: Upstream) -> None:
    async with opened(
        upstream.url,
        HEVFAST_UPSTREAM_CONNECTIONS_MAX="1",
        HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS="60",
        HEVFAST_UPSTREAM_READ_TIMEOUT_MS="400",
    ) as exchange:
        upstream.script(silence())
        first = asyncio.create_task(ask(exchange))
        await until(lambda: len(upstream.requests) == 1)
        assert exchange.inflight == 1
        for fault in await asyncio.gather(
            *[ask(exchange) for _ in range(5)], return_exceptions=True
        ):
            assert isinstance(fault, GatewayError)
            assert "waiting for a connection" in fault.detail
        with pytest.raises(GatewayError, match="waiting for the answer"):
            await first
        assert (await ask(exchange)).status == 200


async def test_closing_ends_what_is_under_way(upstream: Upstream) -> None:
    """Neither an answer that does not come nor a body that is not taken holds the closing up."""

    async def stop_reading(wire: Wire) -> None:
        await wire.writer.wait_closed()

    upstream.script(silence(), Step(stop_reading, early=True))
    async with opened(upstream.url) as exchange:
        # One after the other, so that each meets its own step.
        waiting = []
        for number, body in enumerate((b"{}", b"x" * (64 * 1024 * 1024)), 1):
            waiting.append(asyncio.create_task(ask(exchange, body)))
            await until(lambda number=number: len(upstream.requests) == number)
        unwritten = [-1]
        # Until nothing is taken any more.
        async with asyncio.timeout(WAIT_S):
            while len(set(unwritten[-5:])) > 1 or unwritten[-1] <= 0:
                under_way = exchange._direct._sweep.lines
                unwritten.append(sum(each.transport.get_write_buffer_size() for each in under_way))
                await asyncio.sleep(0.02)
        async with asyncio.timeout(WAIT_S):
            await exchange.close()
            for fault in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(fault, GatewayError)


async def test_idle_connections_are_closed_with_the_exchange(upstream: Upstream) -> None:
    ended = threading.Event()

    async def act(wire: Wire) -> None:
        await wire.send(GOOD)
        await wire.until_closed()
        ended.set()

    upstream.script(Step(act))
    async with opened(upstream.url) as exchange:
        await ask(exchange)
    await until(ended.is_set)


async def test_pool_that_gives_other_connections_is_used_by_a_session(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """An aiohttp that took no notice of our protocol: slower, and not broken."""
    async with opened(upstream.url) as exchange:
        connector = exchange._session._session.connector
        make = functools.partial(ResponseHandler, loop=asyncio.get_running_loop())
        connector._factory = make
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert (await ask(exchange)).body == OK_BODY
        assert caplog.text.count("ClientSession") == 1
        assert len(upstream.requests) == 3
        assert taken(exchange) == 0


async def test_closed_connection_is_followed_by_a_new_one(upstream: Upstream) -> None:
    before = upstream.connections
    async with opened(upstream.url) as exchange:
        for _ in range(3):
            upstream.script(answer(headers=[(b"Connection", b"close")]))
            assert (await ask(exchange)).body == OK_BODY
            assert lines(exchange) == []
    assert upstream.connections - before == 3
