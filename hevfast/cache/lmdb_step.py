"""One LMDB transaction as the rules of `transactional` see it, and the bulk forms of two of them.

Layout. Documents: `<namespace><digest>` → kind, epoch, fence, and for a row its id and bytes, for a
lease its id, mark and time. The epoch is the namespace's, kept in a database of its own, so that
all its documents can be voided in one step. Tokens: `t<token>` is a token, `s<token>` what is
spoiled in it; a small token is found by `n<namespace>d<digest><token>`, one entry a digest, a large
one by `n<namespace>w<token>`.
"""

import functools
import hashlib
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hevfast.cache.lmdb_file import LmdbFile, View
from hevfast.cache.store import Part
from hevfast.cache.transactional import NOTHING, Document, Held

# Bytes that stand for a namespace in keys: a hash of its name, so that names of any length fit.
NAMESPACE_BYTES: Final = 16
TOKEN_BYTES: Final = 16

# Digests that get an entry each. Larger tokens are compared whole: a few of them are in flight at
# a time, and an entry for each row of a bulk write would double its cost.
_ENTRIES_MAX: Final = 16

_DIGEST: Final = struct.Struct(">I")
# Namespace, when the write began, and whether it holds everything.
_TOKEN: Final = struct.Struct(">16sQ?")
# Kind, epoch, fence, bytes of the id.
_HEAD: Final = struct.Struct(">c8sQH")
# Of a lease, behind its id: mark and time.
_LEASE: Final = struct.Struct(">16sQ")

_ROW: Final = b"V"
_LEASED: Final = b"L"
_EVERYTHING: Final = b"*"
_FIRST_EPOCH: Final = bytes(8)


@functools.lru_cache(maxsize=4096)
def namespace_key(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=NAMESPACE_BYTES).digest()


def numbers(packed: bytes) -> "array[int]":
    """Unpack digests as `Touched` has them: sorted, 4 bytes each in the host's order."""
    return array("I", packed)


def held_of(packed: bytes | None) -> Held:
    return None if packed is None else frozenset(numbers(packed))


class Step:
    """The `Transaction` of the rules for one namespace; good until its transaction ends."""

    __slots__ = ("_known_epoch", "_namespace", "_now_ms", "_token", "_view")

    def __init__(self, view: View, namespace: bytes, now_ms: int = 0) -> None:
        self._view = view
        self._namespace = namespace
        self._now_ms = now_ms
        # Read when it is needed: announcing a write does not.
        self._known_epoch: bytes | None = None
        # The token that was read last, and its record: it is read to be dropped as a rule.
        self._token: tuple[bytes, bytes] | None = None

    @property
    def _epoch(self) -> bytes:
        epoch = self._known_epoch
        if epoch is None:
            epoch = self._view.get(self._view.file.namespaces, self._namespace) or _FIRST_EPOCH
            self._known_epoch = epoch
        return epoch

    # Tokens

    def sharing(self, held: Held) -> Iterable[tuple[bytes, Held]]:
        yield from self._sharing_small(held)
        for key, _ in self._entries(b"w"):
            token = key[-TOKEN_BYTES:]
            theirs = self.held(token)
            shared = theirs if held is None else held if theirs is None else held & theirs
            if shared is None or shared:
                yield token, shared

    def _sharing_small(self, held: Held) -> Iterator[tuple[bytes, Held]]:
        if held is not None and len(held) <= _ENTRIES_MAX:
            for digest in held:
                for key, _ in self._entries(b"d" + _DIGEST.pack(digest)):
                    yield key[-TOKEN_BYTES:], frozenset((digest,))
            return
        for key, _ in self._entries(b"d"):
            (digest,) = _DIGEST.unpack_from(key, len(key) - TOKEN_BYTES - _DIGEST.size)
            if held is None or digest in held:
                yield key[-TOKEN_BYTES:], frozenset((digest,))

    def _entries(self, after: bytes) -> list[tuple[bytes, bytes]]:
        return self._view.prefixed(self._view.file.tokens, b"n" + self._namespace + after)

    def _record(self, token: bytes) -> bytes | None:
        if self._token is not None and self._token[0] == token:
            return self._token[1]
        packed = self._view.get(self._view.file.tokens, b"t" + token)
        if packed is not None:
            self._token = token, packed
        return packed

    def held(self, token: bytes) -> Held:
        packed = self._record(token)
        if packed is None:
            raise KeyError(token)
        _, _, everything = _TOKEN.unpack_from(packed)
        return None if everything else frozenset(numbers(packed[_TOKEN.size :]))

    def spoiled(self, token: bytes) -> Held:
        if self._record(token) is None:
            raise KeyError(token)
        packed = self._view.get(self._view.file.tokens, b"s" + token)
        if packed is None:
            return NOTHING
        return None if packed == _EVERYTHING else frozenset(numbers(packed))

    def insert(self, token: bytes, held: Held, spoiled: Held) -> None:
        digests = None if held is None else array("I", sorted(held)).tobytes()
        self._insert_packed(token, digests)
        self._put_spoiled(token, spoiled)

    def insert_alone(self, token: bytes, digests: bytes | None) -> bool:
        """Insert a token if no other shares a row of it: `begin` without looking at the others.

        `digests` as `Touched` has them. Returns: False if one may, and nothing was done.
        """
        if self._may_share(digests):
            return False
        self._insert_packed(token, digests)
        return True

    def _may_share(self, digests: bytes | None) -> bool:
        """Tell whether a token may hold some of these rows. Large ones count as if they did."""
        has_prefix, tokens = self._view.has_prefix, self._view.file.tokens
        start = b"n" + self._namespace
        if digests is None or len(digests) > 4 * _ENTRIES_MAX:
            return has_prefix(tokens, start)
        # With several rows, one look for any token at all may save one a row.
        if len(digests) > 4 and not has_prefix(tokens, start):
            return False
        if has_prefix(tokens, start + b"w"):
            return True
        places = [start + b"d" + _DIGEST.pack(digest) for digest in numbers(digests)]
        return any(has_prefix(tokens, place) for place in places)

    def _insert_packed(self, token: bytes, digests: bytes | None) -> None:
        tokens = self._view.file.tokens
        packed = _TOKEN.pack(self._namespace, self._now_ms, digests is None) + (digests or b"")
        self._view.put(tokens, b"t" + token, packed)
        for key in self._places(token, packed):
            self._view.put(tokens, key, b"")
        self._token = token, packed

    def _places(self, token: bytes, packed: bytes) -> list[bytes]:
        """Give the keys under which others find a token, by the record of it."""
        start = b"n" + self._namespace
        everything, digests = packed[_TOKEN.size - 1], packed[_TOKEN.size :]
        if everything or len(digests) > 4 * _ENTRIES_MAX:
            return [start + b"w" + token]
        return [start + b"d" + _DIGEST.pack(digest) + token for digest in numbers(digests)]

    def spoil(self, token: bytes, rows: Held) -> None:
        before = self.spoiled(token)
        self._put_spoiled(token, None if rows is None or before is None else before | rows)

    def _put_spoiled(self, token: bytes, rows: Held) -> None:
        if rows is None or rows:
            packed = _EVERYTHING if rows is None else array("I", sorted(rows)).tobytes()
            self._view.put(self._view.file.tokens, b"s" + token, packed)

    def drop(self, token: bytes) -> None:
        packed = self._record(token)
        if packed is not None:
            for key in (*self._places(token, packed), b"t" + token, b"s" + token):
                self._view.delete(self._view.file.tokens, key)
            self._token = None

    # Documents

    def get(self, digest: int) -> Document | None:
        record = self._view.get(self._view.file.documents, self._namespace + _DIGEST.pack(digest))
        return None if record is None else self._document(record)

    def _document(self, record: bytes) -> Document | None:
        kind, epoch, fence, size = _HEAD.unpack_from(record)
        if epoch != self._epoch:
            return None
        after = _HEAD.size + size
        if kind == _ROW:
            return Document(record[_HEAD.size : after], fence, record[after:])
        mark, leased_ms = _LEASE.unpack_from(record, after)
        return Document(record[_HEAD.size : after], fence, None, mark, leased_ms)

    def put(self, digest: int, document: Document) -> None:
        kind, rest = _ROW, document.value
        if rest is None:
            assert document.lease is not None
            kind, rest = _LEASED, _LEASE.pack(document.lease, document.leased_ms)
        head = _HEAD.pack(kind, self._epoch, document.fence, len(document.id))
        key = self._namespace + _DIGEST.pack(digest)
        self._view.put(self._view.file.documents, key, head + document.id + rest)

    def remove(self, digest: int) -> None:
        self._view.delete(self._view.file.documents, self._namespace + _DIGEST.pack(digest))

    def clear(self) -> None:
        epoch = (int.from_bytes(self._epoch, "big") + 1).to_bytes(8, "big")
        self._view.put(self._view.file.namespaces, self._namespace, epoch)
        self._known_epoch = epoch

    # Bulk

    def hits(self, rows: Sequence[tuple[bytes, bytes]], fence: int) -> list[bytes | None]:
        """Give the rows that are hits, by `look`'s rule, for (digest, id) each.

        The same head stands before every row of an id of one length, so a record is compared with
        it and not taken apart: this is the path of every fetch.
        """
        found: list[bytes | None] = []
        heads = _Heads(self._epoch, fence)
        for digest, text in rows:
            record = self._view.get(self._view.file.documents, self._namespace + digest)
            head = heads[len(text)] + text
            hit = record is not None and record.startswith(head)
            found.append(record[len(head) :] if record is not None and hit else None)
        return found

    def mirror_upserts(self, part: Part, spoiled: Held, fence: int) -> None:
        """Do upserts as `mirror` would one by one: put them, or remove what may not be put."""
        namespace, documents, rows = self._namespace, self._view.file.documents, part[1]
        pairs = []
        if spoiled is not None:
            heads = _Heads(self._epoch, fence)
            pairs = [
                (namespace + digest, heads[len(text)] + text + row)
                for digest, text, row in rows
                if row is not None
            ]
        if spoiled:
            barred = {namespace + _DIGEST.pack(digest) for digest in spoiled}
            pairs = [pair for pair in pairs if pair[0] not in barred]
        if len(pairs) < len(rows):
            kept = {key for key, _ in pairs}
            for key in [namespace + digest for digest, _, _ in rows]:
                if key not in kept:
                    self._view.delete(documents, key)
        if len(pairs) == 1:
            self._view.put(documents, *pairs[0])
        elif pairs:
            self._view.put_many(documents, pairs)


class _Heads(dict[int, bytes]):
    """What stands before the id in records of rows, by bytes of the id: few lengths, many rows."""

    def __init__(self, epoch: bytes, fence: int) -> None:
        super().__init__()
        self._epoch = epoch
        self._fence = fence

    def __missing__(self, size: int) -> bytes:
        head = self[size] = _HEAD.pack(_ROW, self._epoch, self._fence, size)
        return head


def hit(file: LmdbFile, namespace: bytes, digest: bytes, text: bytes, fence: int) -> bytes | None:
    """Give one row if it is a hit: `Step.hits` without the objects, for the path of every fetch."""
    transaction = file.environment.begin()
    try:
        epoch = transaction.get(namespace, _FIRST_EPOCH, file.namespaces)
        record = transaction.get(namespace + digest, None, file.documents)
    finally:
        transaction.abort()
    if record is None:
        return None
    head = _HEAD.pack(_ROW, epoch, fence, len(text)) + text
    return record[len(head) :] if record.startswith(head) else None


def tokens_begun(view: View) -> dict[bytes, tuple[bytes, int]]:
    """Give every token with its namespace and when it began, for the sweep."""
    found = {}
    for key, packed in view.prefixed(view.file.tokens, b"t"):
        namespace, begun_ms, _ = _TOKEN.unpack_from(packed)
        found[key[1:]] = namespace, begun_ms
    return found


def fits(text: bytes) -> bool:
    """Tell whether an id can be cached; upstream takes 64 bytes."""
    return len(text) <= 0xFFFF
