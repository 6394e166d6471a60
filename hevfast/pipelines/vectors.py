"""The write that vectors come to: the caller's own bytes, put together as rows. Pure."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from hevfast.core.errors import GatewayError
from hevfast.pipelines.listing import Listing, decoded

_NULL: Final = b"null"

# Members that come from the entry itself.
_TAKEN: Final = ("id", "vector", "vectors")


class Entry(msgspec.Struct, gc=False):
    """A row to be written: its id, one of the two forms of a vector, and attributes."""

    id: msgspec.Raw
    vector: msgspec.Raw = msgspec.Raw(_NULL)
    vectors: msgspec.Raw = msgspec.Raw(_NULL)
    attributes: msgspec.Raw = msgspec.Raw(_NULL)


_decode_entries = msgspec.json.Decoder(list[Entry]).decode
_decode_members: Callable[[Any], dict[str, msgspec.Raw]]
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_ids = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_id = msgspec.json.Decoder(str | int | float).decode
_encode = msgspec.json.Encoder().encode

# `PUT .../documents/{doc}/vectors`. Entries end with a vector or with attributes.
VECTORS: Listing[Entry] = Listing("vectors", _decode_entries, "]}")


class WriteBody:
    """A write body that grows by entries. What rows may hold, the write path checks."""

    __slots__ = ("_body", "_ids")

    def __init__(self, distance_metric: str) -> None:
        self._body = bytearray(b'{"distance_metric":%b,"upsert_rows":[' % _encode(distance_metric))
        self._ids: list[bytes] = []

    def take(self, entries: Iterable[Entry]) -> None:
        """Raises: GatewayError `validation_error`."""
        rows = []
        for entry in entries:
            rows.append(_row(entry, len(self._ids)))
            self._ids.append(bytes(entry.id))
        if rows:
            lead = b"," if len(self._ids) > len(rows) else b""
            self._body += lead + b",".join(rows)

    def ids(self) -> bytes:
        """Give the ids of all rows, as a JSON array."""
        return b"[%b]" % b",".join(self._ids)

    def finished(self, earlier: bytes | None) -> bytearray:
        """Give the body; of the `earlier` rows those are deleted that are not written now.

        Raises: GatewayError `validation_error` if there are no rows.
        """
        if not self._ids:
            raise GatewayError("validation_error", "`vectors` is empty; send at least one.")
        orphans = _orphans(earlier, self._ids) if earlier is not None else []
        self._body += b"]"
        if orphans:
            self._body += b',"deletes":[%b]' % b",".join(orphans)
        self._body += b"}"
        return self._body


def _row(entry: Entry, n: int) -> bytes:
    vector, vectors = bytes(entry.vector), bytes(entry.vectors)
    if (vector == _NULL) is (vectors == _NULL):
        raise GatewayError(
            "validation_error", f"vectors[{n}]: exactly one of `vector` and `vectors` is needed."
        )
    form, value = (b"vectors", vectors) if vector == _NULL else (b"vector", vector)
    attributes = _attributes(bytes(entry.attributes), n)
    return b'{"id":%b,"%b":%b%b}' % (bytes(entry.id), form, value, attributes)


def _attributes(raw: bytes, n: int) -> bytes:
    """Give the members of the attributes as sent, with a comma before them."""
    if raw == _NULL:
        return b""
    members = decoded(_decode_members, raw)
    for name in _TAKEN:
        if name in members:
            raise GatewayError(
                "validation_error",
                f"vectors[{n}]: `{name}` is no attribute, it stands beside.",
            )
    return b"," + raw[1:-1] if members else b""


def _orphans(earlier: bytes, ids: list[bytes]) -> list[bytes]:
    written = {_text(each) for each in ids}
    before = [bytes(each) for each in _decode_ids(earlier)]
    return [each for each in before if _text(each) not in written]


def _text(raw: bytes) -> str:
    """Give an id as text: however it is spelled, it is the same row."""
    try:
        return str(_decode_id(raw))
    except msgspec.ValidationError:
        # No id; the write path will say so.
        return raw.decode()
