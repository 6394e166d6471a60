"""The table that ends a write, row by row, and for large batches."""

import pytest

from hevfast.cache.ending import elders_of, needs_look, plan_end, told_apart
from hevfast.cache.keys import BUCKETS, NO_BUMPS, WHOLE, Bumps, Keys, pack
from hevfast.cache.operations import Deed
from hevfast.cache.registry import Fence, Registry, Token
from hevfast.cache.rows import Kind

FENCE = Fence(b"epoch--1", 0, bytes(4 * BUCKETS))
KEY = 5
OTHER = Token(b"other", pack([KEY]))
STRANGER = Token(b"stranger", pack([KEY + 1]))
EVERYBODY = Token(b"everybody", b"*")


def bumped(*buckets: int) -> Fence:
    counters = bytearray(FENCE.counters)
    for bucket in buckets:
        counters[4 * bucket + 3] += 1
    return FENCE._replace(counters=bytes(counters))


def ended(
    kind: Kind,
    *,
    elders: tuple[Token, ...] = (),
    present: tuple[Token, ...] = (),
    now: Fence = FENCE,
    based: bool = False,
    looked: bool = True,
) -> tuple[Deed, Bumps]:
    """Give what becomes of a write of one row."""
    look = Registry(now, False, present) if looked else None
    rows = frozenset({0}) if based else frozenset[int]()
    ending = plan_end(Keys.of([KEY]), bytes([kind]), elders, rows, FENCE, look)
    return Deed(ending.deeds[0]), ending.bumps


@pytest.mark.parametrize("kind", Kind)
def test_an_elder_still_present_is_bumped_and_nothing_written(kind: Kind) -> None:
    for elder in (OTHER, EVERYBODY, Token(b"unknown", b"@")):
        deed = ended(kind, elders=(elder,), present=(elder,), based=True)
        assert deed == (Deed.LEAVE, Bumps(frozenset({KEY})))


@pytest.mark.parametrize("kind", Kind)
def test_after_an_elder_that_has_gone_the_row_is_removed(kind: Kind) -> None:
    assert ended(kind, elders=(OTHER,), based=True) == (Deed.REMOVE, NO_BUMPS)


@pytest.mark.parametrize("kind", Kind)
def test_after_a_bump_the_row_is_removed(kind: Kind) -> None:
    for now in (bumped(KEY), FENCE._replace(whole=1)):
        assert ended(kind, now=now, based=True) == (Deed.REMOVE, NO_BUMPS)


@pytest.mark.parametrize("kind", [Kind.DELETE, Kind.UNSTATED])
def test_deleted_and_unstated_rows_are_removed(kind: Kind) -> None:
    assert ended(kind) == (Deed.REMOVE, NO_BUMPS)
    assert ended(kind, looked=False) == (Deed.REMOVE, NO_BUMPS)


def test_an_upsert_alone_is_put_whoever_came_later() -> None:
    assert ended(Kind.UPSERT, looked=False) == (Deed.PUT, NO_BUMPS)
    assert ended(Kind.UPSERT, present=(OTHER,)) == (Deed.PUT, NO_BUMPS)
    assert ended(Kind.UPSERT, now=bumped(KEY + 1)) == (Deed.PUT, NO_BUMPS)


def test_a_patch_is_merged_only_with_a_base_and_nobody_else() -> None:
    assert ended(Kind.PATCH, based=True) == (Deed.MERGE, NO_BUMPS)
    assert ended(Kind.PATCH, based=True, present=(STRANGER,)) == (Deed.MERGE, NO_BUMPS)
    assert ended(Kind.PATCH, based=True, present=(OTHER,)) == (Deed.REMOVE, NO_BUMPS)
    assert ended(Kind.PATCH) == (Deed.REMOVE, NO_BUMPS)
    assert ended(Kind.PATCH, looked=False) == (Deed.REMOVE, NO_BUMPS)


def test_a_write_of_everything_bumps_everything() -> None:
    assert plan_end(None, b"", (OTHER,), frozenset(), FENCE, None) == (b"", WHOLE)


def test_only_contended_rows_of_a_batch_pay() -> None:
    digests = range(10_000)
    elder, gone = Token(b"elder", pack([7])), Token(b"gone", pack([8]))
    look = Registry(bumped(9), False, (elder,))
    keys, kinds = Keys.of(digests), bytes([Kind.UPSERT]) * len(digests)
    deeds, bumps = plan_end(keys, kinds, (elder, gone), frozenset(), FENCE, look)
    assert bumps == Bumps(frozenset({7}))
    void = {row for row in digests if row % BUCKETS == 9} | {8}
    for row, deed in enumerate(deeds):
        assert deed == (Deed.LEAVE if row == 7 else Deed.REMOVE if row in void else Deed.PUT)


def test_a_batch_alone_is_decided_without_a_look() -> None:
    keys = Keys.of(range(10_000))
    kinds = bytes([Kind.UPSERT, Kind.DELETE]) * 5_000
    assert not needs_look(keys, (), frozenset())
    deeds, bumps = plan_end(keys, kinds, (), frozenset(), FENCE, None)
    assert deeds == bytes([Deed.PUT, Deed.REMOVE]) * 5_000
    assert not bumps


def test_who_needs_a_look() -> None:
    keys = Keys.of([KEY])
    assert needs_look(keys, (OTHER,), frozenset())
    assert needs_look(keys, (), frozenset({0}))
    assert not needs_look(None, (OTHER,), frozenset())


def test_elders_are_those_who_share_a_key() -> None:
    seen = (OTHER, STRANGER, EVERYBODY)
    assert elders_of(Keys.of([KEY]), seen) == (OTHER, EVERYBODY)
    assert elders_of(None, seen) == seen
    assert elders_of(Keys.of([KEY]), ()) == ()


def test_a_row_named_twice_is_unstated() -> None:
    kinds = bytes([Kind.UPSERT, Kind.DELETE, Kind.PATCH])
    assert told_apart(Keys.of([1, 2, 3]), kinds) == kinds
    twice = bytes([Kind.UNSTATED, Kind.DELETE, Kind.UNSTATED])
    assert told_apart(Keys.of([1, 2, 1]), kinds) == twice
