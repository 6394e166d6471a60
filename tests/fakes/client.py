"""A client that sends exactly the bytes it is told to and keeps exactly those that come back."""

import contextlib
import dataclasses
import json
import socket
from collections.abc import Iterable
from typing import Any

Pairs = list[tuple[bytes, bytes]]

AUTH = (b"Authorization", b"Bearer key-1")

# Seconds. Longest silence a test puts up with.
WAIT_S = 15.0


@dataclasses.dataclass
class Reply:
    """One answer. `complete` is false when the connection ended before the body did."""

    status: int
    headers: Pairs
    body: bytes
    complete: bool = True

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    def value(self, name: bytes) -> bytes | None:
        found = self.values(name)
        assert len(found) <= 1, f"{name!r} came {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        assert self.value(b"content-type") == b"application/json", self
        return json.loads(self.body)


class Connection:
    """One connection to a server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_what_is_taken(self, data: bytes) -> None:
        """Send, and stop without complaint when the other side does not want more."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def receive(self, method: str = "POST") -> Reply:
        """Read one answer, interim ones skipped."""
        while True:
            status, headers = self._head()
            if status >= 200:
                break
        body, complete = b"", True
        if method != "HEAD" and status not in (204, 304):
            body, complete = self._body(dict(headers))
        return Reply(status, headers, body, complete)

    def ended(self) -> bool:
        """Wait for the other side to close; tell whether it did so without another byte."""
        with contextlib.suppress(ConnectionResetError):
            return self._file.read(1) == b""
        return True

    def _head(self) -> tuple[int, Pairs]:
        line = self._file.readline()
        if not line:
            raise ConnectionError("closed without an answer")
        status = int(line.split(b" ")[1])
        headers = []
        while (line := self._file.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.partition(b":")
            headers.append((name.lower(), value.strip()))
        return status, headers

    def _body(self, headers: dict[bytes, bytes]) -> tuple[bytes, bool]:
        if b"content-length" in headers:
            size = int(headers[b"content-length"])
            body = self._file.read(size)
            return body, len(body) == size
        if b"transfer-encoding" not in headers:
            return self._file.read(), True
        pieces: list[bytes] = []
        while True:
            line = self._file.readline()
            if not line.endswith(b"\r\n"):
                return b"".join(pieces), False
            size = int(line, 16)
            piece = self._file.read(size)
            if self._file.read(2) != b"\r\n":
                return b"".join([*pieces, piece]), False
            if not size:
                return b"".join(pieces), True
            pieces.append(piece)


def request_bytes(
    method: str, target: str | bytes, body: bytes | None = None, headers: Iterable[Any] = (AUTH,)
) -> bytes:
    path = target.encode() if isinstance(target, str) else target
    lines = [method.encode() + b" " + path + b" HTTP/1.1", b"Host: gateway"]
    lines += [name + b": " + value for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


class Client:
    """Sends each request on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> Connection:
        return Connection(self.port)

    def ask(
        self,
        method: str,
        target: str | bytes,
        body: bytes | None = None,
        headers: Iterable[Any] = (AUTH,),
    ) -> Reply:
        with self.connect() as connection:
            connection.send(request_bytes(method, target, body, headers))
            return connection.receive(method)

    def write(self, body: bytes, headers: Iterable[Any] = (AUTH,), namespace: str = "ns") -> Reply:
        return self.ask("POST", f"/v2/namespaces/{namespace}", body, headers)
