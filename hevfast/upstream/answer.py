"""What upstream said."""

from collections.abc import Callable
from typing import Protocol, Self

from hevfast.core.errors import AnswerTornError
from hevfast.core.headers import Headers
from hevfast.upstream.causes import FAULTS, cause


class Source(Protocol):
    """Where the pieces of a large answer come from."""

    async def read(self) -> bytes:
        """Give the next piece, empty at the end."""

    def leave(self) -> None:
        """Give the connection back, or close it if the answer was not read to its end."""


class Stream:
    """The body of a large answer, piece by piece as fast as it is read.

    It must be read to the end or closed with `aclose`.

    Raises: AnswerTornError when the answer breaks off.
    """

    __slots__ = ("_deed", "_ended", "_source")

    def __init__(self, source: Source, deed: str) -> None:
        self._source: Source | None = source
        self._deed = deed
        self._ended: Callable[[], None] | None = None

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Set what is called once, when nothing more is read from upstream."""
        self._ended = tell

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._source is None:
            raise StopAsyncIteration
        try:
            piece = await self._source.read()
        except FAULTS as error:
            self._leave()
            raise AnswerTornError(f"Turbopuffer {self._deed} failed: {cause(error)}") from error
        except BaseException:
            self._leave()
            raise
        if not piece:
            self._leave()
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._leave()

    def _leave(self) -> None:
        source, self._source = self._source, None
        if source is None:
            return
        source.leave()
        if self._ended is not None:
            self._ended()


class Answer:
    """Status, headers and body of an answer.

    `body` is complete, or for a large answer the pieces as they come. `upstream_s`: seconds from
    handing the request over until the body was complete, or the head if it is streamed.
    """

    __slots__ = ("body", "headers", "status", "upstream_s")

    def __init__(self, status: int, headers: Headers, body: bytes | Stream) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.upstream_s = 0.0

    def with_body(self, body: bytes) -> "Answer":
        """Give another answer of the same head, complete, its length that of the body."""
        other = Answer(self.status, list(self.headers), self.body)
        other.replace_body(body)
        return other

    def replace_body(self, body: bytes) -> None:
        """Put another body in place of one that is complete, with its length."""
        if body is self.body:
            return
        self.body = body
        self.headers = [pair for pair in self.headers if pair[0] != b"content-length"]
        self.headers.append((b"content-length", b"%d" % len(body)))
