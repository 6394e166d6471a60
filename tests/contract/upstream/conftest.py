"""An exchange in this process, a scripted Turbopuffer on a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from hevfast.settings import load
from hevfast.upstream.answer import Answer
from hevfast.upstream.exchange import Exchange
from hevfast.upstream.pool import Connector

# Seconds. Longest wait for something that should happen at once.
WAIT_S = 10.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})


@contextlib.asynccontextmanager
async def opened(url: str, **settings: str) -> AsyncIterator[Exchange]:
    """Give an open exchange, and see to it that nothing is left in flight."""
    exchange = Exchange(load({"TPUF_URL": url, **settings}))
    await exchange.open()
    try:
        yield exchange
        assert exchange.inflight == 0
        assert taken(exchange) == 0
    finally:
        await exchange.close()


def taken(exchange: Exchange) -> int:
    """Count the connections that are in use: neither idle in aiohttp's pool nor kept warm."""
    connector = exchange._session._session.connector
    if not isinstance(connector, Connector):
        return 0
    return len(connector._acquired) - len(connector.warm)


async def ask(exchange: Exchange, body: bytes = b"{}", path: str = "/v2/namespaces/ns") -> Answer:
    return await exchange.send("POST", path, [], body, len(body), deed="write")


async def read(answer: Answer) -> bytes:
    """Read a body, streamed or not, to its end."""
    if isinstance(answer.body, bytes):
        return answer.body
    return b"".join([piece async for piece in answer.body])


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.002)
