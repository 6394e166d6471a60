"""The write route: what is stamped, what is refused, and what travels unchanged."""

import json
import re
import time

import pytest

from tests.fakes.client import AUTH
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import OK_BODY, Upstream

STAMP = "_hevlayer_upserted_at"
SHARD = "_hevlayer_shard"


def sent(upstream: Upstream) -> dict:  # type: ignore[type-arg]
    body: dict = json.loads(upstream.only.body)  # type: ignore[type-arg]
    return body


@pytest.mark.parametrize("operation", ["upsert_rows", "patch_rows"])
def test_every_row_gets_the_same_stamp(
    gateway: RunningGateway, upstream: Upstream, operation: str
) -> None:
    rows = [{"id": 1, "a": "x"}, {"id": "doc-1"}, {"a": None, "id": 42}]
    before = time.time_ns() // 1_000_000
    reply = gateway.write(json.dumps({operation: rows}).encode())
    after = time.time_ns() // 1_000_000
    assert (reply.status, reply.body) == (200, OK_BODY)
    got = sent(upstream)[operation]
    stamps = {row.pop(STAMP) for row in got}
    assert len(stamps) == 1
    assert before <= stamps.pop() <= after
    assert [row.pop(SHARD) for row in got] == [4, 10, 9]
    assert got == rows


@pytest.mark.parametrize("operation", ["upsert_columns", "patch_columns"])
def test_columns_get_a_column_of_stamps(
    gateway: RunningGateway, upstream: Upstream, operation: str
) -> None:
    columns = {"id": [1, "doc-1", 42], "a": ["x", None, "y"]}
    assert gateway.write(json.dumps({operation: columns}).encode()).status == 200
    got = sent(upstream)[operation]
    stamps = got.pop(STAMP)
    assert len(stamps) == 3
    assert len(set(stamps)) == 1
    assert got.pop(SHARD) == [4, 10, 9]
    assert got == columns


def test_patch_by_filter_is_stamped_without_a_shard(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    body = {"patch_by_filter": {"filters": ["a", "Eq", 1], "patch": {"a": 2}}}
    assert gateway.write(json.dumps(body).encode()).status == 200
    patch = sent(upstream)["patch_by_filter"]["patch"]
    assert isinstance(patch.pop(STAMP), int)
    assert patch == {"a": 2}


def test_all_operations_of_a_request_share_one_stamp(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    body = {
        "upsert_rows": [{"id": 1}],
        "patch_rows": [{"id": 2}],
        "upsert_columns": {"id": [3]},
        "patch_columns": {"id": [4]},
        "patch_by_filter": {"filters": ["a", "Eq", 1], "patch": {"a": 2}},
        "deletes": [5],
    }
    assert gateway.write(json.dumps(body).encode()).status == 200
    stamps = re.findall(rb'"_hevlayer_upserted_at":\s*\[?(\d+)', upstream.only.body)
    assert len(stamps) == 5
    assert len(set(stamps)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"deletes":[1,"a"]}',
        b'{ "delete_by_filter" : ["a","Eq",1] }',
        b'{"copy_from_namespace":"other"}',
        b'{"copy_from_namespace":{"source_namespace":"other"}}',
        b'{"branch_from_namespace":"other"}',
        b'{"schema":{"a":"string"},"distance_metric":"cosine_distance"}',
        b'{"upsert_rows":[]}',
        b'\t{"schema":{"upsert_rows":"string"}}\r\n',
    ],
)
def test_writes_without_rows_travel_byte_for_byte(
    gateway: RunningGateway, upstream: Upstream, body: bytes
) -> None:
    assert gateway.write(body).status == 200
    assert upstream.only.body == body


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"foo":1}',
        b"[]",
        b"null",
        b"1",
        b'{"upserts":[]}',
        b'{"patches":[]}',
        b'{"upserts":[],"upsert_rows":[{"id":1}]}',
        b'{"upsert_rows":[{"id":1,"_hevlayer_x":1}]}',
        b'{"upsert_rows":[{"id":1,"_hevlayer_upserted_at":1}]}',
        b'{"upsert_rows":[{"id":1,"\\u005fhevlayer_x":1}]}',
        b'{"patch_rows":[{"id":1,"_hevlayer_shard":1}]}',
        b'{"upsert_columns":{"id":[1],"_hevlayer_x":[1]}}',
        b'{"patch_by_filter":{"filters":["a","Eq",1],"patch":{"_hevlayer_x":1}}}',
        b'{"upsert_rows":[{"a":1}]}',
        b'{"upsert_rows":{"id":1}}',
        b'{"distance_metric":"cosine_distance"}',
    ],
)
def test_refused_write_is_a_422_and_upstream_sees_nothing(
    gateway: RunningGateway, upstream: Upstream, body: bytes
) -> None:
    reply = gateway.write(body)
    assert reply.status == 422
    assert reply.json["error"] == "validation_error"
    assert reply.json["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("body", [b"{", b"{]", b'{"upsert_rows":[{"id":1}]', b"\xff", b"{} {}"])
def test_broken_json_is_a_400_and_upstream_sees_nothing(
    gateway: RunningGateway, upstream: Upstream, body: bytes
) -> None:
    reply = gateway.write(body)
    assert reply.status == 400
    assert reply.json["error"] == "bad_request"
    assert upstream.requests == []


def test_bytes_survive_apart_from_the_stamps(gateway: RunningGateway, upstream: Upstream) -> None:
    rows = (
        b'{"upsert_rows":[{"id":18446744073709551615,"f":1e-7,"g":2.0,"h":-0,"b":"\\u00e9\xc3\xa9",'
        b'"z":1,"a":2,"v":[1.10,2E+3]} , { "id" : "q\\"}" }],\n "distance_metric":"x","new_key":{}}'
    )
    assert gateway.write(rows).status == 200
    stamps = rb'"_hevlayer_(?:upserted_at|shard)": ?\d+,'
    assert len(re.findall(stamps, upstream.only.body)) == 4
    assert re.sub(stamps, b"", upstream.only.body) == rows
    assert upstream.only.values(b"content-length") == [b"%d" % upstream.only.body_size]


def test_large_write_is_stamped_row_by_row(gateway: RunningGateway, upstream: Upstream) -> None:
    rows = [{"id": n, "text": "x" * 300} for n in range(10_000)]
    assert gateway.write(json.dumps({"upsert_rows": rows}).encode()).status == 200
    got = sent(upstream)["upsert_rows"]
    assert len({row[STAMP] for row in got}) == 1
    assert [row["id"] for row in got] == list(range(10_000))
    assert upstream.only.values(b"content-length") == [b"%d" % upstream.only.body_size]


def test_stamps_never_go_backwards(gateway: RunningGateway, upstream: Upstream) -> None:
    for _ in range(20):
        gateway.write(b'{"upsert_rows":[{"id":1}]}', [AUTH])
    stamps = [json.loads(r.body)["upsert_rows"][0][STAMP] for r in upstream.requests]
    assert len(stamps) == 20
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("name", ["a", "A-Z_0.9", "n" * 128, "...", "async", "query"])
def test_legal_namespace_names(gateway: RunningGateway, upstream: Upstream, name: str) -> None:
    assert gateway.write(b'{"deletes":[1]}', namespace=name).status == 200
    assert upstream.only.target == f"/v2/namespaces/{name}".encode()
