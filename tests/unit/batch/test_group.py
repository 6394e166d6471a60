"""Which writes may go as one, the body they go as, and how the answer is divided."""

import json

import pytest

from hevfast.batch._scan import scan
from hevfast.batch.group import Member, body_of, is_joinable, member_of, shares_of
from hevfast.batch.stamp import stamp

NOW_MS = 1_700_000_000_000


def member(body: bytes, *, overwrite: bool = False) -> Member | None:
    plan = scan(body, overwrite, 1 << 22)
    stamped = stamp(plan, now_ms=NOW_MS, shard_count=16, stamp_shard=True)
    return member_of(plan, stamped) if is_joinable(plan, stamped) else None


def members(*bodies: bytes) -> list[Member]:
    made = [member(body) for body in bodies]
    assert None not in made
    return [each for each in made if each is not None]


@pytest.mark.parametrize(
    "body",
    [
        b'{"upsert_rows":[{"id":1}]}',
        b' {\n"upsert_rows" : [\t{"id":1} , {"id":"1]"} ]\n}\n',
        b'{"upsert\\u005frows":[{"id":1}]}',
        b'{"distance_metric":"x","schema":{"upsert_rows":"int"},"upsert_rows":[{"id":1}]}',
        b'{"upsert_rows":[{"id":1}],"disable_backpressure":true,"encryption":{},"sharding":{}}',
    ],
)
def test_plain_upserts_may_go_together(body: bytes) -> None:
    [made] = members(body)
    rows = made.body[made.rows_start : made.rows_end]
    assert json.loads(b"[%b]" % rows) == json.loads(made.body)["upsert_rows"]


@pytest.mark.parametrize(
    "rest",
    [
        b'"deletes":[2]',
        b'"upsert_columns":{"id":[2]}',
        b'"patch_rows":[{"id":2}]',
        b'"patch_columns":{"id":[2]}',
        b'"delete_by_filter":[]',
        b'"patch_by_filter":{"filters":[],"patch":{}}',
        b'"copy_from_namespace":"x"',
        b'"branch_from_namespace":"x"',
        b'"create_namespace":true',
        b'"upsert_condition":[]',
        b'"patch_condition":[]',
        b'"delete_condition":[]',
        b'"delete_by_filter_allow_partial":true',
        b'"patch_by_filter_allow_partial":true',
        b'"return_affected_ids":false',
        b'"schema":{"a":{"drop":true}}',
        b'"schema":{"a":"%b"}' % (b"x" * 5000),
        b'"unheard_of":1',
        b'"\\u0064eletes2":1',
        b'"":1',
    ],
)
def test_all_others_go_alone(rest: bytes) -> None:
    assert member(b'{"upsert_rows":[{"id":1}]}') is not None
    assert member(b'{"upsert_rows":[{"id":1}],%b}' % rest) is None
    assert member(b'{%b,"upsert_rows":[{"id":1}]}' % rest) is None


@pytest.mark.parametrize(
    "rows",
    [
        b"",
        b'{"id":1},{"id":"1"}',
        b'{"id":1,"t":"%b"}' % (b"x" * 65_536),
        b",".join(b'{"id":%d}' % n for n in range(1001)),
    ],
)
def test_no_row_a_row_twice_and_too_much_go_alone(rows: bytes) -> None:
    assert member(b'{"upsert_rows":[%b]}' % rows) is None


def test_stamps_that_are_replaced_stay_in_their_rows() -> None:
    body = b'{"upsert_rows":[{"_hevlayer_shard":"long ago","id":1,"_hevlayer_upserted_at":0}]}'
    made = member(body, overwrite=True)
    assert made is not None
    assert body_of([made]) == made.body
    [row] = json.loads(made.body)["upsert_rows"]
    assert row["_hevlayer_upserted_at"] == NOW_MS


def test_an_answer_is_divided_by_rows_and_billed_once() -> None:
    answer = (
        b'{ "status":"OK", "rows_affected" : 4,"rows_upserted":4, "message":"4 rows",'
        b'"billing":{"billable_logical_bytes_written": 1.0e3},"performance":{"server_total_ms":9}}'
    )
    shared = b',"message":"4 rows","billing":%b,"performance":{"server_total_ms":9}}'
    rows = [b'{"id":%d}' % n for n in range(4)]
    made = members(*(b'{"upsert_rows":[%b]}' % each for each in
                     (rows[0], b",".join(rows[1:3]), rows[3])))  # fmt: skip
    told = shares_of(answer, made)
    begins = [b'{"status":"OK","rows_affected":%d,"rows_upserted":%d' % (n, n) for n in (1, 2, 1)]
    bills = [b'{"billable_logical_bytes_written": 1.0e3}'] + [
        b'{"billable_logical_bytes_written":0}'
    ] * 2
    assert told == [begin + shared % bill for begin, bill in zip(begins, bills, strict=True)]


@pytest.mark.parametrize("answer", [b"", b"[]", b"nonsense", b'{"a":', b'{"a":"\0"}', b"\x1f\x8b"])
def test_an_answer_that_cannot_be_read_goes_to_all_as_it_is(answer: bytes) -> None:
    made = members(b'{"upsert_rows":[{"id":1}]}', b'{"upsert_rows":[{"id":2}]}')
    assert shares_of(answer, made) == [answer, answer]


def test_an_answer_gets_no_member_that_upstream_did_not_send() -> None:
    made = members(b'{"upsert_rows":[{"id":1}]}', b'{"upsert_rows":[{"id":2}]}')
    assert shares_of(b'{"token":"t"}', made) == [b'{"token":"t"}'] * 2
