"""A write's way through the gateway in one process: no server, no system call on the way.

    python -m bench.request.in_process [--requests 2000] [--rounds 7] [--cache off] [--allocations]

The application is called as its server calls it; upstream is a transport that hands the answer to
the connection's reader in the next turn of the loop. What is left is the gateway's own work: the
processor time it takes, its instructions (`bench.guard`), and the memory it asks for.
"""

import argparse
import asyncio
import contextlib
import gc
import socket
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import uvloop

from bench import bodies
from bench.request.processes import HEADERS
from hevfast.app import compose
from hevfast.settings import load

_BODY = (
    b'{"status":"OK","message":"ok","rows_affected":1,"rows_upserted":1,'
    b'"billing":{"billable_logical_bytes_written":102}}'
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    b"X-Request-Id: 0123456789abcdef0123456789abcdef\r\nServer-Timing: total;dur=1.25\r\n"
    b"Cache-Control: no-store\r\nVary: Accept-Encoding\r\nVia: 1.1 lb\r\n"
    b'Alt-Svc: h3=":443"; ma=2592000\r\nContent-Length: %d\r\n\r\n%b'
) % (len(_BODY), _BODY)
AT_ONCE = 64


class Wire(asyncio.Transport):
    """Answers whatever is written, a write at a time."""

    def __init__(self, protocol: Any, end: socket.socket) -> None:
        super().__init__({"socket": end})
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._received = protocol.data_received

    def write(self, data: Any) -> None:
        self._loop.call_soon(self._received, ANSWER)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


@contextlib.asynccontextmanager
async def opened(cache: str, folder: Path) -> AsyncIterator[Any]:
    """Give the application, its connections to upstream replaced by wires."""
    settings = load(
        {"TPUF_URL": "http://127.0.0.1:9", "HEVFAST_CACHE": cache, "HEVFAST_DATA_DIR": str(folder)}
    )
    app: Any = compose(settings)
    gateway = app._write._gateway
    with contextlib.ExitStack() as stack:
        # Asked whether the connection still stands; never written to.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        near = stack.enter_context(socket.create_connection(listener.getsockname()))
        stack.enter_context(listener.accept()[0])

        async def connected(*_: Any) -> Any:
            protocol = connector._factory()
            protocol.connection_made(Wire(protocol, near))
            return protocol

        async with app._router.lifespan_context(app):
            connector = gateway.exchange._direct._pool.connector
            connector._create_connection = connected
            gc.collect()
            gc.freeze()
            try:
                yield app
            finally:
                gc.unfreeze()


# Scope of a write, and the message with its body.
Request = tuple[dict[str, Any], dict[str, Any]]


def requests_of(count: int) -> list[Request]:
    """Give writes of one row, each of another document."""
    body = bodies.body("row1_1500b")
    return [_request(body.replace(b"doc-1", b"%08d" % number)) for number in range(count)]


def _request(body: bytes) -> Request:
    path = b"/v2/namespaces/bench"
    scope = {
        "type": "http",
        "method": "POST",
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:8080"),
            *[(name.lower(), value) for name, value in HEADERS],
            (b"content-length", b"%d" % len(body)),
        ],
        "client": ("127.0.0.1", 1),
    }
    return scope, {"type": "http.request", "body": body, "more_body": False}


async def writes(app: Any, requests: Iterable[Request]) -> None:
    """Send writes through the application, AT_ONCE at a time.

    Raises: RuntimeError if one was answered with anything but 200.
    """
    waiting = iter(requests)

    async def some() -> None:
        for scope, message in waiting:
            statuses: list[int] = []

            async def receive(message: Any = message) -> Any:
                return message

            async def send(message: Any, statuses: list[int] = statuses) -> None:
                if "status" in message:
                    statuses.append(message["status"])

            await app(scope, receive, send)
            if statuses != [200]:
                raise RuntimeError(f"answered {statuses}")

    await asyncio.gather(*[some() for _ in range(AT_ONCE)])


async def measure(cache: str, count: int, rounds: int, allocations: bool) -> list[float]:
    """Give microseconds of processor time a request, or bytes at the peak, of each round."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        async with opened(cache, Path(folder)) as app:
            await writes(app, requests_of(AT_ONCE * 4))
            for _ in range(rounds):
                requests = requests_of(count)
                if allocations:
                    tracemalloc.start()
                    await writes(app, requests)
                    found.append(tracemalloc.get_traced_memory()[1] / AT_ONCE)
                    tracemalloc.stop()
                else:
                    before = time.process_time()
                    await writes(app, requests)
                    found.append((time.process_time() - before) / count * 1e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cache", choices=["off", "memory", "lmdb"], default="off")
    parser.add_argument("--allocations", action="store_true", help="bytes at the peak, not time")
    given = parser.parse_args()
    found = uvloop.run(measure(given.cache, given.requests, given.rounds, given.allocations))
    unit = "bytes at the peak" if given.allocations else "us"
    print(
        f"{given.cache}: {statistics.median(found):.1f} [{min(found):.1f}..{max(found):.1f}] {unit}"
        f" a request, {AT_ONCE} at once"
    )


if __name__ == "__main__":
    main()
