"""Checking the values of documents against the schema, and counting their billed bytes."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from .answers import bad_request
from .attribute import Attribute, Schema, dense_names
from .limits import FILTERABLE_VALUE_BYTES_MAX, VALUE_BYTES_MAX
from .types import Kind
from .values import Attributes, Id, MismatchError, Reader, Value, bytes_of, id_bytes, reader_of

# A row after the check. None marks an attribute that a patch clears, or one that an upsert gives
# no value of any known type.
Typed: TypeAlias = dict[str, Value | None]


def typed(schema: Schema, rows: Iterable[dict[str, object]]) -> Iterator[Typed]:
    """Check rows one by one; the readers are chosen once for all of them."""
    readers: dict[str, tuple[Reader, Attribute] | None] = {}
    for row in rows:
        checked: Typed = {}
        for name, value in row.items():
            if name not in readers:
                readers[name] = _reader(schema, name)
            found = readers[name]
            if value is None or found is None:
                checked[name] = None
                continue
            read, entry = found
            try:
                stored = checked[name] = read(value)
            except MismatchError as fault:
                raise bad_request(f"invalid value for attribute `{name}`: {fault}") from fault
            if isinstance(stored, str | list):
                _check_size(name, entry, stored)
        yield checked


def present(row: Typed) -> Attributes:
    return {name: value for name, value in row.items() if value is not None}


def size_bytes(schema: Schema, id_: Id, attributes: Attributes) -> int:
    """Count the billed bytes of a document; how the real service counts writes is unconfirmed."""
    scalars = sum(bytes_of(schema[name].type, value) for name, value in attributes.items())
    vectors = sum(4 * schema[name].type.dimensions for name in dense_names(schema))
    return id_bytes(schema["id"].type, id_) + scalars + vectors


def _reader(schema: Schema, name: str) -> tuple[Reader, Attribute] | None:
    """Find the reader of an attribute; None where nothing has told its type yet."""
    entry = schema.get(name)
    if entry is None:
        return None
    if entry.type.kind is Kind.DENSE:
        # Upserts arrive here without their vectors, so this is a patch.
        raise bad_request(f"vector attribute `{name}` cannot be patched")
    return reader_of(entry.type), entry


def _check_size(name: str, entry: Attribute, stored: Any) -> None:
    if bytes_of(entry.type, stored) > VALUE_BYTES_MAX:
        raise bad_request(f"attribute `{name}`: a value has at most {VALUE_BYTES_MAX} bytes")
    if not entry.filterable or entry.type.kind is not Kind.STRING:
        return
    for item in stored if isinstance(stored, list) else [stored]:
        # A character has at most four bytes, so most values need no exact count.
        if item is not None and len(item) * 4 > FILTERABLE_VALUE_BYTES_MAX < len(item.encode()):
            raise bad_request(
                f"attribute `{name}`: a filterable value has at most "
                f"{FILTERABLE_VALUE_BYTES_MAX} bytes; declare it with `filterable` false"
            )
