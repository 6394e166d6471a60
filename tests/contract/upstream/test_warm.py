"""Connections kept warm: taken again first, never in the way of others, given back in the end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hevfast.upstream import pool
from hevfast.upstream.exchange import Answer, Exchange
from hevfast.upstream.pool import Connector
from tests.contract.upstream.conftest import ask, opened, until
from tests.fakes.upstream import Upstream

pytestmark = pytest.mark.anyio


def connector_of(exchange: Exchange) -> Connector:
    connector = exchange._session._session.connector
    assert isinstance(connector, Connector)
    return connector


async def ask_by_session(exchange: Exchange) -> Answer:
    """Send a body that is still coming, which is what a ClientSession is used for."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    return await exchange.send("POST", "/v2/namespaces/ns", [], pieces(), 2, deed="write")


async def test_the_last_one_used_is_the_next_one_taken(upstream: Upstream) -> None:
    async with opened(upstream.url) as exchange:
        warm = connector_of(exchange).warm
        # Those that end while others still connect go back to aiohttp at once.
        await asyncio.gather(*[ask(exchange) for _ in range(4)])
        count, last = len(warm), warm[-1][1]
        for _ in range(3):
            assert (await ask(exchange)).status == 200
            assert len(warm) == count
            assert warm[-1][1] is last


async def test_a_session_gets_the_only_connection_there_may_be(upstream: Upstream) -> None:
    async with opened(upstream.url, HEVFAST_UPSTREAM_CONNECTIONS_MAX="1") as exchange:
        used = []
        for _ in range(3):
            assert (await ask(exchange)).status == 200
            used += [line for _, line, _ in connector_of(exchange).warm]
            assert (await ask_by_session(exchange)).status == 200
            assert not connector_of(exchange).warm
        assert used == [used[0]] * 3


async def test_those_who_wait_for_a_connection_get_it(upstream: Upstream) -> None:
    async with opened(upstream.url, HEVFAST_UPSTREAM_CONNECTIONS_MAX="2") as exchange:
        both = [ask(exchange) if n % 2 else ask_by_session(exchange) for n in range(40)]
        assert {answer.status for answer in await asyncio.gather(*both)} == {200}
        assert connector_of(exchange).waiting == 0


async def test_what_is_not_needed_cools_down(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_WARM_S", 0.02)
    async with opened(upstream.url) as exchange:
        connector = connector_of(exchange)
        await asyncio.gather(*[ask(exchange) for _ in range(4)])
        await until(lambda: not connector.warm)
        assert sum(map(len, connector._conns.values())) > 0
        assert not connector._acquired
        assert (await ask(exchange)).status == 200
        assert len(connector.warm) == 1


async def test_closing_leaves_nothing_taken(upstream: Upstream) -> None:
    async with opened(upstream.url) as exchange:
        connector = connector_of(exchange)
        await asyncio.gather(*[ask(exchange) for _ in range(4)])
    assert not connector._acquired
    assert not connector.warm
