"""Pages of a query's rows: where one ended, and what comes after that.

Upstream cannot filter by distance, so a later page asks for all rows up to its end, and those up to
the end of the page before are left out here.
"""

import base64
import math
from bisect import bisect_left, bisect_right
from operator import lt
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    distance: float = msgspec.field(name="$dist")


class _Rows(msgspec.Struct):
    rows: list[_Row]


class Page(NamedTuple):
    """An answer's body, and where it ends if there may be more."""

    body: bytes
    end: Place | None


_decode_cursor = msgspec.json.Decoder(_Cursor).decode
_decode_rows = msgspec.json.Decoder(_Rows).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
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
    Cost: half a millisecond for 512 KiB or 1000 rows. Only rows of the page, and those that share
    a distance with one, are compared.
    """
    try:
        rows = _decode_rows(body).rows
    except msgspec.DecodeError:
        return Page(body, None)
    # So that the best has the smallest, either way.
    keys = [row.distance if ascending else -row.distance for row in rows]
    if not rows or any(map(math.isnan, keys)) or keys != sorted(keys):
        return Page(body, None)
    order = _order(rows, keys, top_k, after, ascending)
    if order != list(range(len(rows))):
        body = _with_rows(body, order)
    if len(order) < top_k:
        return Page(body, None)
    last = rows[order[-1]]
    seen = (after.seen if after is not None else 0) + len(order)
    return Page(body, Place(last.distance, last.id, seen))


def _order(
    rows: list[_Row], keys: list[float], top_k: int, after: Place | None, ascending: bool
) -> list[int]:
    """Give the places of a page's rows, in order."""
    first, behind = 0, 0
    limit: tuple[float, bool, int, str] | None = None
    if after is not None:
        key = after.distance if ascending else -after.distance
        # Of those of the same distance, some were on the page before.
        first, behind = bisect_left(keys, key), bisect_right(keys, key)
        limit = _key(key, after.id)
    if first == len(keys):
        return []
    end = bisect_right(keys, keys[min(behind + top_k, len(keys)) - 1])
    among: Sequence[int] = range(first, end)
    if limit is not None or not all(map(lt, keys[first:end], keys[first + 1 : end])):
        among = sorted(among, key=lambda n: _key(keys[n], rows[n].id))
    return [n for n in among if limit is None or _key(keys[n], rows[n].id) > limit][:top_k]


def _with_rows(body: bytes, order: list[int]) -> bytes:
    """Give an answer with some of its rows, each as it was spelled."""
    members = {name: bytes(raw) for name, raw in _decode_members(body).items()}
    raws = _decode_raws(members["rows"])
    members["rows"] = b"[%b]" % b",".join([bytes(raws[n]) for n in order])
    return b"{%b}" % b",".join([b"%b:%b" % (_encode(name), raw) for name, raw in members.items()])


def _key(key: float, name: Id) -> tuple[float, bool, int, str]:
    """Order by distance, then id: numbers before strings, of which a namespace has one kind."""
    if isinstance(name, str):
        return key, True, 0, name
    return key, False, name, ""
