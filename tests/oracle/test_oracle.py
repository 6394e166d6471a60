"""Outcomes of the oracle written out by hand, so that it is not its own only judge."""

from __future__ import annotations

import pytest

from tests.oracle import Cut, Fault, Key, Kind, Plan, Row, Section, plan, shard_of, stamp, xxh64

HASHES = [
    ("1", 13237225503670494420),
    ("42", 7919287270473417401),
    ("a", 15154266338359012955),
    ("doc-1", 252167751300044458),
    ("asin-B08N5WRWNW", 9778592109378674038),
    ("asin-B08N5WRWNW-0", 9750627357986652774),
    ("_hevlayer:namespace_meta", 1988337960733192594),
    ("", 17241709254077376921),
    ("é", 1717938401253289848),
    ("00000000-0000-0000-0000-000000000001", 646157381123316205),
    ("18446744073709551615", 10169004184322079815),
]


@pytest.mark.parametrize(("text", "expected"), HASHES)
def test_xxh64_gives_the_contract_vectors(text: str, expected: int) -> None:
    assert xxh64(text.encode()) == expected


def test_shard_is_that_of_the_decoded_id() -> None:
    assert shard_of(rb'"\u0061"', 16) == shard_of(b'"a"', 16) == 11
    assert shard_of(b"1", 16) == shard_of(b'"1"', 16) == 4
    assert shard_of(b'"a"', 0) == 0


UP = Key.UPSERT_ROWS
COLS = Key.UPSERT_COLUMNS
PAT = Key.PATCH_BY_FILTER

FAULTS = [
    (b"", Fault(Kind.EMPTY, 0)),
    (b" \n", Fault(Kind.EMPTY, 2)),
    (b"\xef\xbb\xbf{}", Fault(Kind.BAD_BYTE, 0)),
    (b"{}", Fault(Kind.NO_OPERATION, 0)),
    (b"{} x", Fault(Kind.BAD_BYTE, 3)),
    (b"{", Fault(Kind.END, 1)),
    (b" [1]", Fault(Kind.NOT_OBJECT, 1)),
    (b"01", Fault(Kind.BAD_NUMBER, 0)),
    (b'"\xe2\x82', Fault(Kind.BAD_UTF8, 1)),
    (b'"\\u12', Fault(Kind.END, 5)),
    (b'"\\u1"', Fault(Kind.BAD_ESCAPE, 1)),
    (b'{"a":tru', Fault(Kind.BAD_LITERAL, 5)),
    (b'{"upserts":0', Fault(Kind.REMOVED_KEY, 1, key=(2, 9))),
    (b'{"deletes":1', Fault(Kind.OPERATION_TYPE, 11, op=Key.DELETES)),
    (b'{"upsert_rows":[1', Fault(Kind.ROW_TYPE, 16, 0, UP)),
    (b'{"upsert_rows":[{}', Fault(Kind.ROW_WITHOUT_ID, 16, 0, UP)),
    (b'{"upsert_rows":[{"_hevlayer_"', Fault(Kind.RESERVED_ATTRIBUTE, 17, 0, UP, (18, 28))),
    (b'{"upsert_rows":[{"id":"_hevlayer:"', Fault(Kind.RESERVED_ID, 22, 0, UP)),
    (b'{"upsert_rows":[{"id":1,"vector":[]}', Fault(Kind.VECTOR_SHAPE, 33, 0, UP)),
    (b'{"upsert_columns":{"id":[]}', Fault(Kind.ID_COLUMN_EMPTY, 24, op=COLS)),
    (b'{"upsert_columns":{"a":[],"id":[1]}', Fault(Kind.COLUMN_LENGTH, 23, op=COLS)),
    (b'{"upsert_columns":{"id":[1,{', Fault(Kind.ID_TYPE, 27, 1, COLS)),
    (b'{"patch_by_filter":{"filters":1}', Fault(Kind.PATCH_MISSING, 19, op=PAT)),
    (b'{"schema":{},"\\u0073chema"', Fault(Kind.DUPLICATE_KEY, 13, key=(14, 25))),
    (b"[" * 513, Fault(Kind.TOO_DEEP, 512)),
]


@pytest.mark.parametrize(("body", "expected"), FAULTS)
def test_first_fault_is_the_outcome(body: bytes, expected: Fault) -> None:
    assert plan(body) == expected


def test_more_rows_than_allowed_are_met_before_they_are_read() -> None:
    body = b'{"deletes":[1,{'
    assert plan(body, rows_max=1) == Fault(Kind.TOO_MANY_ROWS, 14, 1, Key.DELETES)


def test_depth_512_is_read_without_recursion() -> None:
    body = b'{"schema":' + b"[" * 511 + b"]" * 511 + b"}"
    assert plan(body) == Plan({Key.SCHEMA: (10, 1032)}, False, (), (), ())


def test_plan_of_rows_and_their_stamps() -> None:
    body = b'{"upsert_rows":[{"id":"a"},{"_hevlayer_shard":[7],"id":1}],"deletes":["b"]}'
    outcome = plan(body, overwrite=True)
    assert outcome == Plan(
        {Key.UPSERT_ROWS: (15, 58), Key.DELETES: (69, 74)},
        False,
        (Section(Key.UPSERT_ROWS, 15, 0, 2), Section(Key.DELETES, 69, 2, 1)),
        (Row(16, 26, 22, 25), Row(27, 57, 55, 56), Row(0, 0, 70, 73)),
        (Cut(1, True, 1, 46, 49),),
    )
    assert stamp(body, outcome, 5, 16, True) == (
        b'{"upsert_rows":[{"_hevlayer_upserted_at":5,"_hevlayer_shard":11,"id":"a"},'
        b'{"_hevlayer_upserted_at":5,"_hevlayer_shard": 4,"id":1}],"deletes":["b"]}'
    )


def test_stamps_of_columns_and_of_a_patch() -> None:
    body = b'{"patch_columns":{"id":["a",1]},"patch_by_filter":{"patch":{ }}}'
    outcome = plan(body)
    assert isinstance(outcome, Plan)
    assert stamp(body, outcome, 5, 16, True) == (
        b'{"patch_columns":{"_hevlayer_upserted_at":[5,5],"_hevlayer_shard":[11, 4],'
        b'"id":["a",1]},"patch_by_filter":{"patch":{"_hevlayer_upserted_at":5 }}}'
    )
