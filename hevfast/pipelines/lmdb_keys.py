"""How things are found in the pipelines' file: the keys of its databases.

Every key begins with the number of its pipeline, so that what belongs to one lies together and
can be removed by a range. Numbers are big-endian: the order of keys is the order of numbers.
"""

import hashlib
import struct
from typing import Final

_NUMBER: Final = struct.Struct(">I")
NUMBER_BYTES: Final = _NUMBER.size
_PLACE: Final = struct.Struct(">Q")
PLACE_BYTES: Final = _PLACE.size

# Bytes of an id that stand in a key as they are. LMDB's keys have at most 511, of which number,
# stage and the digest of a longer id take up to 165.
ID_BYTES_IN_KEY: Final = 320
_DIGEST_BYTES: Final = 32


def number_key(number: int) -> bytes:
    return _NUMBER.pack(number)


def number_of(key: bytes) -> int:
    return int(_NUMBER.unpack_from(key)[0])


def place_key(position: int) -> bytes:
    """Spell a position in a line, or a time."""
    return _PLACE.pack(position)


def place_of(key: bytes, offset: int = 0) -> int:
    return int(_PLACE.unpack_from(key, offset)[0])


def id_key(text: bytes) -> bytes:
    """Spell a document's id; a long one by its beginning and a digest of the whole.

    A long one's key is longer than any short id, so the two are never the same.
    """
    if len(text) <= ID_BYTES_IN_KEY:
        return text
    return text[:ID_BYTES_IN_KEY] + hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest()


def stage_key(stage: str) -> bytes:
    """Spell a stage, its length first: no stage's key begins with another's."""
    text = stage.encode()
    return bytes((len(text),)) + text


def behind(prefix: bytes) -> bytes | None:
    """Give the first key behind all that begin with the prefix; None: there is none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None


def namespace_key(name: bytes) -> bytes:
    """Spell a namespace of any length."""
    return hashlib.blake2b(name, digest_size=_DIGEST_BYTES).digest()
