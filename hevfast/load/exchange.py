"""What is asked and what comes back: requests as bytes, answers, courses of several requests."""

from collections.abc import Callable, Generator
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

HTTP_PORT = 80
HTTPS_PORT = 443


class Answer(NamedTuple):
    """One answer; `cache` is the value of `x-layer-cache`, "" without one."""

    status: int
    cache: str
    body: bytes


# Gives what is wrong with an answer in few, fixed words, or "" if it is good. The words become
# keys of the result, so they hold no ids and no numbers but statuses.
Check = Callable[[Answer], str]


class Request(NamedTuple):
    """One request as it goes over the wire, under the name its latency is recorded by."""

    name: str
    wire: bytes
    check: Check


Steps = Generator[Request, Answer, None]


class Course(NamedTuple):
    """What one arrival does: requests one after the other, each made from the answers before.

    `steps` is resumed with good answers only; a wrong one ends the course.
    """

    name: str
    steps: Steps


class Target:
    """Where requests go, and the head they share."""

    def __init__(self, url: str, key: str | None) -> None:
        self.parts: SplitResult = urlsplit(url)
        self.host = self.parts.hostname or ""
        self.tls = self.parts.scheme == "https"
        self.port = self.parts.port or (HTTPS_PORT if self.tls else HTTP_PORT)
        self.base = self.parts.path.rstrip("/")
        self.headers = {"host": self.parts.netloc.rpartition("@")[2], "accept-encoding": "identity"}
        if key is not None:
            self.headers["authorization"] = f"Bearer {key}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        self._head = lines.encode("latin-1")

    def request(
        self, name: str, method: str, path: str, check: Check, body: bytes = b""
    ) -> Request:
        first = f"{method} {self.base}{path} HTTP/1.1\r\n".encode("ascii")
        if body:
            kind = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            return Request(name, b"".join((first, self._head, kind, body)), check)
        return Request(name, b"".join((first, self._head, b"\r\n")), check)
