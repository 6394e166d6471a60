"""Which rows upstream says it touched, and its answer without what the client did not ask for."""

from typing import Final

import msgspec

_ID_LISTS: Final = ("upserted_ids", "patched_ids", "deleted_ids")

Id = int | str


class Affected(msgspec.Struct):
    """The id lists of a write's answer; None where there is none."""

    upserted_ids: list[Id] | None = None
    patched_ids: list[Id] | None = None
    deleted_ids: list[Id] | None = None


_decode_affected = msgspec.json.Decoder(Affected).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read_affected(answer: bytes) -> Affected | None:
    """Read the id lists of an answer, or None if it cannot be read."""
    try:
        return _decode_affected(answer)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def texts_of(ids: list[Id] | None) -> frozenset[bytes]:
    """Give ids as the texts they are cached under."""
    return frozenset(str(each).encode("utf-8", "surrogatepass") for each in ids or ())


def without_ids(answer: bytes) -> bytes:
    """Take the id lists out of an answer whose caller did not ask for them.

    All other members keep their bytes. An answer that cannot be read is given as it is.
    """
    try:
        members = _decode_members(answer)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return answer
    if not any(name in members for name in _ID_LISTS):
        return answer
    return _encode({name: raw for name, raw in members.items() if name not in _ID_LISTS})
