"""A patch merged onto a cached row, every value as it was spelled."""

import msgspec

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def merged(base: bytes, patch: bytes) -> bytes:
    """Merge a patch onto a row: its members replace the row's, a null clears one."""
    members = _decode(base) | _decode(patch)
    return _encode({name: raw for name, raw in members.items() if bytes(raw) != b"null"})
