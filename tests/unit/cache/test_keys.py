"""Digests, what they are packed into, and what is bumped for them."""

from array import array

import pytest

from hevfast.cache.keys import (
    BUCKETS,
    BUMPS_MAX,
    ELSEWHERE,
    EVERYTHING,
    NO_BUMPS,
    WHOLE,
    Bumps,
    Keys,
    pack,
    unpack,
)
from hevfast.cache.registry import Fence, Token, held_bumps, moved, shared


def test_keys_keep_the_order_of_the_rows_and_pack_without_it() -> None:
    keys = Keys.of([7, 3, 0xFFFFFFFF, 3])
    assert list(keys.view()) == [7, 3, 0xFFFFFFFF, 3]
    assert len(keys) == 4
    assert keys.packed() == b"\x03\0\0\0\x07\0\0\0\xff\xff\xff\xff"
    assert list(unpack(keys.packed())) == [3, 7, 0xFFFFFFFF]


def test_packed_lists_are_never_taken_for_a_word() -> None:
    for word in (EVERYTHING, ELSEWHERE):
        assert all(len(pack(range(count))) != len(word) for count in range(5))


def test_a_bucket_follows_from_the_packed_digest() -> None:
    """A sweeper has nothing else."""
    keys = Keys.of([1, 1 + BUCKETS, 5])
    assert keys.buckets() == {1, 5}
    assert held_bumps(keys.packed()) == Bumps(frozenset({1, 5}))
    assert held_bumps(EVERYTHING) == held_bumps(ELSEWHERE) == WHOLE


def test_many_buckets_are_bumped_as_a_whole() -> None:
    most = frozenset(range(BUMPS_MAX))
    assert Bumps.of(most) == Bumps(most)
    assert Bumps.of(most | {BUMPS_MAX}) == WHOLE
    assert Bumps.of(most) | Bumps(frozenset({999})) == WHOLE
    assert Bumps(frozenset({1})) | Bumps(frozenset({2})) == Bumps(frozenset({1, 2}))
    assert NO_BUMPS | WHOLE == WHOLE
    assert not NO_BUMPS
    assert WHOLE


def test_a_token_shares_what_both_hold() -> None:
    mine = frozenset({1, 2, 3})
    assert shared(mine, pack([2, 9])) == {2}
    assert shared(mine, pack([9])) == frozenset()
    assert shared(mine, EVERYTHING) == shared(mine, ELSEWHERE) == mine


def counters(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def test_a_stamp_tells_epochs_fences_and_buckets_apart() -> None:
    fences = [
        Fence(b"epoch--1", 0, counters(0, 0)),
        Fence(b"epoch--2", 0, counters(0, 0)),
        Fence(b"epoch--1", 1, counters(0, 0)),
        Fence(b"epoch--1", 0, counters(1, 0)),
        Fence(b"epoch--1", 0, counters(0, 0), store_epoch=b"store--2"),
    ]
    assert len({fence.stamp(0) for fence in fences}) == len(fences)
    assert fences[0].stamp(1) == fences[3].stamp(1)
    assert {len(fence.stamp(0)) for fence in fences} == {28}


def test_a_stamp_is_the_same_from_one_counter_and_from_all() -> None:
    whole = Fence(b"epoch--1", 3, counters(*range(9)))
    single = Fence(b"epoch--1", 3, counters(7), first=7)
    assert whole.stamp(7) == single.stamp(7)
    for bucket in (6, 8):
        with pytest.raises(AssertionError):
            single.stamp(bucket)


def test_moved_gives_the_buckets_that_were_bumped() -> None:
    begun = Fence(b"epoch--1", 0, counters(0, 5, 0))
    assert moved(begun, begun) == frozenset()
    assert moved(begun, begun._replace(counters=counters(0, 6, 0))) == {1}
    assert moved(begun, begun._replace(whole=1)) == frozenset(range(BUCKETS))
    assert moved(begun, begun._replace(epoch=b"epoch--2")) == frozenset(range(BUCKETS))


def test_a_registry_finds_its_tokens() -> None:
    token = Token(b"t", array("I").tobytes())
    assert token.id == b"t"
