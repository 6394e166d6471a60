"""The plan of a write body, read the way the specification tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.oracle.reader import Met, Reader, decoded
from tests.oracle.vocabulary import (
    COLUMNS_FORMS,
    KNOWN_KEYS,
    NO_SPAN,
    RECOGNISED_KEYS,
    REMOVED_KEYS,
    RESERVED_ATTRIBUTE_PREFIX,
    RESERVED_ID_PREFIX,
    ROWS_FORMS,
    ROWS_MAX,
    SHARD_STAMP,
    TIME_STAMP,
    UPSERTS,
    Cut,
    Fault,
    Key,
    Kind,
    Plan,
    Row,
    Section,
    Span,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_AN_ID = b"tfn[{"
BOOLEANS = b"tf"


def plan(body: bytes, *, overwrite: bool = False, rows_max: int = ROWS_MAX) -> Plan | Fault:
    """Return the plan of `body`, or the first fault met in it."""
    try:
        return _Scan(body, overwrite=overwrite, rows_max=rows_max).read_body()
    except Met as met:
        return met.fault


class _Columns:
    """What one columns object has shown so far."""

    def __init__(self) -> None:
        self.ids_at = -1
        self.ids = 0
        self.lengths: list[tuple[int, int]] = []


class _Scan:
    """One reading of a body."""

    def __init__(self, body: bytes, *, overwrite: bool, rows_max: int) -> None:
        self.body = body
        self.reader = Reader(body)
        self.overwrite = overwrite
        self.rows_max = rows_max
        self.op = Key.NONE
        self.row = -1
        self.keys: dict[Key, Span] = {}
        self.schema_reserved = False
        self.sections: list[Section] = []
        self.rows: list[Row] = []
        self.cuts: list[Cut] = []

    def fault(self, kind: Kind, offset: int, key: Span = NO_SPAN) -> Met:
        """Return the fault of the operation and row being read; `key` has its quotes still."""
        between_quotes = (key[0] + 1, key[1] - 1) if key != NO_SPAN else NO_SPAN
        return Met(Fault(kind, offset, self.row, self.op, between_quotes))

    def text(self, span: Span) -> bytes:
        return decoded(self.body[span[0] + 1 : span[1] - 1])

    # The body.

    def read_body(self) -> Plan:
        reader = self.reader
        reader.white()
        if reader.at == len(self.body):
            raise self.fault(Kind.EMPTY, reader.at)
        if reader.peek() != ord("{"):
            raise self._not_an_object()
        for key in reader.members():
            self._top_level_member(key)
        self._nothing_follows()
        if not RECOGNISED_KEYS & self.keys.keys():
            raise self.fault(Kind.NO_OPERATION, 0)
        return Plan(
            self.keys,
            self.schema_reserved,
            tuple(self.sections),
            tuple(self.rows),
            tuple(self.cuts),
        )

    def _not_an_object(self) -> Met:
        start = self.reader.at
        # The one value of the body is not an element of an array.
        if self.body[start] not in b'"[tfn0123456789-':
            raise self.reader.bad_byte()
        self.reader.value(in_array=False)
        self._nothing_follows()
        return self.fault(Kind.NOT_OBJECT, start)

    def _nothing_follows(self) -> None:
        self.reader.white()
        if self.reader.at < len(self.body):
            raise self.reader.bad_byte()

    def _top_level_member(self, key_span: Span) -> None:
        name = self.text(key_span)
        if name in REMOVED_KEYS:
            raise self.fault(Kind.REMOVED_KEY, key_span[0], key_span)
        key = KNOWN_KEYS.get(name)
        if key in self.keys:
            raise self.fault(Kind.DUPLICATE_KEY, key_span[0], key_span)
        self.reader.colon()
        start = self.reader.at
        if key is None:
            self.reader.value(in_array=False)
            return
        self._known_value(key)
        self.keys[key] = (start, self.reader.at)

    def _known_value(self, key: Key) -> None:
        first = self.reader.peek()
        if key in ROWS_FORMS:
            self._operation(key, first, b"[", self._rows)
        elif key in COLUMNS_FORMS:
            self._operation(key, first, b"{", self._columns)
        elif key is Key.DELETES:
            self._operation(key, first, b"[", self._deletes)
        elif key is Key.PATCH_BY_FILTER:
            self._operation(key, first, b"{", self._patch_by_filter)
        elif key is Key.SCHEMA and first == ord("{"):
            self._schema()
        else:
            self.reader.value(in_array=False)

    def _operation(self, op: Key, first: int, bracket: bytes, read: Callable[[], None]) -> None:
        self.op = op
        if first != bracket[0]:
            raise self.fault(Kind.OPERATION_TYPE, self.reader.at)
        read()
        self.op = Key.NONE

    def _schema(self) -> None:
        for key in self.reader.members():
            if self.text(key).startswith(RESERVED_ATTRIBUTE_PREFIX):
                self.schema_reserved = True
            self.reader.colon()
            self.reader.value(in_array=False)

    def _open_section(self) -> None:
        self.sections.append(Section(self.op, self.reader.at, len(self.rows), 0))

    def _close_section(self) -> None:
        count = len(self.rows) - self.sections[-1].first
        self.sections[-1] = replace(self.sections[-1], count=count)

    # Rows.

    def _rows(self) -> None:
        self._open_section()
        for index in self.reader.elements():
            self.row = index
            self._bound()
            if self.reader.peek() != ord("{"):
                raise self.fault(Kind.ROW_TYPE, self.reader.at)
            self._one_row()
            self.row = -1
        self._close_section()

    def _bound(self) -> None:
        if len(self.rows) >= self.rows_max:
            raise self.fault(Kind.TOO_MANY_ROWS, self.reader.at)

    def _one_row(self) -> None:
        start = self.reader.at
        id_span = NO_SPAN
        stamps_seen: set[bytes] = set()
        for key in self.reader.members():
            name = self.text(key)
            self._attribute(key, name, stamps_seen, id_seen=id_span != NO_SPAN)
            self.reader.colon()
            if name in (TIME_STAMP, SHARD_STAMP):
                self._cut(name, owner=len(self.rows), of_row=True)
            elif name == b"id":
                id_span = self._id(in_array=False)
            elif self.op in UPSERTS and name in (b"vector", b"vectors"):
                self._vector(name)
            else:
                self.reader.value(in_array=False)
        if id_span == NO_SPAN:
            raise self.fault(Kind.ROW_WITHOUT_ID, start)
        self.rows.append(Row(start, self.reader.at, *id_span))

    def _attribute(self, key: Span, name: bytes, stamps_seen: set[bytes], *, id_seen: bool) -> None:
        """Check a key of a row, of a columns object or of a patch, in the order of the table."""
        in_patch_by_filter = self.op is Key.PATCH_BY_FILTER
        allowed = (TIME_STAMP,) if in_patch_by_filter else (TIME_STAMP, SHARD_STAMP)
        own_stamp = self.overwrite and name in allowed
        if name.startswith(RESERVED_ATTRIBUTE_PREFIX) and not own_stamp:
            raise self.fault(Kind.RESERVED_ATTRIBUTE, key[0], key)
        if self.op in UPSERTS and name == b"blobs":
            raise self.fault(Kind.BLOBS, key[0], key)
        if self.op not in UPSERTS and name in (b"vector", b"vectors"):
            raise self.fault(Kind.VECTOR_IN_PATCH, key[0], key)
        if name in stamps_seen or (name == b"id" and id_seen):
            raise self.fault(Kind.DUPLICATE_KEY, key[0], key)
        if own_stamp:
            stamps_seen.add(name)

    def _cut(self, name: bytes, *, owner: int, of_row: bool) -> None:
        span = self.reader.value(in_array=False)
        self.cuts.append(Cut(owner, of_row, int(name == SHARD_STAMP), *span))

    def _id(self, *, in_array: bool) -> Span:
        first = self.reader.peek()
        if first in NOT_AN_ID:
            raise self.fault(Kind.ID_TYPE, self.reader.at)
        span = self.reader.value(in_array=in_array)
        if first == ord('"') and self.text(span).startswith(RESERVED_ID_PREFIX):
            raise self.fault(Kind.RESERVED_ID, span[0])
        return span

    def _vector(self, name: bytes) -> None:
        start = self.reader.at
        first = self.reader.peek()
        if first == ord("["):
            elements = self._array_of_values()
            refused = b"{tfn" if name == b"vector" else b"{tfn0123456789+-.eE"
            good = len(elements) > 0 and not any(element in refused for element in elements)
        else:
            end = self.reader.value(in_array=False)[1]
            not_empty = first == ord('"') and end - start > 2
            good = name == b"vector" and (first == ord("n") or not_empty)
        if not good:
            raise self.fault(Kind.VECTOR_SHAPE, start)

    def _array_of_values(self) -> list[int]:
        """Read an array and return the first byte of each element."""
        elements = []
        for _ in self.reader.elements():
            elements.append(self.reader.peek())
            self.reader.value(in_array=True)
        return elements

    # Columns.

    def _columns(self) -> None:
        self._open_section()
        start = self.reader.at
        columns = _Columns()
        stamps_seen: set[bytes] = set()
        for key in self.reader.members():
            name = self.text(key)
            self._attribute(key, name, stamps_seen, id_seen=columns.ids_at >= 0)
            self.reader.colon()
            if name in (TIME_STAMP, SHARD_STAMP):
                self._cut(name, owner=len(self.sections) - 1, of_row=False)
            else:
                self._column(name, columns)
        if columns.ids_at < 0:
            raise self.fault(Kind.COLUMNS_WITHOUT_ID, start)
        if columns.ids == 0:
            raise self.fault(Kind.ID_COLUMN_EMPTY, columns.ids_at)
        for column_at, length in columns.lengths:
            if length != columns.ids:
                raise self.fault(Kind.COLUMN_LENGTH, column_at)
        self._close_section()

    def _column(self, name: bytes, columns: _Columns) -> None:
        start = self.reader.at
        if self.reader.peek() != ord("["):
            raise self.fault(Kind.COLUMN_TYPE, start)
        if name == b"id":
            columns.ids_at = start
            columns.ids = self._array_of_ids()
            return
        elements = self._array_of_values()
        refused = {b"vector": b"tf{0123456789+-.eE", b"vectors": b"tf{"}.get(name, b"")
        if self.op in UPSERTS and any(element in refused for element in elements):
            raise self.fault(Kind.VECTOR_SHAPE, start)
        columns.lengths.append((start, len(elements)))

    def _array_of_ids(self) -> int:
        """Read an array of ids into rows of their own and return how many there are."""
        count = 0
        for index in self.reader.elements():
            self.row = index
            self._bound()
            self.rows.append(Row(0, 0, *self._id(in_array=True)))
            self.row = -1
            count += 1
        return count

    # Deletes, and the patch of a filter.

    def _deletes(self) -> None:
        self._open_section()
        self._array_of_ids()
        self._close_section()

    def _patch_by_filter(self) -> None:
        start = self.reader.at
        names_seen: set[bytes] = set()
        for key in self.reader.members():
            name = self.text(key)
            if name in names_seen:
                raise self.fault(Kind.DUPLICATE_KEY, key[0], key)
            if name in (b"patch", b"filters"):
                names_seen.add(name)
            self.reader.colon()
            if name == b"patch":
                self._patch()
            else:
                self.reader.value(in_array=False)
        if b"patch" not in names_seen:
            raise self.fault(Kind.PATCH_MISSING, start)

    def _patch(self) -> None:
        if self.reader.peek() != ord("{"):
            raise self.fault(Kind.PATCH_TYPE, self.reader.at)
        self._open_section()
        empty = True
        stamps_seen: set[bytes] = set()
        for key in self.reader.members():
            empty = False
            name = self.text(key)
            self._attribute(key, name, stamps_seen, id_seen=False)
            self.reader.colon()
            if name == TIME_STAMP:
                self._cut(name, owner=len(self.sections) - 1, of_row=False)
            else:
                self.reader.value(in_array=False)
        self.sections[-1] = replace(self.sections[-1], empty=empty)
