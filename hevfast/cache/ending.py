"""The end of a write that upstream has applied: what becomes of each of its records.

In every pair of overlapping writes the younger saw the elder's token when it began. So the younger
does the work: it never puts, and if the elder may still put, it voids that put beforehand.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hevfast.cache.keys import BUCKETS, NO_BUMPS, WHOLE, Bumps, Keys
from hevfast.cache.operations import Deed
from hevfast.cache.registry import Fence, Registry, Token, moved, shared
from hevfast.cache.rows import Kind

# What becomes of a row on whose key nobody else was: one table, one pass over the batch in C.
# A patch is removed unless its base is known: half a row must never look like a whole one.
_ALONE = bytes(
    Deed.PUT if kind == Kind.UPSERT else Deed.REMOVE for kind in range(len(Kind))
) + bytes([Deed.REMOVE]) * (256 - len(Kind))


class Ending(NamedTuple):
    """One `Deed` a row, and the fences to bump before the write is answered."""

    deeds: bytes
    bumps: Bumps


def elders_of(keys: Keys | None, seen: Sequence[Token]) -> tuple[Token, ...]:
    """Give the tokens, of those seen at begin, that share a key with a write."""
    if keys is None or not seen:
        return tuple(seen)
    mine = frozenset(keys.view())
    return tuple(token for token in seen if shared(mine, token.held))


def needs_look(keys: Keys | None, elders: Sequence[Token], based: frozenset[int]) -> bool:
    """Say whether the end depends on who is in flight by now. Most writes are spared that read."""
    return keys is not None and bool(elders or based)


def plan_end(
    keys: Keys | None,
    kinds: bytes,
    elders: Sequence[Token],
    based: frozenset[int],
    begun: Fence,
    look: Registry | None,
) -> Ending:
    """Decide what becomes of each row.

    `keys` None: everything may have changed. `elders`: tokens seen at begin that share a key.
    `based`: rows whose patch has a base that was valid at begin. `begun`: the fences of begin.
    `look`: the registry after upstream's answer, my own token left out; None if there was no
    need to look.
    """
    if keys is None:
        return Ending(b"", WHOLE)
    alone = kinds.translate(_ALONE)
    if look is None:
        return Ending(alone, NO_BUMPS)

    mine = frozenset(keys.view())
    ids = {token.id for token in look.tokens}
    elder = frozenset[int]().union(*(shared(mine, token.held) for token in elders))
    lasting = [shared(mine, token.held) for token in elders if token.id in ids]
    disputed = frozenset[int]().union(*lasting)
    present = frozenset[int]().union(*(shared(mine, token.held) for token in look.tokens))
    stale = moved(begun, look.fence)

    deeds = bytearray(alone)
    bumps = set()
    for row, digest in enumerate(keys.view()):
        if digest in disputed:
            # The elder may still put with a stamp that is valid: only a bump reaches that put.
            deeds[row] = Deed.LEAVE
            bumps.add(digest % BUCKETS)
        elif digest in elder:
            # It has put already, or removed. Whose row is upstream's cannot be known.
            deeds[row] = Deed.REMOVE
        elif digest % BUCKETS in stale:
            # A younger write may have come and gone. My stamp is void, so a put would be lost.
            deeds[row] = Deed.REMOVE
        elif kinds[row] == Kind.PATCH and row in based:
            # A younger write may have been applied before mine, and my base know nothing of it.
            deeds[row] = Deed.REMOVE if digest in present else Deed.MERGE
    return Ending(bytes(deeds), Bumps.of(frozenset(bumps)))


def told_apart(keys: Keys, kinds: bytes) -> bytes:
    """Mark rows whose digest occurs twice as unstated: in a batch, no order is kept among them."""
    view = keys.view()
    if len(set(view)) == len(view):
        return kinds
    counts: dict[int, int] = {}
    for digest in view:
        counts[digest] = counts.get(digest, 0) + 1
    return bytes(
        Kind.UNSTATED if counts[digest] > 1 else kind
        for digest, kind in zip(view, kinds, strict=True)
    )
