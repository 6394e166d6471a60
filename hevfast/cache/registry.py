"""The registry of one namespace: its fences, its tokens, and the rules of those who tend it.

The registry never expires and is never evicted. If it is lost all the same, the next one has
another epoch, and every record written under the old one is void.
"""

from typing import NamedTuple

from hevfast.cache.keys import (
    BUCKETS,
    ELSEWHERE,
    EVERYTHING,
    WHOLE,
    Bumps,
    bucket_of,
    unpack,
)
from hevfast.cache.operations import Mature, Sweep

EPOCH_BYTES = 8
COUNTER_BYTES = 4


class Fence(NamedTuple):
    """The fences as read in one operation: all counters, or the range of them that was asked for.

    `counters` are 32-bit big-endian, as the registry stores them, from bucket `first` on.
    `store_epoch` stays constant while no replica has to be fenced off.
    """

    epoch: bytes
    whole: int
    counters: bytes
    first: int = 0
    store_epoch: bytes = bytes(EPOCH_BYTES)

    def prefix(self) -> bytes:
        return self.store_epoch + self.epoch + self.whole.to_bytes(8, "big")

    def counter(self, bucket: int) -> bytes:
        start = (bucket - self.first) * COUNTER_BYTES
        counter = self.counters[start : start + COUNTER_BYTES] if start >= 0 else b""
        # A shorter stamp would compare equal to another one that was cut short in the same way.
        assert len(counter) == COUNTER_BYTES, f"counter of bucket {bucket} was not read"
        return counter

    def stamp(self, bucket: int) -> bytes:
        """Give the stamp that a record of this bucket must carry to be a hit."""
        return self.prefix() + self.counter(bucket)


class Token(NamedTuple):
    """A write in flight: its random id, and the packed digests it holds (or a word for them)."""

    id: bytes
    held: bytes


class Registry(NamedTuple):
    """What a registry answers to a begin or to a second look."""

    fence: Fence
    young: bool
    tokens: tuple[Token, ...]

    def has(self, token: bytes) -> bool:
        return any(token == other.id for other in self.tokens)


def shared(mine: frozenset[int], held: bytes) -> frozenset[int]:
    """Give the digests of mine that a token holds too. A list that cannot be had holds them all."""
    if held in (EVERYTHING, ELSEWHERE):
        return mine
    return mine.intersection(unpack(held))


def moved(begun: Fence, now: Fence) -> frozenset[int]:
    """Give the buckets, among those read both times, whose stamp is no longer the same."""
    if begun.prefix() != now.prefix():
        return frozenset(range(BUCKETS))
    if begun.counters == now.counters:
        return frozenset()
    buckets = range(now.first, now.first + len(now.counters) // COUNTER_BYTES)
    return frozenset(bucket for bucket in buckets if begun.counter(bucket) != now.counter(bucket))


def held_bumps(held: bytes) -> Bumps:
    """Give the fences that void everything a token holds."""
    if held in (EVERYTHING, ELSEWHERE):
        return WHOLE
    return Bumps.of(frozenset(bucket_of(digest) for digest in unpack(held)))


def sweep_due(first_seen_ms: int, now_ms: int, patience_ms: int) -> bool:
    """Say whether a token is surely dead.

    `first_seen_ms`: when this replica first saw it, by its own monotonic clock.
    `patience_ms`: the X of the protocol: longer than the send budget, upstream's deadline and the
    lapse of doubt together. Whoever owns the token has ended by then, or never will.
    """
    return now_ms - first_seen_ms > patience_ms


def sweep_op(token: Token) -> Sweep:
    """Remove a dead writer's token, and with it all that upstream may have changed meanwhile."""
    return Sweep(token.id, held_bumps(token.held))


def mature_due(registry: Registry, first_seen_ms: int, now_ms: int, patience_ms: int) -> bool:
    """Say whether a registry has outlived every write that began before it was created.

    `first_seen_ms`: when this replica first saw this *epoch*.
    """
    return registry.young and now_ms - first_seen_ms > patience_ms


def mature_op(registry: Registry) -> Mature:
    """Let patches merge from now on, and void what was filled while forgotten writers ran."""
    return Mature(registry.fence.epoch)


def may_send(begun_ms: int, now_ms: int, budget_ms: int) -> bool:
    """Say whether a write may still go upstream. Later, its token might be swept too early."""
    return now_ms - begun_ms <= budget_ms
