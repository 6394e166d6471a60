"""Digests of keys: what a token holds, and what overlapping writes find each other by.

A digest is 4 bytes of a hash of the id, and the bucket of a key is a part of its digest. It has to
be: who sweeps a token of a dead writer knows nothing but the digests, and must bump their buckets.
Two ids that share a digest only look as if they overlapped, which costs a cached row now and then
and never more.
"""

import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

# Buckets of one registry. A bump voids one of them: a thousandth of the cached rows.
BUCKETS = 1024

# Digests kept inside the token; more go into a record of their own, so that every begin does not
# carry the lists of all bulk writers over the wire.
DIGESTS_INLINE_MAX = 64

# Buckets bumped one by one; above that the fence of the whole registry is bumped instead.
BUMPS_MAX = 64

# What a token holds, apart from a packed list: everything, or a list in a record of its own.
EVERYTHING = b"*"
ELSEWHERE = b"@"


def bucket_of(digest: int) -> int:
    return digest % BUCKETS


def pack(digests: Iterable[int]) -> bytes:
    """Pack digests for the wire: sorted, each once, 4 bytes each, little-endian."""
    packed = array("I", sorted(set(digests)))
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack(packed: bytes) -> "array[int]":
    digests = array("I", packed)
    if sys.byteorder == "big":
        digests.byteswap()
    return digests


@dataclass(frozen=True, slots=True)
class Keys:
    """The digests of the rows of one write, in the order of its rows, in the host's byte order."""

    digests: bytes

    @classmethod
    def of(cls, digests: Iterable[int]) -> "Keys":
        return cls(array("I", digests).tobytes())

    def __len__(self) -> int:
        return len(self.digests) // 4

    def view(self) -> memoryview:
        return memoryview(self.digests).cast("I")

    def some(self, first: int, count: int) -> "Keys":
        """Give some of them, as many as there are from the first one on."""
        return Keys(self.digests[4 * first : 4 * (first + count)])

    def packed(self) -> bytes:
        return pack(self.view())

    def buckets(self) -> frozenset[int]:
        return frozenset(digest % BUCKETS for digest in self.view())


@dataclass(frozen=True, slots=True)
class Bumps:
    """The fences to bump: some buckets, or the fence of the whole registry."""

    buckets: frozenset[int] = frozenset()
    whole: bool = False

    @classmethod
    def of(cls, buckets: frozenset[int]) -> "Bumps":
        return WHOLE if len(buckets) > BUMPS_MAX else cls(buckets)

    def __or__(self, other: "Bumps") -> "Bumps":
        if self.whole or other.whole:
            return WHOLE
        return Bumps.of(self.buckets | other.buckets)

    def __bool__(self) -> bool:
        return self.whole or bool(self.buckets)


WHOLE = Bumps(whole=True)
NO_BUMPS = Bumps()
