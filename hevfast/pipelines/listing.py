"""Reading bodies that are one long list of objects, a part at a time.

The decoder holds the interpreter for a millisecond with each mebibyte. So a large body is cut where
one object of the list ends and the next begins, and its parts are decoded one by one; between them
the caller gives other requests their turn.

Where to cut is guessed from the bytes and proved by decoding: a part begins where an object does,
so it is a whole JSON array only if it ends where one does, too. Bodies spelled in a way that the
guess does not know (other keys first, another first key in the objects) are decoded at once.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec

from hevfast.core.errors import GatewayError

Body = bytes | bytearray
T = TypeVar("T")

# Bytes. A body up to this size is one part, and parts of larger ones are about as large.
PART_BYTES: Final = 128 * 1024

# Guesses at the end of one part. Each costs decoding the part again.
_GUESSES_MAX: Final = 16

# Bytes that are searched for the end of one part: a larger object is not cut off.
_SEARCH_BYTES: Final = 1024 * 1024


class Listing(Generic[T]):
    """A form of body: `{"<key>": [<object>, ...]}`, further keys ignored.

    `decode` reads the array. `ends` are the bytes of which one stands before the `}` that ends an
    object, by which most of the places where something smaller ends are passed over.
    """

    __slots__ = ("_begin", "_cut", "_decode", "_decode_whole", "_key")

    def __init__(self, key: str, decode: Callable[[Any], list[T]], ends: str) -> None:
        self._key = key
        self._decode = decode
        whole = msgspec.defstruct("Whole", [("array", msgspec.Raw)], rename={"array": key})
        self._decode_whole: Callable[[Any], Any] = msgspec.json.Decoder(whole).decode
        space = r"[ \t\r\n]*"
        begin = rf'{space}\{{{space}"{key}"{space}:{space}\['
        self._begin = re.compile(begin.encode())
        cut = rf'(?<=[{re.escape(ends)}])({space}\}}){space},{space}(?=\{{{space}"id")'
        self._cut = re.compile(cut.encode())

    def read(self, body: Body) -> "Reading[T]":
        return Reading(self, body)

    def parts(self, body: Body, reading: "Reading[T]") -> Iterator[list[T]]:
        begin = self._begin.match(body) if len(body) > PART_BYTES else None
        if begin is None:
            reading.array = self._array(body)
            yield self._objects(reading.array, 0)
            return
        first = at = begin.end()
        while len(body) - at > PART_BYTES:
            found = self._part(body, at)
            if found is None:
                break
            part, at = found
            yield part
        rest = bytes(body[:first]) + body[at:]
        array = self._array(rest)
        if rest[first - 1 :][: len(array)] != array:
            raise GatewayError("validation_error", f"The body has two keys `{self._key}`.")
        yield self._objects(array, at)
        reading.array = bytes(body[first - 1 : at + len(array) - 1])

    def _part(self, body: Body, at: int) -> tuple[list[T], int] | None:
        """Decode from one object on, and give where the next begins; None if no cut was found."""
        begin = at + PART_BYTES
        cuts = self._cut.finditer(body, begin, begin + _SEARCH_BYTES)
        for cut in itertools.islice(cuts, _GUESSES_MAX):
            part = b"".join((b"[", memoryview(body)[at : cut.end(1)], b"]"))
            try:
                return decoded(self._decode, part, at), cut.end()
            except GatewayError as error:
                # No JSON: this was the end of something within an object. But an object of the
                # wrong shape is one wherever the part ends.
                if error.code != "bad_request":
                    raise
        return None

    def _array(self, body: Body) -> bytes:
        array: msgspec.Raw = decoded(self._decode_whole, body).array
        return bytes(array)

    def _objects(self, array: bytes, at: int) -> list[T]:
        return decoded(self._decode, array, at)


class Reading(Generic[T]):
    """One body being read: iterate it once for its parts, then `array` is the list as sent."""

    __slots__ = ("_body", "_listing", "array")

    def __init__(self, listing: Listing[T], body: Body) -> None:
        self._listing = listing
        self._body = body
        self.array = b""

    def __iter__(self) -> Iterator[list[T]]:
        return self._listing.parts(self._body, self)


def decoded(decode: Callable[[Any], T], body: Body, at: int = 0) -> T:
    """Decode JSON from a client; `at` is where it begins in the request.

    Raises: GatewayError `bad_request` if it is no JSON, `validation_error` if it has another shape.
    """
    if not body:
        raise GatewayError("validation_error", "The body is empty; a JSON object is expected.")
    try:
        # The decoder looks into the strings it keeps only, and all of them are given out again.
        if not body.isascii():
            body.decode()
        return decode(body)
    except msgspec.ValidationError as error:
        where = f", counted from byte {at}" if at else ""
        raise GatewayError("validation_error", f"{error}{where}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GatewayError("bad_request", f"The body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise GatewayError("bad_request", "The body is nested too deep.") from error
