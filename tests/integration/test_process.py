"""Starting, stopping, several workers, and memory, with the real program."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.client import AUTH, Reply, request_bytes
from tests.fakes.gateway import hevfast, running_gateway
from tests.fakes.upstream import OK_BODY, Step, Upstream, Wire, answer, head, running_upstream

ROWS = b'{"upsert_rows":[{"id":1}]}'
MIB = 1024 * 1024


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly_with_one_line_at_start_and_one_at_stop(
    upstream: Upstream, number: int
) -> None:
    with running_gateway(upstream.url) as gateway:
        with gateway.connect() as idle:
            idle.send(request_bytes("GET", "/health"))
            assert idle.receive("GET").status == 200
            assert gateway.stop(number) == 0
        lines = gateway.log.splitlines()
    assert len(lines) == 2
    assert f"listens on http://127.0.0.1:{gateway.port}" in lines[0]
    assert lines[1].endswith("hevfast stopped")


def test_requests_under_way_are_answered_before_the_stop(upstream: Upstream) -> None:
    may_answer = threading.Event()

    async def act(wire: Wire) -> None:
        import asyncio

        await asyncio.to_thread(may_answer.wait, 10)
        await wire.send(head(200, [(b"Content-Length", b"%d" % len(OK_BODY))]) + OK_BODY)

    upstream.script(Step(act))
    with running_gateway(upstream.url) as gateway, gateway.connect() as connection:
        connection.send(request_bytes("POST", "/v2/namespaces/ns", ROWS))
        upstream.wait(1)
        gateway.process.terminate()
        may_answer.set()
        assert connection.receive().status == 200
        assert gateway.process.wait(10) == 0


def test_several_workers_serve_one_port(upstream: Upstream) -> None:
    with running_gateway(upstream.url, HEVFAST_WORKERS="2") as gateway:
        for _ in range(20):
            assert gateway.write(ROWS).status == 200
        assert gateway.stop() == 0


def test_worker_that_crashes_is_replaced(upstream: Upstream) -> None:
    with running_gateway(upstream.url) as gateway:
        assert gateway.write(ROWS).status == 200
        first = _workers(gateway.process.pid)[0]
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError):
                if gateway.ask("GET", "/health").status == 200:
                    break
        assert gateway.write(ROWS).status == 200
        assert first not in _workers(gateway.process.pid)
        assert gateway.stop() == 0


def test_port_of_a_running_gateway_is_refused(upstream: Upstream) -> None:
    with running_gateway(upstream.url) as gateway:
        done = hevfast("serve", TPUF_URL=upstream.url, PORT=str(gateway.port))
    assert done.returncode == 1
    assert "cannot listen" in done.stderr


def test_many_writes_at_once(upstream: Upstream) -> None:
    replies: list[Reply] = []

    def write_some() -> None:
        with gateway.connect() as connection:
            for _ in range(10):
                connection.send(request_bytes("POST", "/v2/namespaces/ns", ROWS, [AUTH]))
                replies.append(connection.receive())

    with running_gateway(upstream.url) as gateway:
        threads = [threading.Thread(target=write_some) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [reply.status for reply in replies] == [200] * 200
    assert len(upstream.requests) == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_large_write_needs_memory_for_one_copy(upstream: Upstream, chunked: bool) -> None:
    row = b'{"id":%d,"text":"' + b"x" * 1000 + b'"}'
    body = b'{"upsert_rows":[' + b",".join(row % n for n in range(128 * 1024)) + b"]}"
    with running_gateway(upstream.url) as gateway:
        assert gateway.write(ROWS).status == 200
        before = _peak_bytes(gateway.process.pid)
        headers = [AUTH, (b"Transfer-Encoding", b"chunked")] if chunked else [AUTH]
        with gateway.connect() as connection:
            if chunked:
                connection.send(request_bytes("POST", "/v2/namespaces/ns", None, headers))
                for at in range(0, len(body), MIB):
                    piece = body[at : at + MIB]
                    connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                connection.send(b"0\r\n\r\n")
            else:
                connection.send(request_bytes("POST", "/v2/namespaces/ns", body, headers))
            assert connection.receive().status == 200
        extra = _peak_bytes(gateway.process.pid) - before
    assert upstream.requests[-1].body_size > len(body)
    assert extra <= 1.3 * len(body), f"{extra / len(body):.2f} times the body"


def test_what_only_passes_through_needs_little_memory(upstream: Upstream) -> None:
    path = "/v2/namespaces/ns/query"
    with running_gateway(upstream.url) as gateway:
        assert gateway.ask("POST", path, b"{}").status == 200
        before = _peak_bytes(gateway.process.pid)
        assert gateway.ask("POST", path, bytes(128 * MIB)).status == 200
        assert upstream.requests[-1].body_size == 128 * MIB
        upstream.script(answer(200, bytes(128 * MIB)))
        assert len(gateway.ask("POST", path, b"{}").body) == 128 * MIB
        extra = _peak_bytes(gateway.process.pid) - before
    assert extra < 32 * MIB, f"{extra / MIB:.0f} MiB"


def _workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children]


def _peak_bytes(parent: int) -> int:
    """Give the largest resident size so far of the workers of a gateway."""
    peaks = []
    for child in _workers(parent):
        status = Path(f"/proc/{child}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        peaks.append(int(line.split()[1]) * 1024)
    return max(peaks)
