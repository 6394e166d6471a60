"""Every wait for upstream ends, in time, and only when upstream is what is waited for."""

import asyncio
import socket
import time

import pytest

from hevfast.core.errors import AnswerTornError, GatewayError
from tests.contract.upstream.conftest import ask, opened, read
from tests.fakes.upstream import Step, Upstream, Wire, drip, head, raw, silence

pytestmark = pytest.mark.anyio

SILENCE_S = 0.2
TOTAL_S = 0.6
SHORT = {
    "HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS": "150",
    "HEVFAST_UPSTREAM_READ_TIMEOUT_MS": str(int(SILENCE_S * 1000)),
    "HEVFAST_UPSTREAM_TOTAL_TIMEOUT_MS": str(int(TOTAL_S * 1000)),
}
# Seconds. How late the sweep may be, and how much this machine may add.
LATE_S = 2 * SILENCE_S / 8 + 1.0


@pytest.mark.parametrize(
    "step",
    [
        silence(),
        raw(b"HTTP/1.1 200 OK\r\nConte"),
        raw(head(103, [])),
        raw(head(200, [(b"Content-Length", b"9")]) + b"{"),
        raw(head(200, [(b"Transfer-Encoding", b"chunked")]) + b"1\r\na"),
        raw(head(200, []) + b"until"),
    ],
    ids=["first byte", "head", "interim", "body", "chunk", "until the end"],
)
async def test_silence_of_upstream_ends_an_exchange(upstream: Upstream, step: Step) -> None:
    upstream.script(step)
    async with opened(upstream.url, **SHORT) as exchange:
        begun = time.monotonic()
        with pytest.raises(GatewayError, match="timed out waiting for the answer"):
            await ask(exchange)
        assert SILENCE_S <= time.monotonic() - begun < SILENCE_S + LATE_S
        assert (await ask(exchange)).status == 200


async def test_exchange_that_goes_on_too_long_ends(upstream: Upstream) -> None:
    """Bytes that keep coming are no silence, and still not without an end."""
    upstream.script(drip(head(200, []) + b"x" * 5000, 0.01))
    async with opened(upstream.url, **SHORT) as exchange:
        begun = time.monotonic()
        with pytest.raises(GatewayError, match=r"timed out\."):
            await ask(exchange)
        assert TOTAL_S <= time.monotonic() - begun < TOTAL_S + LATE_S


async def test_slow_answer_with_progress_is_waited_for(upstream: Upstream) -> None:
    upstream.script(drip(head(200, [(b"Content-Length", b"3")]) + b"abc", SILENCE_S / 20))
    async with opened(upstream.url, HEVFAST_UPSTREAM_READ_TIMEOUT_MS="200") as exchange:
        assert (await ask(exchange)).body == b"abc"


async def test_slow_taking_of_a_body_is_progress(upstream: Upstream) -> None:
    step_bytes, steps, silence_s = 2 * 1024 * 1024, 16, 0.4

    async def take_slowly(wire: Wire) -> None:
        for _ in range(steps):
            await asyncio.sleep(silence_s / 8)
            await wire.reader.readexactly(step_bytes)
        await wire.send(head(200, [(b"Content-Length", b"2")]) + b"ok")

    upstream.script(Step(take_slowly, early=True))
    async with opened(upstream.url, HEVFAST_UPSTREAM_READ_TIMEOUT_MS="400") as exchange:
        begun = time.monotonic()
        assert (await ask(exchange, b"x" * (step_bytes * steps))).body == b"ok"
        assert time.monotonic() - begun > silence_s


async def test_upstream_that_takes_no_more_of_a_body_is_given_up(upstream: Upstream) -> None:
    async def stop_reading(wire: Wire) -> None:
        await wire.writer.wait_closed()

    upstream.script(Step(stop_reading, early=True))
    async with opened(upstream.url, HEVFAST_UPSTREAM_READ_TIMEOUT_MS="200") as exchange:
        with pytest.raises(GatewayError, match="timed out waiting for the answer"):
            await ask(exchange, b"x" * (64 * 1024 * 1024))
        assert (await ask(exchange)).status == 200


async def test_connecting_ends() -> None:
    """A handshake that is never answered, too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://localhost:{server.getsockname()[1]}"
        async with opened(url, **SHORT) as exchange:
            begun = time.monotonic()
            with pytest.raises(GatewayError, match="timed out waiting for a connection"):
                await ask(exchange)
            assert time.monotonic() - begun < 0.15 + LATE_S


async def test_slow_reader_of_a_large_answer_is_not_upstreams_silence(upstream: Upstream) -> None:
    size = 24 * 1024 * 1024
    upstream.script(raw(head(200, [(b"Content-Length", b"%d" % size)]) + b"z" * size))
    async with opened(upstream.url, HEVFAST_UPSTREAM_READ_TIMEOUT_MS="100") as exchange:
        answer = await ask(exchange)
        assert not isinstance(answer.body, bytes)
        await asyncio.sleep(0.4)
        assert len(await read(answer)) == size


async def test_large_answer_that_falls_silent_is_torn(upstream: Upstream) -> None:
    upstream.script(raw(head(200, [(b"Content-Length", b"99999999")]) + b"z" * 1000))
    async with opened(upstream.url, **SHORT) as exchange:
        answer = await ask(exchange)
        with pytest.raises(AnswerTornError, match="timed out"):
            await read(answer)
        # Nothing more comes of it, and nothing breaks.
        assert await read(answer) == b""
