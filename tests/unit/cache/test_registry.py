"""When tokens are swept, registries mature and writes are sent: told the time, on the boundary."""

from hevfast.cache.keys import NO_BUMPS, WHOLE, Bumps, pack
from hevfast.cache.operations import FillIfLease, LeaseRecord, Mature, Sweep
from hevfast.cache.records import Lease, Record, fill_op, granted, is_hit, lease_op
from hevfast.cache.registry import (
    Fence,
    Registry,
    Token,
    mature_due,
    mature_op,
    may_send,
    sweep_due,
    sweep_op,
)

FENCE = Fence(b"epoch--1", 0, bytes(8))


def test_a_token_is_swept_only_after_the_patience() -> None:
    assert not sweep_due(1000, 1000 + 500, patience_ms=500)
    assert sweep_due(1000, 1000 + 501, patience_ms=500)


def test_a_sweep_bumps_what_the_token_holds() -> None:
    assert sweep_op(Token(b"t", pack([3]))) == Sweep(b"t", Bumps(frozenset({3})))
    assert sweep_op(Token(b"t", b"@")) == Sweep(b"t", WHOLE)
    assert sweep_op(Token(b"t", b"")) == Sweep(b"t", NO_BUMPS)


def test_a_registry_matures_once_and_as_the_one_that_was_seen() -> None:
    young = Registry(FENCE, True, ())
    assert not mature_due(young, 0, 500, patience_ms=500)
    assert mature_due(young, 0, 501, patience_ms=500)
    assert not mature_due(young._replace(young=False), 0, 501, patience_ms=500)
    assert mature_op(young) == Mature(b"epoch--1")


def test_a_write_is_not_sent_after_its_budget() -> None:
    assert may_send(100, 150, budget_ms=50)
    assert not may_send(100, 151, budget_ms=50)


def test_only_a_value_with_the_current_stamp_is_a_hit() -> None:
    stamp = FENCE.stamp(1)
    assert is_hit(Record(b"row", stamp), FENCE, 1)
    assert is_hit(Record(b"", stamp), FENCE, 1)
    assert not is_hit(None, FENCE, 1)
    assert not is_hit(Record(b"row", stamp), None, 1)
    assert not is_hit(Record(b"row", stamp), FENCE._replace(whole=1), 1)
    assert not is_hit(Record(lease=b"id"), FENCE, 1)
    # As a merging write would leave it: neither a value nor a lease.
    assert not is_hit(Record(b"row", stamp, lease=b"id"), FENCE, 1)


def test_a_miss_is_leased_unless_another_fetch_holds_it() -> None:
    assert lease_op(None, b"id") == LeaseRecord(b"id", over=None)
    void = Record(b"row", b"old", generation=7)
    assert lease_op(void, b"id") == LeaseRecord(b"id", over=7)
    assert lease_op(Record(lease=b"other"), b"id") is None


def test_a_fill_carries_the_stamp_of_before() -> None:
    lease = granted(b"id", FENCE, 1)
    assert lease == Lease(b"id", FENCE.stamp(1))
    assert fill_op(lease, b"row") == FillIfLease(b"id", b"row", FENCE.stamp(1))


def test_a_registry_knows_its_tokens() -> None:
    registry = Registry(FENCE, False, (Token(b"a", b""),))
    assert registry.has(b"a")
    assert not registry.has(b"b")
