"""Answers too large to hold: streamed with backpressure, and never cleanly finished when cut."""

import hashlib
import random

import pytest

from tests.fakes.client import AUTH, request_bytes
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Step, Upstream, Wire, answer, chunked, cut_short, head

MIB = 1024 * 1024
QUERY = "/v2/namespaces/ns/query"
BODY = random.Random(2).randbytes(12 * MIB)


@pytest.mark.parametrize("size", [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 12 * MIB])
def test_answer_of_any_size_arrives_whole(
    gateway: RunningGateway, upstream: Upstream, size: int
) -> None:
    upstream.script(answer(200, BODY[:size]))
    reply = gateway.ask("POST", QUERY, b"{}")
    assert (reply.status, reply.complete) == (200, True)
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(BODY[:size]).digest()
    assert reply.value(b"content-length") == b"%d" % size


def test_large_chunked_answer_arrives_whole(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script(chunked([BODY[:MIB], BODY[MIB:]]))
    reply = gateway.ask("POST", QUERY, b"{}")
    assert reply.complete
    assert reply.body == BODY


@pytest.mark.parametrize("reset", [True, False])
def test_large_answer_cut_short_is_cut_short_for_the_client(
    gateway: RunningGateway, upstream: Upstream, reset: bool
) -> None:
    upstream.script(cut_short(BODY[: 10 * MIB], 12 * MIB, reset=reset))
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", QUERY, b"{}"))
        reply = connection.receive()
        assert reply.status == 200
        assert not reply.complete
    assert "broke off" in gateway.log


def test_large_chunked_answer_cut_short_is_cut_short_for_the_client(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(chunked([BODY[: 6 * MIB], BODY[6 * MIB :]], end=False))
    reply = gateway.ask("POST", QUERY, b"{}")
    assert reply.status == 200
    assert not reply.complete


@pytest.mark.parametrize("status", [200, 500])
def test_write_answer_is_held_until_complete(
    gateway: RunningGateway, upstream: Upstream, status: int
) -> None:
    """An acknowledgement cut short is no acknowledgement, however large it is."""
    upstream.script(cut_short(BODY, 20 * MIB), answer(status, BODY))
    rows = b'{"upsert_rows":[{"id":1}]}'
    assert gateway.write(rows).status == 502
    reply = gateway.write(rows)
    assert (reply.status, reply.body) == (status, BODY)


def test_slow_client_slows_upstream_down(gateway: RunningGateway, upstream: Upstream) -> None:
    """What the client does not take is not fetched: memory stays bounded."""
    total = 400 * MIB
    sent: list[int] = []

    async def act(wire: Wire) -> None:
        await wire.send(head(200, [(b"Content-Length", b"%d" % total)]))
        for _ in range(400):
            await wire.send(BODY[:MIB])
            sent.append(MIB)

    upstream.script(Step(act))
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", QUERY, b"{}", [AUTH]))
        assert connection.socket.recv(1000)
        # Another request is served while this one waits for its client.
        assert gateway.ask("GET", "/health").status == 200
        settled = _settled(sent)
    assert settled < 64 * MIB


def test_client_that_leaves_ends_the_stream(gateway: RunningGateway, upstream: Upstream) -> None:
    import threading

    ended = threading.Event()

    async def act(wire: Wire) -> None:
        try:
            await wire.send(head(200, [(b"Content-Length", b"%d" % (4096 * MIB))]))
            for _ in range(4096):
                await wire.send(BODY[:MIB])
        finally:
            ended.set()

    upstream.script(Step(act))
    with gateway.connect() as connection:
        connection.send(request_bytes("POST", QUERY, b"{}", [AUTH]))
        assert connection.socket.recv(1000)
    assert ended.wait(10)
    assert gateway.ask("GET", "/health").status == 200


def _settled(sent: list[int]) -> int:
    """Wait until nothing more is taken for a while; give what was taken."""
    import time

    last, since = -1, time.monotonic()
    while time.monotonic() - since < 0.5:
        if len(sent) != last:
            last, since = len(sent), time.monotonic()
        time.sleep(0.02)
    return sum(sent)
