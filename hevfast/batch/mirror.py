"""What the document cache is told of a write: whom it touches, and the rows it leaves behind."""

from collections.abc import Iterator
from typing import Final

from hevfast.batch._scan import Mirror, Plan, digests, xxh64
from hevfast.batch.faults import Key

# Digest, id text, and the attributes to keep or None.
MirroredRow = tuple[bytes, bytes, bytes | None]

# Bytes. A row with more attributes than this is not cached: one such row would push out hundreds
# of others.
ROW_BYTES_MAX: Final = 1024 * 1024

# Bytes of attributes of one write that are cached. One bulk write must not push out all the rest;
# its rows beyond this are only taken out of the cache.
WRITE_BYTES_MAX: Final = 64 * 1024 * 1024

# Rows of one write that the cache hears of one by one. Of a larger one it only knows the namespace,
# and voids what it holds of that: telling 100,000 rows apart takes some milliseconds.
WRITE_ROWS_MAX: Final = 100_000

_BY_FILTER: Final = 1 << Key.DELETE_BY_FILTER | 1 << Key.PATCH_BY_FILTER
_COPIES: Final = 1 << Key.COPY_FROM_NAMESPACE | 1 << Key.BRANCH_FROM_NAMESPACE
_WHOLE: Final = _BY_FILTER | _COPIES
# A schema can drop an attribute from every row.
_WHOLE_TOO: Final = 1 << Key.SCHEMA | 1 << Key.CREATE_NAMESPACE
_CONDITIONS: Final = (
    1 << Key.UPSERT_CONDITION | 1 << Key.PATCH_CONDITION | 1 << Key.DELETE_CONDITION
)


def touches_everything(plan: Plan) -> bool:
    """Tell whether only upstream knows which rows a write changes, or they are too many."""
    if plan.keys & _WHOLE or plan.rows_count > WRITE_ROWS_MAX:
        return True
    schema = plan.value(Key.SCHEMA) if plan.keys & _WHOLE_TOO else None
    # An escape could spell the word another way.
    return schema is not None and (b"drop" in schema or b"\\" in schema)


def keeps_stamps(plan: Plan) -> bool:
    """Tell whether a write makes rows that keep the stamps they had in another namespace."""
    return bool(plan.keys & _COPIES)


def is_conditional(plan: Plan) -> bool:
    """Tell whether upstream may leave some of the rows as they were."""
    return bool(plan.keys & _CONDITIONS)


def asks_for_ids(plan: Plan) -> bool:
    """Tell whether the client wants lists of affected ids in the answer."""
    return plan.value(Key.RETURN_AFFECTED_IDS) == b"true"


def touched_digests(plan: Plan) -> bytes:
    """Give the sorted digests of the ids of a write, packed, 4 bytes each."""
    return digests(plan)


def digest_of(text: bytes) -> bytes:
    """Give the digest of one id's text: 4 bytes, the highest first."""
    return (xxh64(text) & 0xFFFFFFFF).to_bytes(4, "big")


def rows_of(
    plan: Plan, *, now_ms: int, shard_count: int, stamp_shard: bool
) -> Iterator[tuple[Key, list[MirroredRow]]]:
    """Give the rows of a write as they are cached, by operation.

    In parts of up to a thousand rows. Attributes are None for rows that are not to be cached.
    """
    mirror = Mirror(plan, now_ms, shard_count, stamp_shard, ROW_BYTES_MAX)
    for op, rows in mirror:
        if mirror.given_bytes > WRITE_BYTES_MAX:
            rows = [(digest, text, None) for digest, text, _ in rows]
        yield Key(op), rows
