"""Tokens of writes in flight, in the store that all workers of a host share.

A token holds digests of rows, or everything in its namespace. Two writes in flight that share a row
spoil it for each other the moment the younger one begins: a spoiled row is taken out of the cache
at the end, never put in. All functions run inside one write transaction.

Layout: `t<token>` is the token itself. Small tokens are found by `n<namespace>d<digest><token>`,
one entry a digest; large ones by `n<namespace>w<token>`. `s<token>` are the digests spoiled in it,
or `*`.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

from hevfast.cache.lmdb_file import View

# Digests that get an entry each. Larger tokens are compared whole: a few of them are in flight at
# a time, and an entry for each row of a bulk write would double its cost.
_ENTRIES_MAX: Final = 16

TOKEN_BYTES: Final = 16
_DIGEST: Final = struct.Struct(">I")
# Its namespace, when it began, and whether it holds everything.
_HEAD: Final = struct.Struct(">16sQ?")

EVERYTHING: Final = b"*"


class Token(NamedTuple):
    """A write in flight."""

    namespace: bytes
    begun_ms: int
    digests: bytes | None  # sorted, packed in the host's order; None: everything

    def pack(self) -> bytes:
        head = _HEAD.pack(self.namespace, self.begun_ms, self.digests is None)
        return head + (self.digests or b"")

    @classmethod
    def unpack(cls, packed: bytes) -> "Token":
        namespace, begun_ms, everything = _HEAD.unpack_from(packed)
        return cls(namespace, begun_ms, None if everything else packed[_HEAD.size :])


class Spoiled:
    """The rows of a write that another write in flight touches too."""

    __slots__ = ("digests", "everything")

    def __init__(self, packed: bytes | None) -> None:
        self.everything = packed == EVERYTHING
        self.digests = set() if packed is None or self.everything else set(_numbers(packed))

    def __contains__(self, digest: int) -> bool:
        return self.everything or digest in self.digests

    def __bool__(self) -> bool:
        return self.everything or bool(self.digests)


def insert(view: View, mark: bytes, token: Token) -> None:
    """Insert a token, and spoil what it shares with others on both sides."""
    _spoil(view, mark, spoil_others(view, mark, token))
    for key in _entries(mark, token):
        view.put(view.file.tokens, key, b"")
    view.put(view.file.tokens, b"t" + mark, token.pack())


def spoil_others(view: View, mark: bytes, token: Token) -> bytes | None:
    """Spoil this token's rows in all others that hold them; give what they share.

    A write that could not insert its token does this at its end, too: one in flight beside it
    would otherwise think itself alone.
    """
    shares = [each for each in _sharing(view, token) if each[0] != mark]
    mine: set[int] = set()
    for other, shared in shares:
        _spoil(view, other, shared)
        if shared != EVERYTHING:
            mine.update(_numbers(shared))
    if any(shared == EVERYTHING for _, shared in shares):
        return EVERYTHING
    return _packed(mine) if mine else None


def read(view: View, mark: bytes) -> Token | None:
    packed = view.get(view.file.tokens, b"t" + mark)
    return None if packed is None else Token.unpack(packed)


def spoiled(view: View, mark: bytes) -> Spoiled:
    return Spoiled(view.get(view.file.tokens, b"s" + mark))


def remove(view: View, mark: bytes) -> None:
    token = read(view, mark)
    if token is None:
        return
    for key in (*_entries(mark, token), b"t" + mark, b"s" + mark):
        view.delete(view.file.tokens, key)


def everyone(view: View) -> dict[bytes, Token]:
    """Give all tokens, for the sweep."""
    entries = view.prefixed(view.file.tokens, b"t")
    return {key[1:]: Token.unpack(packed) for key, packed in entries}


def _entries(mark: bytes, token: Token) -> list[bytes]:
    """Give the keys under which others find this token."""
    digests = token.digests
    if digests is None or len(digests) > 4 * _ENTRIES_MAX:
        return [b"n" + token.namespace + b"w" + mark]
    place = b"n" + token.namespace + b"d"
    return [place + _DIGEST.pack(digest) + mark for digest in _numbers(digests)]


def _sharing(view: View, token: Token) -> list[tuple[bytes, bytes]]:
    """Give the tokens that hold a row of this one, with the shared digests (`*` for all)."""
    return _sharing_small(view, token) + _sharing_large(view, token)


def _sharing_small(view: View, token: Token) -> list[tuple[bytes, bytes]]:
    prefix = b"n" + token.namespace + b"d"
    if token.digests is None:
        entries = view.prefixed(view.file.tokens, prefix)
        return [(key[-TOKEN_BYTES:], EVERYTHING) for key, _ in entries]
    mine = _numbers(token.digests)
    shares = []
    if len(mine) <= _ENTRIES_MAX:
        for digest in mine:
            entries = view.prefixed(view.file.tokens, prefix + _DIGEST.pack(digest))
            shares += [(key[-TOKEN_BYTES:], _packed([digest])) for key, _ in entries]
        return shares
    for key, _ in view.prefixed(view.file.tokens, prefix):
        (digest,) = _DIGEST.unpack_from(key, len(prefix))
        if _holds(mine, digest):
            shares.append((key[-TOKEN_BYTES:], _packed([digest])))
    return shares


def _sharing_large(view: View, token: Token) -> list[tuple[bytes, bytes]]:
    shares = []
    for key, _ in view.prefixed(view.file.tokens, b"n" + token.namespace + b"w"):
        mark = key[-TOKEN_BYTES:]
        other = read(view, mark)
        if other is None:
            continue
        if other.digests is None or token.digests is None:
            shares.append((mark, EVERYTHING))
            continue
        shared = set(_numbers(other.digests)).intersection(_numbers(token.digests))
        if shared:
            shares.append((mark, _packed(shared)))
    return shares


def _spoil(view: View, mark: bytes, shared: bytes | None) -> None:
    """Add digests to those spoiled in a token."""
    if shared is None:
        return
    before = view.get(view.file.tokens, b"s" + mark)
    if before == EVERYTHING:
        return
    if before is not None and shared != EVERYTHING:
        shared = _packed({*_numbers(before), *_numbers(shared)})
    view.put(view.file.tokens, b"s" + mark, shared)


def _numbers(packed: bytes) -> "array[int]":
    return array("I", packed)


def _packed(digests: Iterable[int]) -> bytes:
    return array("I", sorted(digests)).tobytes()


def _holds(numbers: "array[int]", digest: int) -> bool:
    at = bisect_left(numbers, digest)
    return at < len(numbers) and numbers[at] == digest
