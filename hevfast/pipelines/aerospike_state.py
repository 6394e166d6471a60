"""How documents, hints and calls are spelled in records, and what a change does to the counts."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from hevfast.pipelines.aerospike_operations import Close
from hevfast.pipelines.model import INDEXED, Document

# Places in one segment of a line, or of a bucket of lapses.
SEGMENT_PLACES: Final = 1000

# Bytes of an id from which on it takes two places, and so on.
ID_BYTES_A_PLACE: Final = 512

# Milliseconds of one bucket of lapses.
BUCKET_MS: Final = 60_000

_LINE: Final = struct.Struct(">I")
_BUCKET: Final = struct.Struct(">QI")
_KEY: Final = struct.Struct(">QQ")
_LAPSE: Final = struct.Struct(">QQQ")
_END: Final = struct.Struct(">Q")


class Tag(NamedTuple):
    """A call: its number in the book, given when it was opened, and its token, which is drawn."""

    number: int
    token: bytes


class Spot(NamedTuple):
    """Where a document's hint is."""

    segment: bytes
    key: bytes


class Parts(NamedTuple):
    """Records that hold a document's chunks, if they are too large for its own."""

    token: bytes = b""
    records: int = 0


class Before(NamedTuple):
    """What a document was before the call that changed it last, as far as it is counted."""

    stage: str = ""
    reason: str = ""
    origin: str = ""
    spot: Spot | None = None
    parts: Parts = Parts()


class State(NamedTuple):
    """What a document's record says of it.

    Until its call has been struck out of the book, nothing but a lease's end may be changed: the
    call's counting, and the removal of what it has left, are read from here.
    """

    document: Document
    call: Tag
    spot: Spot
    parts: Parts = Parts()
    before: Before = Before()


class Hinted(NamedTuple):
    """What a hint says: the document, whose call put it, and how it would be counted."""

    document: str
    token: bytes
    stage: str
    origin: str = ""
    reason: str = ""


class Body(NamedTuple):
    """What the book keeps of an open call. `parts`: records that each document's chunks take."""

    opened_ms: int
    documents: Sequence[str]
    # Whether it may write documents that there are no records of.
    creates: bool
    parts: Sequence[int] = ()
    # What documents were whose records are lost, if they are to be taken off the counts.
    befores: Sequence[Before] = ()


# A document that is none: its record vanished, or a call that would have created it was undone.
VOID: Final = ""

# Segments of their hints. Nobody claims them: they are for deleting.
VOID_SEGMENTS: Final = 256

_encode = msgspec.msgpack.Encoder().encode
_state = msgspec.msgpack.Decoder(State).decode
_hinted = msgspec.msgpack.Decoder(Hinted).decode
_body = msgspec.msgpack.Decoder(Body).decode


def packed(value: State | Hinted | Body) -> bytes:
    return _encode(value)


def state_of(record: bytes) -> State:
    return _state(record)


def hinted_of(value: bytes) -> Hinted:
    return _hinted(value)


def body_of(value: bytes) -> Body:
    return _body(value)


# ---- segments


def line_segment(stage: str, number: int) -> bytes:
    return b"l" + _LINE.pack(number) + stage.encode()


def returns_segment(stage: str) -> bytes:
    """Name the segment of those that come back to a stage: they have waited already."""
    return b"r" + stage.encode()


def bucket_segment(bucket: int, number: int) -> bytes:
    return b"e" + _BUCKET.pack(bucket, number)


def line_key(position: int, call: int) -> bytes:
    """Spell a hint's key: lowest position first, and no two calls' alike."""
    return _KEY.pack(position, call)


def lapse_key(ends_ms: int, position: int, call: int) -> bytes:
    return _LAPSE.pack(ends_ms, position, call)


def lapse_end(now_ms: int) -> bytes:
    """Give the first key of a lease that has not lapsed yet."""
    return _END.pack(now_ms + 1)


def places_of(document: str) -> int:
    """Tell how many places a hint takes: long ids take more, so a segment's bytes are bounded."""
    return 1 + len(document.encode()) // ID_BYTES_A_PLACE


def call_of(key: bytes) -> int:
    """Give the number of the call that put a hint."""
    return int.from_bytes(key[-8:], "big")


def bucket_segments(bucket: int, places: int) -> list[bytes]:
    """Name the segments of a bucket with so many places taken, or -1 more of a sealed one."""
    taken = places if places >= 0 else -places - 1
    return [bucket_segment(bucket, number) for number in range((taken - 1) // SEGMENT_PLACES + 1)]


# ---- counting


def before_of(state: State | None) -> Before:
    """Give what a document's change takes off the counts."""
    if state is None:
        return Before()
    document = state.document
    origin = "" if document.lease is None else document.lease.origin
    return Before(document.stage, document.reason, origin, state.spot, state.parts)


def closing(token: bytes, states: Iterable[State], second: int) -> Close:
    """Sum up what a call's changes do to the counts."""
    stages: dict[str, int] = {}
    reasons: dict[str, int] = {}
    origins: dict[str, int] = {}
    indexed = 0
    for state in states:
        before, after = state.before, before_of(state)
        for counts, less, more in (
            (stages, before.stage, after.stage),
            (reasons, before.reason, after.reason),
            (origins, before.origin, after.origin),
        ):
            if less:
                counts[less] = counts.get(less, 0) - 1
            if more:
                counts[more] = counts.get(more, 0) + 1
        indexed += after.stage == INDEXED and before.stage != INDEXED
    return Close(token, _changed(stages), _changed(reasons), _changed(origins), indexed, second)


def _changed(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
