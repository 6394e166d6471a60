"""Document records of the registry form: what is a hit, and how a miss is filled."""

from typing import NamedTuple

from hevfast.cache.operations import FillIfLease, LeaseRecord
from hevfast.cache.registry import Fence


class Record(NamedTuple):
    """A record of the store: a value with its stamp, or a lease, never both."""

    value: bytes | None = None
    stamp: bytes | None = None
    lease: bytes | None = None
    generation: int = 0


class Lease(NamedTuple):
    """The right to fill one record: the lease's id, and the stamp read *before* upstream was."""

    id: bytes
    stamp: bytes


def is_hit(record: Record | None, fence: Fence | None, bucket: int) -> bool:
    """Say whether a record may be served. The two may have been read in either order."""
    if record is None or fence is None or record.lease is not None or record.value is None:
        return False
    return record.stamp == fence.stamp(bucket)


def lease_op(record: Record | None, lease: bytes) -> LeaseRecord | None:
    """Ask for the right to fill after a miss. None: another fetch is about to fill it.

    `lease`: random and never used before: a generation is reused after an eviction, this is not.
    """
    if record is None:
        return LeaseRecord(lease, over=None)
    if record.lease is not None:
        return None
    return LeaseRecord(lease, over=record.generation)


def granted(lease: bytes, fence: Fence, bucket: int) -> Lease:
    """Give the right to fill, once the lease is written. `fence`: as read before that."""
    return Lease(lease, fence.stamp(bucket))


def fill_op(lease: Lease, value: bytes) -> FillIfLease:
    return FillIfLease(lease.id, value, lease.stamp)
