"""A server that takes writes, reads nothing of them, and says that all is well.

It is the floor under a load test: what is slower than it is not Turbopuffer's fault.
"""

import asyncio
import signal
from collections.abc import Callable
from typing import cast

import httptools
import msgspec
import uvloop

from .answers import error_body
from .serve import BACKLOG, check_free


def _answer(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def accepted(row_count: int) -> bytes:
    """Make the answer to every write, with a number of rows that nobody has counted."""
    body: dict[str, object] = {
        "status": "OK",
        "message": "not read, not stored",
        "rows_affected": row_count,
        "rows_upserted": row_count,
        "billing": {"billable_logical_bytes_written": 0},
        "performance": {"server_total_ms": 0},
    }
    return _answer("200 OK", msgspec.json.encode(body))


REFUSED = _answer("404 Not Found", error_body("the null mode takes writes only"))
MALFORMED = _answer("400 Bad Request", error_body("malformed HTTP"))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class NullProtocol(asyncio.Protocol):
    """One connection: every request is answered when it has ended, in order."""

    def __init__(self, answer: bytes, open_connections: "set[NullProtocol]") -> None:
        self._answer = answer
        self._open = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The loop's own class, which does not say that it is one.
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def connection_lost(self, fault: Exception | None) -> None:
        self._transport = None
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.close()
        except httptools.HttpParserError:
            self._write(MALFORMED)
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # A client that does not read its answers is not read from, either, so that they cannot pile up.

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._path = b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 6 and name.lower() == b"expect" and value.lower() == b"100-continue":
            self._write(CONTINUE)

    def on_message_complete(self) -> None:
        # A write's path is /v2/namespaces/{name}; the others' have more parts.
        path = self._path.partition(b"?")[0]
        is_write = self._parser.get_method() == b"POST" and path.count(b"/") == 3
        self._write(self._answer if is_write else REFUSED)
        if not self._parser.should_keep_alive():
            self.close()

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


def serve_null(host: str, port: int, row_count: int, on_listening: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises: OSError when the address cannot be bound.
    """
    check_free(host, port)
    uvloop.run(_serve(host, port, accepted(row_count), on_listening))


async def _serve(host: str, port: int, answer: bytes, on_listening: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    connections: set[NullProtocol] = set()
    server = await loop.create_server(
        lambda: NullProtocol(answer, connections), host, port, backlog=BACKLOG
    )
    on_listening()
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.close()
    await server.wait_closed()
