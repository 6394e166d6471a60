"""Scalar and array values: checking what came in, spelling what goes out, counting its bytes."""

import base64
import binascii
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from .answers import bad_request
from .limits import ID_BYTES_MAX, INT_MAX, INT_MIN, SPARSE_NON_ZEROS_MAX, UINT_MAX
from .shapes import describe
from .types import Kind, Type

Id: TypeAlias = int | str
Value: TypeAlias = str | int | float | bool | list[Any] | dict[str, float]
Attributes: TypeAlias = dict[str, Value]
Reader: TypeAlias = Callable[[object], Value]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Bytes that a fixed-size value counts in billing. Only vectors and strings are confirmed.
FIXED_BYTES = {
    Kind.INT: 8,
    Kind.UINT: 8,
    Kind.FLOAT: 8,
    Kind.DATETIME: 8,
    Kind.UUID: 16,
    Kind.BOOL: 1,
}


class MismatchError(ValueError):
    """A value that its attribute's type cannot hold; the message carries no attribute name."""


def reader_of(type_: Type) -> Reader:
    """Choose the function that checks one JSON value of `type_` and returns it as stored."""
    if type_.kind is Kind.DENSE:
        raise AssertionError("dense vectors live in matrices, not among the attributes")
    read = _READERS[type_.kind]
    if type_.kind is Kind.MULTI:
        return lambda value: _multi_vector(value, type_.dimensions)
    if not type_.is_array:
        return read

    def read_array(value: object) -> Value:
        if not isinstance(value, list):
            raise MismatchError(f"expected {type_.name}, got {describe(value)}")
        return [None if item is None else read(item) for item in value]

    return read_array


def read_id(value: object, type_: Type) -> Id:
    """Check one document id against the namespace's id type."""
    try:
        found: Any = _READERS[type_.kind](value)
    except MismatchError as fault:
        raise bad_request(f"invalid document id: {fault}") from fault
    if isinstance(found, str) and not 1 <= len(found.encode()) <= ID_BYTES_MAX:
        raise bad_request(f"invalid document id: a string id has 1 to {ID_BYTES_MAX} bytes")
    id_: Id = found
    return id_


def bytes_of(type_: Type, value: Value) -> int:
    """Count the bytes that billing sees in one stored value that is not a dense vector."""
    if isinstance(value, list):
        if type_.kind is Kind.MULTI:
            return 4 * type_.dimensions * len(value)
        item = type_.item()
        return sum(0 if part is None else bytes_of(item, part) for part in value)
    if isinstance(value, dict):
        # A dimension number and a half float each; our own guess.
        return 6 * len(value)
    if type_.kind is Kind.STRING:
        return len(str(value).encode())
    if type_.kind is Kind.BYTES:
        spelled = str(value)
        return len(spelled) // 4 * 3 - spelled[-2:].count("=")
    return FIXED_BYTES[type_.kind]


def id_bytes(type_: Type, id_: Id) -> int:
    """Count the bytes that billing sees in an id: 8 for an integer."""
    return bytes_of(type_, id_)


def spelling(type_: Type, value: Any) -> object:
    """Turn a stored value into what the answer carries."""
    if type_.kind is not Kind.DATETIME:
        return value
    if isinstance(value, list):
        return [None if item is None else _spell_datetime(item) for item in value]
    return _spell_datetime(value)


def type_name(value: object) -> str:
    """Name the type of a JSON value as filter errors do: `int`, `[]string`, `null`."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case list():
            return "[]" + (type_name(value[0]) if value else "")
        case _:
            return "map"


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise MismatchError(f"expected string, got {describe(value)}")
    return value


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MismatchError(f"expected int, got {describe(value)}")
    if isinstance(value, float) or not INT_MIN <= value <= INT_MAX:
        raise MismatchError(f"number cannot be represented as signed 64-bit integer: {value}")
    return value


def _uint(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MismatchError(f"expected uint, got {describe(value)}")
    if isinstance(value, float) or not 0 <= value <= UINT_MAX:
        raise MismatchError(f"number cannot be represented as unsigned 64-bit integer: {value}")
    return value


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MismatchError(f"expected float, got {describe(value)}")
    try:
        return float(value)
    except OverflowError as fault:
        raise MismatchError("number cannot be represented as 64-bit float") from fault


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise MismatchError(f"expected bool, got {describe(value)}")
    return value


def _uuid(value: object) -> str:
    if not isinstance(value, str):
        raise MismatchError(f"expected uuid, got {describe(value)}")
    try:
        return str(uuid.UUID(value))
    except ValueError as fault:
        raise MismatchError(f"expected uuid, got {describe(value)}") from fault


def _datetime(value: object) -> int:
    """Read ISO 8601 into milliseconds since 1970, UTC; a time without a zone is UTC."""
    if not isinstance(value, str):
        raise MismatchError(f"expected datetime, got {describe(value)}")
    try:
        moment = datetime.fromisoformat(value)
        zoned = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise MismatchError(f"expected datetime as ISO 8601, got {describe(value)}") from fault
    return (zoned - EPOCH) // timedelta(milliseconds=1)


def _bytes(value: object) -> str:
    if not isinstance(value, str):
        raise MismatchError(f"expected bytes as base64, got {describe(value)}")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise MismatchError(f"invalid base64: {fault}") from fault
    return value


def _sparse(value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        raise MismatchError(f"expected a sparse vector as a map, got {describe(value)}")
    if len(value) > SPARSE_NON_ZEROS_MAX:
        raise MismatchError(f"a sparse vector has at most {SPARSE_NON_ZEROS_MAX} non-zeros")
    return {_string(key): _float(weight) for key, weight in value.items()}


def _multi_vector(value: object, dimensions: int = 0) -> list[list[float]]:
    if not isinstance(value, list) or not all(isinstance(part, list) for part in value):
        raise MismatchError(f"expected a multi-vector as arrays of numbers, got {describe(value)}")
    for part in value:
        if len(part) != dimensions:
            raise MismatchError(f"vector has {len(part)} dimensions, expected {dimensions}")
    return [[_float(number) for number in part] for part in value]


def _spell_datetime(milliseconds: int) -> str:
    # Nine digits and Z, as the documents print it; the width is unconfirmed.
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "000Z"


_READERS: dict[Kind, Reader] = {
    Kind.STRING: _string,
    Kind.INT: _int,
    Kind.UINT: _uint,
    Kind.FLOAT: _float,
    Kind.BOOL: _bool,
    Kind.UUID: _uuid,
    Kind.DATETIME: _datetime,
    Kind.BYTES: _bytes,
    Kind.SPARSE: _sparse,
    Kind.MULTI: _multi_vector,
}
