"""Pages of a query's rows: where one ended, and what comes after that.

Upstream cannot filter by distance, so a later page asks for all rows up to its end, and those up to
the end of the page before are left out here.
"""

import base64
import math
from typing import Final, NamedTuple

import msgspec

# Characters of a cursor: an id of 64 bytes, escaped, and two numbers.
_CURSOR_MAX: Final = 1024

Id = int | str


class _Cursor(msgspec.Struct):
    """What a cursor holds, as JSON: distance and id of the last row, and rows so far."""

    d: float
    id: Id
    n: int = 0


class Place(NamedTuple):
    """Where a page ended. `seen`: rows up to there."""

    distance: float
    id: Id
    seen: int


class _Row(msgspec.Struct):
    """A row as far as its place is concerned."""

    id: Id
    distance: float | None = msgspec.field(name="$dist", default=None)


class _Rows(msgspec.Struct):
    rows: list[msgspec.Raw]


class Page(NamedTuple):
    """An answer's body, and where it ends if there may be more."""

    body: bytes
    end: Place | None


_decode_cursor = msgspec.json.Decoder(_Cursor).decode
_decode_rows = msgspec.json.Decoder(_Rows).decode
_decode_row = msgspec.json.Decoder(_Row).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read_cursor(text: str) -> Place:
    """Raises: ValueError or msgspec.DecodeError."""
    if len(text) > _CURSOR_MAX:
        raise ValueError("too long")
    padded = text + "=" * (-len(text) % 4)
    cursor = _decode_cursor(base64.b64decode(padded, altchars=b"-_", validate=True))
    if not math.isfinite(cursor.d) or cursor.n < 0:
        raise ValueError("out of range")
    return Place(cursor.d, cursor.id, cursor.n)


def spelled_cursor(place: Place) -> bytes:
    whole = _encode(_Cursor(place.distance, place.id, place.seen))
    return base64.urlsafe_b64encode(whole).rstrip(b"=")


def paged(body: bytes, top_k: int, after: Place | None, *, ascending: bool) -> Page:
    """Give an answer with its rows in order, by distance and then id, and those of a page only.

    An answer whose rows have no distances or come in another order than the best first, or that
    cannot be read, is given as it is. `ascending`: the smallest distance is the best.
    """
    try:
        raws = _decode_rows(body).rows
        rows = [_decode_row(raw) for raw in raws]
    except msgspec.DecodeError:
        return Page(body, None)
    distances = [row.distance for row in rows if row.distance is not None]
    if not rows or distances != sorted(distances, reverse=not ascending):
        return Page(body, None)
    if len(distances) < len(rows):
        return Page(body, None)
    order = sorted(range(len(rows)), key=lambda n: _key(rows[n], ascending))
    if after is not None:
        limit = _key(_Row(after.id, after.distance), ascending)
        order = [n for n in order if _key(rows[n], ascending) > limit]
    order = order[:top_k]
    if order != list(range(len(rows))):
        kept = b"[%b]" % b",".join([bytes(raws[n]) for n in order])
        members = {name: bytes(raw) for name, raw in _decode_members(body).items()}
        members["rows"] = kept
        parts = [b"%b:%b" % (_encode(name), raw) for name, raw in members.items()]
        body = b"{%b}" % b",".join(parts)
    if len(order) < top_k:
        return Page(body, None)
    last = rows[order[-1]]
    seen = (after.seen if after is not None else 0) + len(order)
    return Page(body, Place(last.distance or 0.0, last.id, seen))


def _key(row: _Row, ascending: bool) -> tuple[float, bool, int, str]:
    """Order by distance, then id: numbers before strings, of which a namespace has one kind."""
    distance = row.distance or 0.0
    text = isinstance(row.id, str)
    number, name = (0, row.id) if isinstance(row.id, str) else (row.id, "")
    return distance if ascending else -distance, text, number, name
