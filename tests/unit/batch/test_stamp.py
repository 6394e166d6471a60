"""Stamped bodies, byte for byte."""

import threading
import time

import pytest

from hevfast.batch._scan import Plan, scan, xxh64
from hevfast.batch.stamp import STEP_BYTES, stamp

NOW_MS = 1_700_000_000_000
TIME = b'"_hevlayer_upserted_at":1700000000000'


def plan(body: bytes, *, overwrite: bool = False) -> Plan:
    return scan(body, overwrite, 1 << 22)


def stamped(body: bytes, *, overwrite: bool = False, shards: int = 16, shard: bool = True) -> bytes:
    made = stamp(
        plan(body, overwrite=overwrite), now_ms=NOW_MS, shard_count=shards, stamp_shard=shard
    )
    whole = made.whole()
    assert len(whole) == made.size
    return whole


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"upsert_rows":[{"id":1}]}',
            b'{"upsert_rows":[{' + TIME + b',"_hevlayer_shard": 4,"id":1}]}',
        ),
        (
            b'{"patch_rows" : [ { "id":"42"} ]}',
            b'{"patch_rows" : [ {' + TIME + b',"_hevlayer_shard": 9, "id":"42"} ]}',
        ),
        (
            b'{"upsert_columns":{"id":["a","doc-1"]}}',
            b'{"upsert_columns":{"_hevlayer_upserted_at":[1700000000000,1700000000000],'
            b'"_hevlayer_shard":[11,10],"id":["a","doc-1"]}}',
        ),
        (
            b'{"patch_by_filter":{"patch":{"a":1}}}',
            b'{"patch_by_filter":{"patch":{' + TIME + b',"a":1}}}',
        ),
        (b'{"patch_by_filter":{"patch":{ }}}', b'{"patch_by_filter":{"patch":{' + TIME + b" }}}"),
    ],
)
def test_stamps_stand_in_front_of_the_first_member(body: bytes, expected: bytes) -> None:
    assert stamped(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"deletes":[1,2]}',
        b'{"delete_by_filter":["a","Eq",1]}',
        b'{"copy_from_namespace":"a"}',
        b'{"branch_from_namespace":"a"}',
        b'{"schema":{"upsert_rows":{"type":"string"}}}',
        b'{"upsert_rows":[],"patch_rows":[]}',
    ],
)
def test_what_produces_no_row_goes_out_as_it_came(body: bytes) -> None:
    assert stamped(body) == body


def test_every_spelling_of_a_value_is_kept() -> None:
    row = b'{"id":18446744073709551615,"a":1e-7,"b":2.0,"c":"\\u00e9\\/","d" : [ 1 , -0 ]}'
    whole = stamped(b'{ "upsert_rows":[' + row + b"]\t}")
    assert whole == b'{ "upsert_rows":[{' + TIME + b',"_hevlayer_shard": 7,' + row[1:] + b"]\t}"


@pytest.mark.parametrize(
    ("identifier", "value"),
    [
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
    ],
)
def test_hash_is_xxh64(identifier: str, value: int) -> None:
    assert xxh64(identifier.encode()) == value


def test_id_is_hashed_with_its_escapes_resolved() -> None:
    plain, escaped = (
        stamped('{"upsert_rows":[{"id":"é"}]}'.encode()),
        stamped(b'{"upsert_rows":[{"id":"\\u00e9"}]}'),
    )
    assert b'"_hevlayer_shard": 8,' in plain
    assert b'"_hevlayer_shard": 8,' in escaped


def test_shard_stamp_can_be_left_out() -> None:
    assert (
        stamped(b'{"upsert_rows":[{"id":1}]}', shard=False)
        == b'{"upsert_rows":[{' + TIME + b',"id":1}]}'
    )


def test_overwrite_replaces_the_clients_own_stamps() -> None:
    rows = b'{"_hevlayer_shard":null,"id":1,"_hevlayer_upserted_at":[1,"x"]},{"id":42}'
    body = b'{"upsert_rows":[' + rows + b"]}"
    first = b'{"_hevlayer_shard": 4,"id":1,' + TIME + b"}"
    second = b"{" + TIME + b',"_hevlayer_shard": 9,"id":42}'
    assert stamped(body, overwrite=True) == b'{"upsert_rows":[' + first + b"," + second + b"]}"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b' {"deletes":[1]}', b' {"return_affected_ids":true,"deletes":[1]}'),
        (
            b'{"return_affected_ids":false,"deletes":[1]}',
            b'{"return_affected_ids":true,"deletes":[1]}',
        ),
        (
            b'{"upsert_rows":[{"id":1}],"return_affected_ids" : null}',
            b'{"upsert_rows":[{' + TIME + b',"id":1}],"return_affected_ids" : true}',
        ),
        (
            b'{"upsert_rows":[{"id":1}],"return_affected_ids":true,"patch_rows":[{"id":2}]}',
            b'{"upsert_rows":[{' + TIME + b',"id":1}],"return_affected_ids":true,'
            b'"patch_rows":[{' + TIME + b',"id":2}]}',
        ),
    ],
)
def test_affected_ids_can_be_asked_for(body: bytes, expected: bytes) -> None:
    made = stamp(plan(body), now_ms=NOW_MS, shard_count=16, stamp_shard=False, force_ids=True)
    size = made.size
    assert made.whole() == expected
    assert size == len(expected)


def test_steps_are_the_whole_and_bounded() -> None:
    rows = [b'{"id":%d,"text":"%s"}' % (n, b"x" * (n * 37 % 9000)) for n in range(2000)]
    rows.append(b'{"id":"large","text":"' + b"y" * 3_000_000 + b'"}')
    body = b'{"upsert_rows":[' + b",".join(rows) + b"]}"
    steps = list(stamp(plan(body), now_ms=NOW_MS, shard_count=16, stamp_shard=True))
    assert all(sum(len(piece) for piece in step) <= STEP_BYTES for step in steps)
    assert b"".join(piece for step in steps for piece in step) == stamped(body)


def test_a_stamped_body_is_taken_once() -> None:
    made = stamp(
        plan(b'{"upsert_rows":[{"id":1}]}'), now_ms=NOW_MS, shard_count=16, stamp_shard=True
    )
    made.whole()
    with pytest.raises(RuntimeError):
        made.whole()
    assert list(made) == []


def test_a_plan_keeps_its_body_from_changing_size() -> None:
    body = bytearray(b'{"upsert_rows":[{"id":1}]}')
    held = scan(body, False, 100)
    with pytest.raises(BufferError):
        body += b" "
    assert held.size == len(body)


def test_others_run_while_a_large_body_is_scanned() -> None:
    """The scan of 64 MiB takes several milliseconds, in which this thread must get its turn."""
    body = b'{"upsert_rows":[{"id":1,"text":"' + b"x" * (64 << 20) + b'"}]}'
    for _ in range(20):
        span: list[float] = []

        def work(span: list[float] = span) -> None:
            span.append(time.perf_counter())
            scan(body, False, 100)
            span.append(time.perf_counter())

        thread = threading.Thread(target=work)
        thread.start()
        turns = []
        while thread.is_alive():
            turns.append(time.perf_counter())
        if any(span[0] < turn < span[1] for turn in turns):
            return
    raise AssertionError("no turn came while the scan ran")
