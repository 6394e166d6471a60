"""One kept-alive connection, which goes one course at a time."""

import asyncio
from typing import Protocol, cast

import httptools

from .exchange import Answer, Course, Request

ANSWER_BYTES_MAX = 134_217_728


class Crew(Protocol):
    """Whom a lane tells what became of its requests. Units: microseconds since the step began."""

    def now_us(self) -> int: ...
    def free(self, lane: "Lane") -> None: ...
    def answered(self, name: str, due_us: int, now_us: int, cache: str) -> None: ...
    def wrong(self, name: str, word: str, due_us: int, now_us: int) -> None: ...
    def lost(self, name: str, word: str, due_us: int, now_us: int) -> None: ...
    def gone(self, lane: "Lane") -> None: ...


class Lane(asyncio.Protocol):
    """The first request of a course is timed from when it was due, the others from the answer
    before them; the course as a whole from when it was due to its last answer."""

    __slots__ = (
        "_asked_us",
        "_body",
        "_body_bytes",
        "_cache",
        "_course",
        "_crew",
        "_due_us",
        "_parser",
        "_request",
        "_transport",
        "_why",
    )

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._transport: asyncio.Transport | None = None
        self._course: Course | None = None
        self._request: Request
        self._due_us = 0
        self._asked_us = 0
        self._why = "connection lost"

    @property
    def due_us(self) -> int | None:
        """When what is under way was due; None if nothing is."""
        return None if self._course is None else self._due_us

    def begin(self, course: Course, due_us: int) -> None:
        assert self._course is None
        self._course = course
        self._due_us = due_us
        self._ask(next(course.steps), due_us)

    def fail(self, why: str) -> None:
        """Give up what is under way; the connection goes with it."""
        self._why = why
        if self._transport is not None:
            self._transport.abort()

    def forget(self) -> None:
        """Drop what is under way without a word of it."""
        if self._course is not None:
            self._course = None
            self.fail("")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._why = "connection lost"
        self._crew.free(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail("malformed HTTP")

    def connection_lost(self, exc: Exception | None) -> None:
        course, self._course = self._course, None
        self._transport = None
        if course is not None:
            now_us = self._crew.now_us()
            self._crew.lost(self._request.name, self._why, self._asked_us, now_us)
            if course.name != self._request.name:
                self._crew.lost(course.name, self._why, self._due_us, now_us)
        self._crew.gone(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._cache = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 13 and name.lower() == b"x-layer-cache":
            self._cache = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > ANSWER_BYTES_MAX:
            self.fail("answer too large")

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        course = self._course
        if status < 200 or course is None:
            return
        now_us = self._crew.now_us()
        answer = Answer(status, self._cache, b"".join(self._body))
        request = self._request
        keeps = self._parser.should_keep_alive()
        word = request.check(answer)
        if word:
            self._crew.wrong(request.name, word, self._asked_us, now_us)
            if course.name != request.name:
                self._crew.wrong(course.name, word, self._due_us, now_us)
            self._end(keeps)
            return
        self._crew.answered(request.name, self._asked_us, now_us, self._cache)
        try:
            following = course.steps.send(answer)
        except StopIteration:
            if course.name != request.name:
                self._crew.answered(course.name, self._due_us, now_us, self._cache)
            self._end(keeps)
        else:
            # A server that closes between the steps of a course loses it, and is told on.
            self._ask(following, now_us)

    def _ask(self, request: Request, due_us: int) -> None:
        self._request = request
        self._asked_us = due_us
        assert self._transport is not None
        self._transport.write(request.wire)

    def _end(self, keeps: bool) -> None:
        self._course = None
        if keeps:
            self._crew.free(self)
        else:
            self.close()
