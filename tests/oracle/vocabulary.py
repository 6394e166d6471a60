"""The words of a plan: kinds of faults, known keys, rows, sections and cuts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """Kinds of faults, numbered as `enum scan_kind`."""

    END = 1
    BAD_BYTE = 2
    BAD_LITERAL = 3
    BAD_NUMBER = 4
    BAD_ESCAPE = 5
    CONTROL = 6
    BAD_UTF8 = 7
    TOO_DEEP = 8
    EMPTY = 16
    NOT_OBJECT = 17
    REMOVED_KEY = 18
    DUPLICATE_KEY = 19
    OPERATION_TYPE = 20
    NO_OPERATION = 21
    ROW_TYPE = 22
    RESERVED_ATTRIBUTE = 23
    BLOBS = 24
    VECTOR_IN_PATCH = 25
    ID_TYPE = 26
    RESERVED_ID = 27
    VECTOR_SHAPE = 28
    ROW_WITHOUT_ID = 29
    COLUMN_TYPE = 30
    COLUMNS_WITHOUT_ID = 31
    ID_COLUMN_EMPTY = 32
    COLUMN_LENGTH = 33
    PATCH_TYPE = 34
    PATCH_MISSING = 35
    TOO_MANY_ROWS = 36


class Key(IntEnum):
    """Known top-level keys, numbered as `enum scan_key`."""

    UPSERT_ROWS = 0
    UPSERT_COLUMNS = 1
    PATCH_ROWS = 2
    PATCH_COLUMNS = 3
    DELETES = 4
    DELETE_BY_FILTER = 5
    PATCH_BY_FILTER = 6
    COPY_FROM_NAMESPACE = 7
    BRANCH_FROM_NAMESPACE = 8
    CREATE_NAMESPACE = 9
    SCHEMA = 10
    DISTANCE_METRIC = 11
    UPSERT_CONDITION = 12
    PATCH_CONDITION = 13
    DELETE_CONDITION = 14
    DELETE_BY_FILTER_ALLOW_PARTIAL = 15
    PATCH_BY_FILTER_ALLOW_PARTIAL = 16
    RETURN_AFFECTED_IDS = 17
    DISABLE_BACKPRESSURE = 18
    ENCRYPTION = 19
    SHARDING = 20
    # No key: the place of "none" in a fault.
    NONE = 23


KNOWN_KEYS = {key.name.lower().encode(): key for key in Key if key is not Key.NONE}
REMOVED_KEYS = (b"upserts", b"patches")
RECOGNISED_KEYS = frozenset(key for key in Key if key <= Key.SCHEMA)

ROWS_FORMS = (Key.UPSERT_ROWS, Key.PATCH_ROWS)
COLUMNS_FORMS = (Key.UPSERT_COLUMNS, Key.PATCH_COLUMNS)
UPSERTS = (Key.UPSERT_ROWS, Key.UPSERT_COLUMNS)

RESERVED_ATTRIBUTE_PREFIX = b"_hevlayer_"
RESERVED_ID_PREFIX = b"_hevlayer:"
TIME_STAMP = b"_hevlayer_upserted_at"
SHARD_STAMP = b"_hevlayer_shard"

DEPTH_MAX = 512
ROWS_MAX = 2**32 - 1

Span = tuple[int, int]
NO_SPAN: Span = (0, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first fault met, which is the outcome of the scan."""

    kind: Kind
    offset: int
    row: int = -1
    op: Key = Key.NONE
    key: Span = NO_SPAN


@dataclass(frozen=True, slots=True)
class Row:
    """One row object and its id, or one id alone (`start` and `end` are 0 then)."""

    start: int
    end: int
    id_start: int
    id_end: int


@dataclass(frozen=True, slots=True)
class Section:
    """One row operation of the body."""

    op: Key
    open: int
    first: int
    count: int
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The value of a stamp that the client sent itself."""

    owner: int
    of_row: bool
    stamp: int  # 0: the time, 1: the shard.
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a good body holds."""

    keys: dict[Key, Span]
    schema_reserved: bool
    sections: tuple[Section, ...]
    rows: tuple[Row, ...]
    cuts: tuple[Cut, ...]
