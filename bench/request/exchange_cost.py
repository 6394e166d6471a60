"""What an exchange with Turbopuffer costs by itself: processor time, in this process, no server.

    python -m bench.request.exchange_cost [--rounds 7]

The other side is the stub of `peers.c`. "bytes" is a bare protocol that writes the same bytes and
waits for any: system calls and event loop. Ways are measured in alternation.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, cast

import uvloop

from bench import bodies
from bench.request.processes import HEADERS, compiled, pin, started
from hevfast.batch._scan import Stamped, scan
from hevfast.batch.stamp import stamp
from hevfast.core.limits import ROWS_MAX
from hevfast.settings import load
from hevfast.upstream.exchange import Exchange
from tests.fakes.client import request_bytes
from tests.fakes.upstream import unused_port

_TARGET = "/v2/namespaces/bench"
_PASSED_ON = [(name.lower(), value) for name, value in HEADERS]

Ways = dict[str, Callable[[], Awaitable[None]]]


class Bare(asyncio.Protocol):
    """Writes bytes and waits for some."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard.set_result(None)

    async def ask(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        await self._heard


async def write(exchange: Exchange, body: Any, size: int) -> None:
    answer = await exchange.send("POST", _TARGET, _PASSED_ON, body, size, deed="write")
    assert answer.status == 200
    assert isinstance(answer.body, bytes)
    assert answer.body.startswith(b'{"status":"OK"')


def small_ways(exchanges: dict[str, Exchange], bare: Bare) -> Ways:
    body = bodies.body("row1_1500b")
    data = request_bytes("POST", _TARGET, body, HEADERS)
    return {
        "bytes": lambda: bare.ask(data),
        "direct": lambda: write(exchanges["direct"], body, len(body)),
        "session": lambda: write(exchanges["session"], body, len(body)),
    }


def large_ways(exchanges: dict[str, Exchange], name: str) -> Ways:
    plan = scan(bodies.body(name), False, ROWS_MAX)

    def stamped() -> Stamped:
        return stamp(plan, now_ms=1_700_000_000_000, shard_count=16, stamp_shard=True)

    async def by(way: str, form: Callable[[Stamped], Any]) -> None:
        made = stamped()
        await write(exchanges[way], form(made), made.size)

    return {
        "direct": lambda: by("direct", lambda made: made),
        "direct, joined": lambda: by("direct", joined),
        "session, joined": lambda: by("session", arriving),
    }


def joined(made: Stamped) -> Iterable[list[bytes]]:
    for step in made:
        yield [b"".join(step)]


async def arriving(made: Stamped) -> AsyncIterator[bytes]:
    for step in made:
        yield b"".join(step)
        await asyncio.sleep(0)


async def cost_us(way: Callable[[], Awaitable[None]], at_once: int, times: int) -> float:
    async def repeat() -> None:
        for _ in range(times):
            await way()

    begun = time.process_time()
    await asyncio.gather(*[repeat() for _ in range(at_once)])
    return (time.process_time() - begun) / at_once / times * 1e6


async def measure(port: int, rounds: int, times: int) -> dict[str, list[float]]:
    """Give microseconds an exchange, by what was measured, of each round."""
    url = f"http://127.0.0.1:{port}"
    exchanges = {
        way: Exchange(load({"TPUF_URL": url, "HEVFAST_UPSTREAM_CLIENT": way}))
        for way in ("direct", "session")
    }
    for exchange in exchanges.values():
        await exchange.open()
    loop = asyncio.get_running_loop()
    transport, bare = await loop.create_connection(Bare, "127.0.0.1", port)
    small = small_ways(exchanges, bare)
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for at_once in (64, 8, 1):
            for way, ask in small.items():
                if way == "bytes" and at_once > 1:
                    continue
                cost = await cost_us(ask, at_once, max(times // at_once, 1))
                found.setdefault(f"1 row, {at_once} at once, {way}", []).append(cost)
        for name in ("rows1000_dim768_float", "rows10000_dim8_float"):
            for way, ask in large_ways(exchanges, name).items():
                cost = await cost_us(ask, 1, max(times // 500, 1))
                found.setdefault(f"{name}, {way}", []).append(cost)
    transport.close()
    for exchange in exchanges.values():
        await exchange.close()
    return found


def run(rounds: int, times: int) -> dict[str, list[float]]:
    """Measure beside a stub on another processor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = unused_port()
        with started([compiled(folder), "stub", str(port)], port, folder) as stub:
            pin(stub, 1)
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {min(before)})
            try:
                return uvloop.run(measure(port, rounds, times))
            finally:
                os.sched_setaffinity(0, before)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--times", type=int, default=6400)
    given = parser.parse_args()
    for name, costs in run(given.rounds, given.times).items():
        low, high = min(costs), max(costs)
        print(f"{name:42} {statistics.median(costs):8.1f} [{low:.1f}..{high:.1f}] us")


if __name__ == "__main__":
    main()
