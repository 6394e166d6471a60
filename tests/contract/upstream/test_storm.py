"""Faults of every kind at once, under load, both ways sharing one pool: no answer goes astray.

Each answer names the request it is for. The judge is itself tried on servers that do give wrong
answers, which it must notice.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from hevfast.core.errors import AnswerTornError, GatewayError
from hevfast.upstream.exchange import Exchange
from tests.contract.upstream.conftest import opened, read, taken
from tests.fakes.upstream import parse_head

pytestmark = pytest.mark.anyio

WORKERS = 24
SECONDS = 2.0
SILENCE_MS = 300


class Storm:
    """A server that answers each request by its name, when it does; `wrong` is how it may err."""

    def __init__(self, seed: int, wrong: str = "") -> None:
        self._random = random.Random(seed)
        self._wrong = wrong
        self.kinds: Counter[str] = Counter()
        self.tasks: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            # The last is uvloop's, for writing to a connection whose loss is not told yet.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, RuntimeError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()
            self.tasks.discard(task)

    async def stop(self) -> None:
        """Wait for every connection to end; the exchange has closed them by now."""
        async with asyncio.timeout(15):
            while self.tasks:  # noqa: ASYNC110 - connections end one by one
                await asyncio.sleep(0.01)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = parse_head(await reader.readuntil(b"\r\n\r\n"))
        size = int((request.values(b"content-length") or [b"0"])[0])
        kind = self._random.choice(
            ("plain", "plain", "plain", "chunked", "close", "reset", "cut", "late", "103",
             "glued", "early", "until the end", "large", "announced close")
        )  # fmt: skip
        self.kinds[kind] += 1
        name = request.target[1:]
        if self._wrong and self._random.random() < 0.05:
            name = b"0" if self._wrong == "name" else name
            if self._wrong == "twice":
                kind = "twice"
        plain = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(name), name)
        if kind == "early":
            writer.write(plain)
            return False
        await reader.readexactly(size)
        if kind == "reset":
            writer.transport.abort()
            return False
        if kind == "late":
            await asyncio.sleep(self._random.choice((0.001, 0.01, 2 * SILENCE_MS / 1000)))
        writer.write(_bytes(kind, plain, name))
        await writer.drain()
        if kind == "twice":
            # Long enough for the next request to be under way already.
            await asyncio.sleep(0.003)
            writer.write(plain)
        return kind not in ("close", "cut", "until the end")


def _bytes(kind: str, plain: bytes, name: bytes) -> bytes:
    if kind == "chunked":
        return (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            b"1\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (name[:1], len(name) - 1, name[1:])
            if len(name) > 1
            else plain
        )
    if kind == "close":
        return b""
    if kind == "cut":
        return plain[:-1]
    if kind == "103":
        return b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + plain
    if kind == "glued":
        return plain + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale"
    if kind == "until the end":
        return b"HTTP/1.1 200 OK\r\n\r\n" + name
    if kind == "announced close":
        return plain.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n", 1)
    if kind == "large":
        body = name + b" " * 300_000
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    return plain


@contextlib.asynccontextmanager
async def storming(storm: Storm) -> AsyncIterator[str]:
    server = await asyncio.start_server(storm.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await storm.stop()


class Workers:
    """Ask without pause for a while, and judge what comes back."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        self._exchange = exchange
        self._random = random.Random(seed)
        self._count = 0
        self.outcomes: Counter[str] = Counter()

    async def run(self) -> None:
        end = asyncio.get_running_loop().time() + SECONDS
        async with asyncio.timeout(SECONDS + 15):
            await asyncio.gather(*[self._worker(end) for _ in range(WORKERS)])

    async def _worker(self, end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            self._count += 1
            task = asyncio.create_task(self._ask(b"n%d" % self._count))
            if self._random.random() < 0.1:
                await asyncio.sleep(self._random.random() * 0.004)
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self.outcomes[await task] += 1

    async def _ask(self, name: bytes) -> str:
        size = self._random.choice((0, 10, 1000, 100_000, 900_000))
        # HEAD and the like take the way of the session; so do these.
        method = self._random.choice(("POST", "POST", "POST", "PURGE"))
        try:
            answer = await self._exchange.send(
                method, "/" + name.decode(), [], b"x" * size, size, deed="write",
                whole_bytes_max=self._random.choice((10, 1_000_000)),
            )  # fmt: skip
            body = await read(answer)
        except (GatewayError, AnswerTornError):
            return "fault"
        # A plain answer that the closing cut short would be one as well.
        return "right" if body.rstrip() == name else "wrong"


@pytest.mark.parametrize("way", ["direct", "session"])
async def test_no_answer_goes_astray_in_a_storm(way: str) -> None:
    storm = Storm(1)
    async with (
        storming(storm) as url,
        opened(
            url,
            HEVFAST_UPSTREAM_CLIENT=way,
            HEVFAST_UPSTREAM_READ_TIMEOUT_MS=str(SILENCE_MS),
            HEVFAST_UPSTREAM_CONNECTIONS_MAX="16",
        ) as exchange,
    ):
        workers = Workers(exchange, 2)
        await workers.run()
        assert (exchange.inflight, taken(exchange)) == (0, 0)
    assert workers.outcomes["wrong"] == 0
    assert workers.outcomes["right"] > 200
    assert workers.outcomes["fault"] > 20
    assert min(storm.kinds.values()) > 5, storm.kinds


@pytest.mark.parametrize("wrong", ["name", "twice"])
async def test_the_judge_notices_wrong_answers(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers for another, and one that answers twice to a client that trusts it."""
    if wrong == "twice":
        monkeypatch.setattr("hevfast.upstream.line.Line.is_dead", lambda _: False)
    settings = {"HEVFAST_UPSTREAM_READ_TIMEOUT_MS": str(SILENCE_MS)}
    async with storming(Storm(1, wrong)) as url, opened(url, **settings) as exchange:
        workers = Workers(exchange, 2)
        await workers.run()
    assert workers.outcomes["wrong"] > 0
