"""Reading request bodies: bounded, one copy, never waiting forever."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hevfast.core.errors import GatewayError
from hevfast.core.limits import GZIP_INPUT_BYTES, GZIP_MEMBERS_MAX, SLICE_BYTES

if TYPE_CHECKING:
    from hevfast.edge.head import Head
    from hevfast.edge.silence import Silence

Receive = Callable[[], Awaitable[Any]]

# Bytes. Pieces of a larger body are gathered as they come, not joined at the end.
_JOINED_BYTES_MAX = 1024 * 1024

# zlib's window bits for "gzip header and trailer required".
_GZIP_WINDOW = 31


def check_length(length: int | None, bytes_max: int) -> None:
    """Refuse a body that says it is too large, before a byte of it is read."""
    if length is not None and length > bytes_max:
        raise _too_large(bytes_max)


async def read_body(
    receive: Receive, length: int | None, bytes_max: int, silence: "Silence"
) -> bytes | bytearray:
    """Read a body whole; `length` is what the client said, None if it said nothing.

    Cost: a body that arrives in one piece is given as it came. Several pieces are joined at the
    end; of a large body they are appended to one growing buffer, so memory stays at one copy.

    Raises: GatewayError `payload_too_large`, `request_timeout`, `bad_request`.
    """
    pieces: list[bytes] = []
    whole: bytearray | None = None
    size = 0
    more = True
    task = silence.watch()
    try:
        while more:
            message = await receive()
            more = _more(message)
            piece = message.get("body")
            if piece:
                size += len(piece)
                if size > bytes_max:
                    raise _too_large(bytes_max)
                if whole is not None:
                    whole += piece
                else:
                    pieces.append(piece)
                    if size > _JOINED_BYTES_MAX:
                        whole = bytearray().join(pieces)
                        pieces.clear()
                # The server tells of the end in a message of its own. It need not be waited for
                # when everything announced is here.
                if size == length:
                    break
            if more:
                silence.watch()
    except asyncio.CancelledError as error:
        if silence.leave(task):
            raise _too_slow(silence) from error
        raise
    finally:
        silence.leave(task)
    if whole is not None:
        return whole
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def stream_body(receive: Receive, bytes_max: int, silence: "Silence") -> AsyncIterator[bytes]:
    """Give the pieces of a body as they come; the next is asked for when the last was taken."""
    size = 0
    more = True
    while more:
        message = await _heard(receive, silence)
        more = _more(message)
        piece = message.get("body")
        if piece:
            size += len(piece)
            if size > bytes_max:
                raise _too_large(bytes_max)
            yield piece


async def _heard(receive: Receive, silence: "Silence") -> Any:
    """Wait for one message of the client, but not forever."""
    task = silence.watch()
    try:
        return await receive()
    except asyncio.CancelledError as error:
        if silence.leave(task):
            raise _too_slow(silence) from error
        raise
    finally:
        silence.leave(task)


async def read_plain(
    receive: Receive, head: "Head", bytes_max: int, silence: "Silence"
) -> bytes | bytearray:
    """Read a body whole and undo its content coding.

    Raises: GatewayError as `read_body`; `bad_request` too for a coding that is unknown or broken.
    """
    check_length(head.length, bytes_max)
    coding = head.encoding.strip().lower()
    if not coding or coding == b"identity":
        return await read_body(receive, head.length, bytes_max, silence)
    if coding not in (b"gzip", b"x-gzip"):
        raise GatewayError(
            "bad_request",
            "The Content-Encoding of the request is not known here. Send the body as it is, or "
            "with 'Content-Encoding: gzip'.",
        )
    return await _inflate(stream_body(receive, bytes_max, silence), bytes_max)


async def plain_of(body: bytes | bytearray, head: "Head", bytes_max: int) -> bytes | bytearray:
    """Undo the content coding of a body that was read as it came.

    Raises: GatewayError as `read_plain`.
    """
    coding = head.encoding.strip().lower()
    if not coding or coding == b"identity":
        return body
    if coding not in (b"gzip", b"x-gzip"):
        raise GatewayError("bad_request", "The Content-Encoding is not known here.")
    return await _inflate(_only(bytes(body)), bytes_max)


async def _only(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


async def _inflate(pieces: AsyncIterator[bytes], bytes_max: int) -> bytearray:
    """Decode gzip of any number of members, giving the event loop a turn after each slice."""
    plain = bytearray()
    decoder = zlib.decompressobj(_GZIP_WINDOW)
    members = 1
    turn_at = SLICE_BYTES
    async for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), GZIP_INPUT_BYTES):
            rest = bytes(view[start : start + GZIP_INPUT_BYTES])
            while rest:
                if decoder.eof:
                    decoder = zlib.decompressobj(_GZIP_WINDOW)
                    members += 1
                rest = _inflate_slice(decoder, rest, plain)
                if len(plain) > bytes_max:
                    raise _too_large(bytes_max)
                if members > GZIP_MEMBERS_MAX:
                    raise GatewayError("bad_request", "The gzip body has too many members.")
                # A member costs about as much time as decoding a kibibyte.
                work = len(plain) + members * 1024
                if work >= turn_at:
                    turn_at = work + SLICE_BYTES
                    await asyncio.sleep(0)
    if not decoder.eof:
        raise GatewayError("bad_request", "The gzip body is cut short.")
    return plain


def inflated(packed: bytes, bytes_max: int) -> bytes | None:
    """Decode small gzip of one member; None if it is broken, or larger decoded than `bytes_max`."""
    decoder = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = decoder.decompress(packed, bytes_max + 1)
    except zlib.error:
        return None
    return plain if decoder.eof and len(plain) <= bytes_max else None


def _inflate_slice(decoder: "zlib._Decompress", data: bytes, plain: bytearray) -> bytes:
    """Decode up to one slice; give what is left of the input."""
    try:
        plain += decoder.decompress(data, SLICE_BYTES)
    except zlib.error as error:
        raise GatewayError("bad_request", "The body is not valid gzip.") from error
    return decoder.unused_data if decoder.eof else decoder.unconsumed_tail


def _more(message: Any) -> bool:
    if message["type"] == "http.disconnect":
        # Either the client left, or its framing broke. In the second case it can still read.
        raise GatewayError("bad_request", "The request body ended before it was complete.")
    return bool(message.get("more_body", False))


def _too_large(bytes_max: int) -> GatewayError:
    return GatewayError(
        "payload_too_large",
        f"The request body is larger than {bytes_max} bytes. Send fewer rows per write, or "
        "raise HEVFAST_BODY_BYTES_MAX.",
    )


def _too_slow(silence: "Silence") -> GatewayError:
    return GatewayError(
        "request_timeout", f"No part of the request body arrived for {silence.silence_s:g} seconds."
    )
