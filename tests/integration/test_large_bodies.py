"""Large writes: memory of one copy, small writes beside them unharmed, the loop never held."""

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

import pytest

from bench import bodies
from tests.fakes.client import AUTH, Client, Connection, Reply, request_bytes
from tests.fakes.gateway import clean_environment, wait_until_listening
from tests.fakes.upstream import unused_port

MIB = 1024 * 1024
SMALL = b'{"upsert_rows":[{"id":1,"vector":[0.1,0.2]}]}'
PIECE_BYTES = 256 * 1024

# What must hold: bytes of memory per byte of body, and milliseconds.
MEMORY_RATIO_MAX = 1.3
SMALL_P99_MS = 50
STALL_MS = 50


@contextlib.contextmanager
def running(
    *words: str, port: int, log: Path, **settings: str
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            env=clean_environment(**settings),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_listening(process, port, log)
        yield process
    finally:
        process.terminate()
        process.wait(30)


class Gateway(Client):
    """A gateway whose loop is watched, in front of a sink."""

    def __init__(self, port: int, worker: int) -> None:
        super().__init__(port)
        self.worker = worker

    def memory_bytes(self, what: str) -> int:
        """Read VmRSS (now) or VmHWM (peak) of the worker."""
        for line in Path(f"/proc/{self.worker}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(what)

    def longest_stall_ms(self) -> float:
        found: float = self.ask("GET", "/_stall").json
        return found


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    sink, port = unused_port(), unused_port()
    with (
        running("tests.fakes.sink", str(sink), port=sink, log=tmp_path / "sink"),
        running(
            *("granian", "--interface", "asgi", "--loop", "uvloop", "--runtime-mode", "st"),
            *("--factory", "tests.fakes.watched:build", "--port", str(port), "--no-ws"),
            port=port,
            log=tmp_path / "gateway",
            TPUF_URL=f"http://127.0.0.1:{sink}",
            HEVFAST_DATA_DIR=str(tmp_path),
        ) as parent,
    ):
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        gateway = Gateway(port, int(children[-1]))
        # The worker's peak must not hold what starting took.
        assert gateway.write(SMALL).status == 200
        gateway.longest_stall_ms()
        yield gateway


def pieces_of(row: bytes, count: int) -> Iterator[bytes]:
    """Give the body of `count` equal rows in pieces, so that the test holds none of it whole."""
    per_piece = max(1, PIECE_BYTES // (len(row) + 1))
    yield b'{"upsert_rows":['
    block = (row + b",") * per_piece
    whole, rest = divmod(count, per_piece)
    for number in range(whole):
        yield block if rest or number < whole - 1 else block[:-1]
    if rest:
        yield ((row + b",") * rest)[:-1]
    yield b"]}"


def size_of(row: bytes, count: int) -> int:
    return len(b'{"upsert_rows":[') + count * (len(row) + 1) - 1 + len(b"]}")


def send_large(port: int, row: bytes, count: int) -> Reply:
    head = request_bytes(
        "POST",
        "/v2/namespaces/large",
        headers=[AUTH, (b"Content-Length", b"%d" % size_of(row, count))],
    )
    with Connection(port) as connection:
        connection.send(head)
        for piece in pieces_of(row, count):
            connection.send_what_is_taken(piece)
        return connection.receive()


def small_writes(gateway: Gateway, until: "Future[Reply]") -> list[float]:
    """Write one row every few milliseconds until the other write is answered; milliseconds each."""
    took_ms = []
    with Connection(gateway.port) as connection:
        request = request_bytes("POST", "/v2/namespaces/small", SMALL)
        while not wait([until], 0.004).done:
            begun = time.perf_counter()
            connection.send(request)
            assert connection.receive().status == 200
            took_ms.append((time.perf_counter() - begun) * 1000)
    return sorted(took_ms)


def test_512_mib_write_keeps_one_copy_and_small_writes_fast(gateway: Gateway) -> None:
    row = b'{"id":12345,"vector":[' + b",".join([b"-0.1234567"] * 768) + b'],"title":"kelp"}'
    count = (512 * MIB - 64) // (len(row) + 1)
    before = gateway.memory_bytes("VmRSS")
    size = size_of(row, count)
    assert size > 511 * MIB
    p99_ms: list[float] = []
    stalls_ms: list[float] = []
    # Other programs can only make it slower (the 12 ms or so that freeing 512 MiB takes, too), so
    # the best of three is the gateway's own.
    while len(p99_ms) < 3 and (
        not p99_ms or min(p99_ms) >= SMALL_P99_MS or min(stalls_ms) >= STALL_MS
    ):
        # In a process of its own, or the two clients would wait for each other.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            large = pool.submit(send_large, gateway.port, row, count)
            took_ms = small_writes(gateway, large)
        assert large.result().status == 200
        assert gateway.memory_bytes("VmHWM") - before <= MEMORY_RATIO_MAX * size
        assert len(took_ms) > 50, "too few small writes got through beside the large one"
        p99_ms.append(took_ms[int(len(took_ms) * 0.99)])
        stalls_ms.append(gateway.longest_stall_ms())
    assert min(p99_ms) < SMALL_P99_MS, p99_ms
    assert min(stalls_ms) < STALL_MS, stalls_ms


def test_20000_rows_in_one_write(gateway: Gateway) -> None:
    body = bodies.rows(20_000, 8)
    assert gateway.write(body).status == 200
    assert gateway.longest_stall_ms() < STALL_MS


@pytest.mark.parametrize("row", [b'{"id":"a","title":"kelp"}', b'{"id":7,"vector":"AACAPwAAAD8="}'])
def test_64_mb_of_small_rows(gateway: Gateway, row: bytes) -> None:
    assert send_large(gateway.port, row, 64 * MIB // (len(row) + 1)).status == 200
    assert gateway.longest_stall_ms() < STALL_MS


def test_50_million_empty_rows_are_refused_at_the_first(gateway: Gateway) -> None:
    reply = send_large(gateway.port, b"{}", 50_000_000)
    assert reply.status == 422
    assert reply.json["message"] == "upsert_rows[0]: the row has no `id`"
    assert gateway.longest_stall_ms() < STALL_MS
    assert gateway.write(SMALL).status == 200


def test_more_rows_than_the_bound_are_refused(gateway: Gateway) -> None:
    reply = send_large(gateway.port, b'{"id":1}', 5_000_000)
    assert reply.status == 413
    assert "upsert_rows[4194304]" in reply.json["message"]
    assert gateway.longest_stall_ms() < STALL_MS


@pytest.mark.parametrize("token", [b"[", b'{"a":', b'{"upsert_rows":[[', b'"\\u12', b"\xff", b"1,"])
def test_hostile_megabytes_are_refused(gateway: Gateway, token: bytes) -> None:
    """Whatever 8 MB are made of, they are answered with an error, and soon."""
    body = b"".join(itertools.repeat(token, 8 * MIB // len(token)))
    assert gateway.write(body).status in (400, 422)
    assert gateway.longest_stall_ms() < STALL_MS
