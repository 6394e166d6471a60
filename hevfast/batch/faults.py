"""What the scanner found wrong with a body, told to the client."""

import enum
from typing import Final

from hevfast.batch._scan import ScanError
from hevfast.core.errors import GatewayError


class Kind(enum.IntEnum):
    """Kinds of fault; the values are those of `enum scan_kind` in ext/scan.h."""

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


class Key(enum.IntEnum):
    """Known top-level keys of a write; the values are those of `enum scan_key` in ext/scan.h."""

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


# Bytes of a client's attribute name that a message repeats.
NAME_SHOWN_MAX: Final = 128

# What upstream's decoder calls the type of a JSON value, by its first byte. Clients' test suites
# look for its words "invalid type: map, expected a sequence", so a body refused here says the same.
_TYPES: Final = {
    ord("{"): "map",
    ord("["): "sequence",
    ord('"'): "string",
    ord("t"): "boolean `true`",
    ord("f"): "boolean `false`",
    ord("n"): "null",
}

_MALFORMED: Final = {
    Kind.END: "the body ends too early",
    Kind.BAD_BYTE: "unexpected byte 0x{byte:02x}",
    Kind.BAD_LITERAL: "a literal that is not true, false or null",
    Kind.BAD_NUMBER: "a malformed number",
    Kind.BAD_ESCAPE: "a malformed escape in a string",
    Kind.CONTROL: "an unescaped control character 0x{byte:02x} in a string",
    Kind.BAD_UTF8: "a string that is not UTF-8",
    Kind.TOO_DEEP: "nested deeper than 512 levels",
}

_OPERATIONS: Final = (
    "upsert_rows, upsert_columns, patch_rows, patch_columns, deletes, delete_by_filter, "
    "patch_by_filter, copy_from_namespace, branch_from_namespace, schema"
)

_REFUSED: Final = {
    Kind.EMPTY: f"the body is empty; a write needs one of: {_OPERATIONS}",
    Kind.NOT_OBJECT: f"the body is {{type}}, not an object with one of: {_OPERATIONS}",
    Kind.NO_OPERATION: f"no write operation found; a write needs one of: {_OPERATIONS}",
    Kind.REMOVED_KEY: "`{name}` was removed from the API; send `upsert_rows` or `patch_rows`",
    Kind.DUPLICATE_KEY: "duplicate key `{name}`; send it once",
    Kind.OPERATION_TYPE: "invalid type: {type}, expected {expected}",
    Kind.ROW_TYPE: "invalid type: {type}, expected a map",
    Kind.RESERVED_ATTRIBUTE: "attribute `{name}` is reserved: names beginning with "
    "`_hevlayer_` are set by the gateway; leave it out",
    Kind.BLOBS: "`blobs` is not supported: document blobs were removed from the API",
    Kind.VECTOR_IN_PATCH: "`{name}` cannot be patched; upsert the row instead",
    Kind.ID_TYPE: "an id is {type}, expected a string or a number",
    Kind.RESERVED_ID: "ids beginning with `_hevlayer:` are reserved for the gateway",
    Kind.VECTOR_SHAPE: "a vector is a non-empty array of numbers or base64 string, not this {type}",
    Kind.ROW_WITHOUT_ID: "the row has no `id`",
    Kind.COLUMN_TYPE: "invalid type: {type}, expected a sequence: every column is an array",
    Kind.COLUMNS_WITHOUT_ID: "no `id` column",
    Kind.ID_COLUMN_EMPTY: "the `id` column is empty",
    Kind.COLUMN_LENGTH: "a column (at byte {offset}) is not as long as the `id` column",
    Kind.PATCH_TYPE: "`patch` is {type}, expected a map",
    Kind.PATCH_MISSING: "no `patch` object",
    Kind.TOO_MANY_ROWS: "too many rows and ids in one write; send several smaller ones",
}

_EXPECT_MAP: Final = (Key.UPSERT_COLUMNS, Key.PATCH_COLUMNS, Key.PATCH_BY_FILTER)


def refusal(fault: ScanError, body: bytes | bytearray) -> GatewayError:
    """Turn a fault into the client's answer: 400 for no JSON, 413 for too many rows, else 422."""
    byte = body[fault.offset] if fault.offset < len(body) else 0
    if fault.kind <= Kind.TOO_DEEP:
        what = _MALFORMED[Kind(fault.kind)].format(byte=byte)
        return GatewayError(
            "bad_request", f"the body is not valid JSON: {what} at byte {fault.offset}"
        )
    message = _REFUSED[Kind(fault.kind)].format(
        type=_TYPES.get(byte, "number"),
        name=_shown(body, fault.key_start, fault.key_end),
        expected="a map" if fault.op in _EXPECT_MAP else "a sequence",
        offset=fault.offset,
    )
    where = ""
    if fault.op < len(Key):
        where = Key(fault.op).name.lower()
        if fault.row >= 0:
            where += f"[{fault.row}]"
        where += ": "
    code = "payload_too_large" if fault.kind == Kind.TOO_MANY_ROWS else "validation_error"
    return GatewayError(code, where + message)


def _shown(body: bytes | bytearray, start: int, end: int) -> str:
    """Give a key as the client spelled it, cut to a length fit for a message."""
    name = bytes(body[start : min(end, start + NAME_SHOWN_MAX)]).decode("utf-8", "replace")
    return name if end - start <= NAME_SHOWN_MAX else name + "…"
