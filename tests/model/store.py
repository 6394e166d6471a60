"""A store as small as it can be: applies the operations of the registry form to plain values.

Adapters to real stores are to be compared with it: same operations, same answers, same contents.
Two liberties, both towards more behaviours: a lease is written over anything, and generations are
not kept. Fences hold a few buckets only, so that states stay small.
"""

from typing import NamedTuple

from hevfast.cache import operations as ops
from hevfast.cache.events import Began, Done, Event, Finished, Full, Looked, Lost
from hevfast.cache.keys import BUCKETS, DIGESTS_INLINE_MAX, ELSEWHERE, EVERYTHING, Bumps, Keys
from hevfast.cache.records import Record
from hevfast.cache.registry import Fence, Registry, Token


class Shelf(NamedTuple):
    """The registry record."""

    epoch: int
    young: bool
    whole: int
    counters: tuple[int, ...]
    tokens: tuple[Token, ...]


class Store(NamedTuple):
    shelf: Shelf | None
    # By number of the key; a key's digest is bucket + BUCKETS * number.
    records: tuple[Record | None, ...]
    # Epochs used up, so that each registry gets another one.
    epochs: int
    full: bool
    # More digests than this are kept elsewhere.
    inline_max: int = DIGESTS_INLINE_MAX


class Refused(NamedTuple):
    """The answer to an operation whose condition did not hold."""


Reply = Event | Registry | Refused
FIRST_EPOCH = Shelf(1, False, 0, (0, 0), ())


def number_of(digest: int) -> int:
    return digest // BUCKETS


def fence_of(shelf: Shelf) -> Fence:
    counters = b"".join(value.to_bytes(4, "big") for value in shelf.counters)
    return Fence(shelf.epoch.to_bytes(8, "big"), shelf.whole, counters)


def registry_of(shelf: Shelf) -> Registry:
    return Registry(fence_of(shelf), shelf.young, shelf.tokens)


def held_by(keys: Keys | None, inline_max: int) -> bytes:
    if keys is None:
        return EVERYTHING
    return keys.packed() if len(keys) <= inline_max else ELSEWHERE


def ensured(store: Store) -> tuple[Store, Shelf]:
    if store.shelf is not None:
        return store, store.shelf
    shelf = Shelf(store.epochs + 1, True, 0, (0, 0), ())
    return store._replace(shelf=shelf, epochs=store.epochs + 1), shelf


def bumped(shelf: Shelf, bumps: Bumps) -> Shelf:
    if bumps.whole:
        return shelf._replace(whole=shelf.whole + 1)
    return shelf._replace(
        counters=tuple(n + (bucket in bumps.buckets) for bucket, n in enumerate(shelf.counters))
    )


def without(shelf: Shelf, tokens: tuple[bytes, ...]) -> Shelf:
    return shelf._replace(tokens=tuple(t for t in shelf.tokens if t.id not in tokens))


def has(shelf: Shelf | None, token: bytes) -> bool:
    return shelf is not None and any(token == other.id for other in shelf.tokens)


def apply(store: Store, op: object) -> tuple[Store, Reply]:
    """Run one operation on the registry."""
    if isinstance(op, ops.RemoveRegistry):
        return store._replace(shelf=None), Done()
    shelf = store.shelf
    if isinstance(op, ops.ReadRegistry):
        return store, Looked(None if shelf is None else registry_of(shelf))
    if isinstance(op, ops.Finish) and shelf is None:
        return store, Finished(False, b"")
    if isinstance(op, ops.DropTokens) and shelf is None:
        return store, Done()
    if store.full:
        return store, Full()
    if isinstance(op, ops.Begin | ops.Repair | ops.CreateRegistry):
        store, shelf = ensured(store)
    if shelf is None:
        return store, Refused()
    return _apply(store, shelf, op)


def _apply(store: Store, shelf: Shelf, op: object) -> tuple[Store, Reply]:
    if isinstance(op, ops.Begin):
        held = held_by(op.keys, store.inline_max)
        tokens = tuple(sorted({*shelf.tokens, Token(op.token, held)}))
        shelf = shelf._replace(tokens=tokens)
        return store._replace(shelf=shelf), Began(registry_of(shelf))
    if isinstance(op, ops.CreateRegistry):
        return store._replace(shelf=shelf), registry_of(shelf)
    if isinstance(op, ops.Finish):
        there = has(shelf, op.tokens[0])
        epoch = fence_of(shelf).epoch
        return store._replace(shelf=without(bumped(shelf, op.bumps), op.tokens)), Finished(
            there, epoch
        )
    if isinstance(op, ops.Repair):
        return store._replace(shelf=without(bumped(shelf, op.bumps), op.tokens)), Done()
    if isinstance(op, ops.DropTokens):
        return store._replace(shelf=without(shelf, op.tokens)), Done()
    if isinstance(op, ops.Sweep):
        if not has(shelf, op.token):
            return store, Refused()
        return store._replace(shelf=without(bumped(shelf, op.bumps), (op.token,))), Done()
    if isinstance(op, ops.Mature):
        if not shelf.young or fence_of(shelf).epoch != op.epoch:
            return store, Refused()
        return store._replace(shelf=shelf._replace(young=False, whole=shelf.whole + 1)), Done()
    raise AssertionError(op)


def write_record(store: Store, number: int, record: Record | None) -> tuple[Store, Event]:
    """Put or remove one record of a batch."""
    if record is not None and store.full:
        return store, Lost()
    records = (*store.records[:number], record, *store.records[number + 1 :])
    return store._replace(records=records), Done()


def lease_record(store: Store, number: int, op: ops.LeaseRecord) -> tuple[Store, Reply]:
    if store.full:
        return store, Full()
    return write_record(store, number, Record(lease=op.lease))


def fill_record(store: Store, number: int, op: ops.FillIfLease) -> tuple[Store, Reply]:
    record = store.records[number]
    if record is None or record.lease != op.lease or store.full:
        return store, Refused()
    return write_record(store, number, Record(value=op.value, stamp=op.stamp))
