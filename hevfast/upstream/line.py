"""One connection's side of an exchange: reads the answer, keeps within bounds, tells who waits."""

import asyncio
from typing import TYPE_CHECKING, cast

import aiohttp
import httptools

from hevfast.core.limits import ANSWER_FIELDS_MAX, ANSWER_HEAD_BYTES_MAX, STREAM_HELD_BYTES_MAX
from hevfast.upstream._http import read_answer
from hevfast.upstream.causes import InvalidAnswerError
from hevfast.upstream.pool import SharedHandler

if TYPE_CHECKING:
    from hevfast.core.headers import Headers


class Line(SharedHandler):
    """A connection that reads one answer at a time.

    Between `begin` and the exchange's end: `ready` is true once the exchange has something to do
    (the answer is `complete`, there is a `fault`, or it is too large to hold and has to be
    `streaming`), and until then `changed` tells when to look again. Idle, it is `complete`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._reader = httptools.HttpResponseParser(self)
        self._new_future = loop.create_future
        self._watcher: asyncio.Future[None] | None = None
        self.complete = True
        self.paused = False

    def begin(self, begun_s: float, whole_bytes_max: int) -> None:
        """Expect one answer, holding up to `whole_bytes_max` bytes of body until it is complete."""
        self.claim()
        self.begun_s = begun_s
        self._whole_bytes_max = whole_bytes_max
        self.status = 0
        self.fields: Headers = []
        self.pieces: list[bytes] = []
        self.held = 0
        self.fault: Exception | None = None
        # Progress since the last look of the sweep, and when there last was some.
        self.heard = True
        self.heard_s = begun_s
        # Nothing of the answer has come yet.
        self._untouched = True
        # What is in `fields` has been through `answer_headers`, or need not.
        self.sorted = False
        self._head_read = False
        self._length_read = False
        # Bytes read since the last piece of body: head, chunk lines, trailers.
        self._around = 0
        self.complete = self.ready = self.streaming = False

    def changed(self) -> "asyncio.Future[None]":
        """Give what is done when something changed: the answer, or how much is left to write."""
        self._watcher = self._new_future()
        return self._watcher

    def take(self) -> list[bytes]:
        """Give the pieces that are here, and read on if reading had to pause."""
        pieces, self.pieces, self.held = self.pieces, [], 0
        if self.paused:
            self.paused = False
            self.heard = True
            transport = self.transport
            if transport is not None and not transport.is_closing():
                transport.resume_reading()
        return pieces

    def fail(self, fault: Exception) -> None:
        """End the exchange with a fault, unless its answer is complete."""
        self.force_close()
        if not self.complete and self.fault is None:
            self.fault = fault
        self._wake()

    def hang_up(self) -> None:
        """Break the connection off, whatever state the exchange is in."""
        self.complete = True
        self.drop()

    # What the event loop tells.

    def data_received(self, data: bytes) -> None:
        if not self.ours:
            super().data_received(data)
            return
        if self.complete or self.fault is not None:
            self.drop()
            return
        self.heard = True
        if self._untouched:
            self._untouched = False
            if self._read_whole(data):
                return
        self._around += len(data)
        try:
            if len(data) > ANSWER_HEAD_BYTES_MAX and not self._head_read:
                self._read_head_of(memoryview(data))
            else:
                self._reader.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # What follows a complete answer harms only the connection.
            self.fail(_invalid(error))
            return
        if self.complete:
            self._wake()
        else:
            self._bound()

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self.complete:
            if exc is None and self._ends_with_connection():
                self.complete = True
                self._wake()
            else:
                self.fail(_lost(exc, self._head_read))
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.heard = True
        self._wake(ready=False)

    def _read_whole(self, data: bytes) -> bool:
        """Read an answer as nearly all are: of the common form, and in one piece."""
        found = read_answer(data, self._whole_bytes_max)
        if found is None:
            return False
        self.status, self.fields, body = found
        self.pieces.append(body)
        self.held = len(body)
        self.sorted = self._head_read = self.complete = True
        self._wake()
        return True

    # What the parser tells. A message that begins after the answer is complete is skipped.

    def on_message_begin(self) -> None:
        if self.complete:
            self.force_close()

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head there can be trailers. Nobody was told to expect them.
        if not self._head_read:
            self.fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._reader.get_status_code()
        # The server that answers the client stops the whole worker over a status it cannot name.
        if not 100 <= status <= 599 or len(self.fields) > ANSWER_FIELDS_MAX:
            raise InvalidAnswerError(f"status {status}, {len(self.fields)} headers")
        self.status = status
        self._head_read = status >= 200

    def on_body(self, piece: bytes) -> None:
        if self.complete:
            return
        if not self._head_read:
            raise InvalidAnswerError("an interim answer with a body")
        self.pieces.append(piece)
        self.held += len(piece)
        self._around = 0

    def on_message_complete(self) -> None:
        if self.complete:
            return
        if not self._head_read:
            # An interim answer: the real one is still to come.
            self.fields = []
            return
        self.complete = True
        if not self._reader.should_keep_alive():
            self.force_close()

    # Bounds.

    def _read_head_of(self, data: memoryview) -> None:
        """Read a large first piece so that no head can be longer than the bound."""
        self._reader.feed_data(data[:ANSWER_HEAD_BYTES_MAX])
        if self._head_read:
            self._reader.feed_data(data[ANSWER_HEAD_BYTES_MAX:])
        else:
            self._around = ANSWER_HEAD_BYTES_MAX + 1

    def _bound(self) -> None:
        """Look at an answer of which more is to come: what is kept of it has bounds."""
        if self._around > ANSWER_HEAD_BYTES_MAX:
            self.fail(InvalidAnswerError("too much around the body"))
            return
        if not self._head_read:
            return
        if not self.streaming:
            self.streaming = self.held > self._whole_bytes_max or self._announces_more()
        if self.streaming:
            transport = self.transport
            if self.held > STREAM_HELD_BYTES_MAX and transport and not transport.is_closing():
                self.paused = True
                transport.pause_reading()
            self._wake()

    def _announces_more(self) -> bool:
        if self._length_read:
            return False
        self._length_read = True
        # The parser has checked that there is at most one, and that it is a number.
        lengths = [int(value) for name, value in self.fields if name.lower() == b"content-length"]
        return bool(lengths) and lengths[0] > self._whole_bytes_max

    def _ends_with_connection(self) -> bool:
        """Tell whether the connection's end is the answer's (RFC 9112 section 6.3)."""
        framing = (b"content-length", b"transfer-encoding")
        return self._head_read and not any(name.lower() in framing for name, _ in self.fields)

    def _wake(self, *, ready: bool = True) -> None:
        if ready:
            self.ready = True
        waiter = self._watcher
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _invalid(error: Exception) -> Exception:
    fault = InvalidAnswerError(str(error))
    fault.__cause__ = error
    return fault


def _lost(error: BaseException | None, head_read: bool) -> Exception:
    """Say what the loss of the connection means for an answer that is not complete."""
    if head_read:
        fault: Exception = aiohttp.ClientPayloadError()
        fault.__cause__ = error
        return fault
    if error is None:
        return aiohttp.ServerDisconnectedError()
    return cast("Exception", error)
