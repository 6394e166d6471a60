"""A scripted Turbopuffer on a real socket.

It records every request byte for byte and answers the next step of its script, or a plain 200
when the script is empty. It runs an event loop in its own thread, so that a test can stay a
straight line of blocking calls.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

Pairs = list[tuple[bytes, bytes]]

# Seconds. Longest wait for something that should happen at once.
WAIT_S = 10.0
# Bytes. Bodies up to this size are kept; of larger ones only size and hash.
KEPT_BYTES_MAX = 4 * 1024 * 1024

OK_BODY = b'{"status":"OK","message":"ok","rows_affected":1,"billing":{}}'


@dataclasses.dataclass
class Request:
    """One request as it came over the wire."""

    head: bytes
    method: str
    target: bytes
    headers: Pairs
    body: bytes = b""
    body_size: int = 0
    body_sha256: str = ""

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


class Wire:
    """The server's end of one connection, for a step of the script to act on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Close with a TCP reset instead of an orderly end."""
        end = self.writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def until_closed(self) -> None:
        with contextlib.suppress(OSError):
            while await self.reader.read(65536):
                pass


@dataclasses.dataclass
class Step:
    """What to do with one request; `early` means before its body is read."""

    act: Callable[[Wire], Awaitable[None]]
    early: bool = False


def head(status: int, headers: Pairs, reason: bytes = b"Any") -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (status, reason)]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def answer(
    status: int = 200,
    body: bytes = OK_BODY,
    headers: Pairs | None = None,
    *,
    early: bool = False,
    close: bool = False,
) -> Step:
    """Answer in one piece, with a Content-Length."""
    given = [(b"Content-Type", b"application/json")] if headers is None else headers
    data = head(status, [*given, (b"Content-Length", b"%d" % len(body))]) + body
    return raw(data, early=early, close=close)


def raw(data: bytes, *, early: bool = False, close: bool = False, reset: bool = False) -> Step:
    """Send these bytes, then keep the connection, or close or reset it."""

    async def act(wire: Wire) -> None:
        if data:
            await wire.send(data)
        if reset:
            wire.reset()
        elif close:
            await wire.close()

    return Step(act, early)


def chunked(pieces: list[bytes], headers: Pairs | None = None, *, end: bool = True) -> Step:
    """Answer with chunked coding; without `end` the last chunk never comes."""
    given = [(b"Content-Type", b"application/json")] if headers is None else headers
    data = head(200, [*given, (b"Transfer-Encoding", b"chunked")])
    data += b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return raw(data + (b"0\r\n\r\n" if end else b""), close=not end)


def cut_short(body: bytes, claimed: int, *, reset: bool = False) -> Step:
    """Claim a longer body than is sent, then close."""
    data = head(200, [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % claimed)])
    return raw(data + body, close=not reset, reset=reset)


def drip(data: bytes, gap_s: float) -> Step:
    """Send byte by byte."""

    async def act(wire: Wire) -> None:
        for at in range(len(data)):
            await wire.send(data[at : at + 1])
            await asyncio.sleep(gap_s)

    return Step(act)


def silence(*, early: bool = False) -> Step:
    """Say nothing until the other side gives up."""

    async def act(wire: Wire) -> None:
        await wire.until_closed()
        await wire.close()

    return Step(act, early)


def usual(request: Request) -> Step:
    """Answer 200 when nothing else was scripted."""
    if request.method == "HEAD":
        return raw(head(200, [(b"Content-Length", b"%d" % len(OK_BODY))]))
    return answer()


class Upstream:
    """The server and its record. Use as a context manager."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Request] = []
        self.connections = 0
        self.sent_bytes = 0
        self._script: deque[Step] = deque()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        # What is not scripted; the request's body is there when the step acts.
        self.usual: Callable[[Request], Step] = usual

    @property
    def url(self) -> str:
        if self._tls is not None:
            return f"https://localhost:{self.port}"
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Upstream":
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        started.result(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    def script(self, *steps: Step) -> None:
        """Set what the next requests are answered with, and forget what was recorded."""
        with self._changed:
            self._script = deque(steps)
            self.requests = []

    def wait(self, count: int) -> list[Request]:
        """Wait until so many requests have come in whole."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.requests) >= count, WAIT_S)
            assert arrived, f"{len(self.requests)} requests came, {count} were expected"
            return list(self.requests)

    @property
    def only(self) -> Request:
        assert len(self.requests) == 1, f"{len(self.requests)} requests came"
        return self.requests[0]

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, sock=self._socket, limit=4 * 1024 * 1024, ssl=self._tls
        )

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            wire = Wire(reader, writer)
            while await self._exchange(wire):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _exchange(self, wire: Wire) -> bool:
        head_bytes = await wire.reader.readuntil(b"\r\n\r\n")
        request = parse_head(head_bytes)
        with self._changed:
            step = self._script.popleft() if self._script else self.usual(request)
            if step.early:
                self._record(request)
        if not step.early:
            await read_body(wire.reader, request)
            with self._changed:
                self._record(request)
        await step.act(wire)
        if step.early and not wire.writer.is_closing():
            # Closing with the body unread would be a reset, and could swallow the answer.
            await wire.until_closed()
            return False
        return not wire.writer.is_closing()

    def _record(self, request: Request) -> None:
        self.requests.append(request)
        self._changed.notify_all()


def parse_head(data: bytes) -> Request:
    first, *lines = data[:-4].split(b"\r\n")
    method, target, _ = first.split(b" ", 2)
    pairs = []
    for line in lines:
        name, _, value = line.partition(b":")
        pairs.append((name, value.strip()))
    return Request(data, method.decode(), target, pairs)


async def read_body(reader: asyncio.StreamReader, request: Request) -> None:
    digest = hashlib.sha256()
    kept = bytearray()
    async for piece in _pieces(reader, request):
        digest.update(piece)
        request.body_size += len(piece)
        if request.body_size <= KEPT_BYTES_MAX:
            kept += piece
    request.body = bytes(kept)
    request.body_sha256 = digest.hexdigest()


async def _pieces(reader: asyncio.StreamReader, request: Request):  # type: ignore[no-untyped-def]
    if request.values(b"transfer-encoding"):
        while size := int(await reader.readline(), 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
        return
    left = int((request.values(b"content-length") or [b"0"])[0])
    while left:
        piece = await reader.read(min(left, 262144))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        yield piece


@contextlib.contextmanager
def running_upstream(tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    with Upstream(tls) as upstream:
        yield upstream


def unused_port() -> int:
    """Give a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
