"""What a body that is refused is told, and what a plan of a good one holds."""

import re
from pathlib import Path
from typing import Any

import pytest

from hevfast.batch.faults import Key, Kind
from hevfast.batch.plan import plan_write
from hevfast.core.errors import GatewayError
from hevfast.core.limits import SCAN_INLINE_BYTES_MAX

pytestmark = pytest.mark.anyio

HEADER = Path(__file__).parents[3] / "ext" / "scan.h"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def refused(body: bytes, **options: Any) -> tuple[int, str, str]:
    with pytest.raises(GatewayError) as caught:
        await plan_write(body, overwrite=options.get("overwrite", False))
    return caught.value.status, caught.value.code, caught.value.detail


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not valid JSON: the body ends too early at byte 1"),
        (b"\xef\xbb\xbf{}", "the body is not valid JSON: unexpected byte 0xef at byte 0"),
        (b'{"deletes":[1]}x', "the body is not valid JSON: unexpected byte 0x78 at byte 15"),
        (
            b'{"schema":tru}',
            "the body is not valid JSON: a literal that is not true, false or null at byte 10",
        ),
        (b'{"schema":01}', "the body is not valid JSON: a malformed number at byte 10"),
        (
            b'{"a":"\x01"}',
            "the body is not valid JSON: an unescaped control character 0x01 in a string at byte 6",
        ),
        (b"[" * 513, "the body is not valid JSON: nested deeper than 512 levels at byte 512"),
    ],
)
async def test_what_is_not_json_is_a_bad_request(body: bytes, message: str) -> None:
    assert await refused(body) == (400, "bad_request", message)


# Rows V1 to V13 of the contract, and its odd bodies.
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"upserts":[]}',
            "`upserts` was removed from the API; send `upsert_rows` or `patch_rows`",
        ),
        (
            b'{"patches":[]}',
            "`patches` was removed from the API; send `upsert_rows` or `patch_rows`",
        ),
        (b"", "the body is empty; "),
        (b" \n", "the body is empty; "),
        (b"{}", "no write operation found; "),
        (b'{"foo":1}', "no write operation found; "),
        (b'{"distance_metric":"cosine_distance"}', "no write operation found; "),
        (b"[]", "the body is sequence, not an object with one of: "),
        (b"1", "the body is number, not an object with one of: "),
        (b"null", "the body is null, not an object with one of: "),
        (b'{"upsert_rows":{}}', "upsert_rows: invalid type: map, expected a sequence"),
        (b'{"upsert_rows":[1]}', "upsert_rows[0]: invalid type: number, expected a map"),
        (b'{"patch_rows":[{"id":1},{}]}', "patch_rows[1]: the row has no `id`"),
        (
            b'{"upsert_rows":[{"id":null}]}',
            "upsert_rows[0]: an id is null, expected a string or a number",
        ),
        (b'{"upsert_columns":[]}', "upsert_columns: invalid type: sequence, expected a map"),
        (b'{"upsert_columns":{"a":[1]}}', "upsert_columns: no `id` column"),
        (
            b'{"upsert_columns":{"id":1}}',
            "upsert_columns: invalid type: number, expected a sequence: ",
        ),
        (b'{"upsert_columns":{"id":[]}}', "upsert_columns: the `id` column is empty"),
        (
            b'{"patch_columns":{"id":[1],"a":[1,2]}}',
            "patch_columns: a column (at byte 31) is not as long as ",
        ),
        (b'{"upsert_rows":[{"id":1,"blobs":{}}]}', "upsert_rows[0]: `blobs` is not supported: "),
        (b'{"patch_rows":[{"id":1,"vector":[1]}]}', "patch_rows[0]: `vector` cannot be patched; "),
        (
            b'{"patch_by_filter":{"patch":{"vectors":1}}}',
            "patch_by_filter: `vectors` cannot be patched; ",
        ),
        (
            b'{"upsert_rows":[{"id":1,"vector":[]}]}',
            "upsert_rows[0]: a vector is a non-empty array of ",
        ),
        (
            b'{"upsert_rows":[{"id":1,"vectors":[1]}]}',
            "upsert_rows[0]: a vector is a non-empty array of ",
        ),
        (b'{"deletes":1}', "deletes: invalid type: number, expected a sequence"),
        (b'{"deletes":[1,[]]}', "deletes[1]: an id is sequence, expected a string or a number"),
        (
            b'{"upsert_rows":[{"id":1},{"id":2,"_hevlayer_x":1}]}',
            "upsert_rows[1]: attribute `_hevlayer_x` is reserved: ",
        ),
        (
            b'{"upsert_rows":[{"id":1,"\\u005fhevlayer_x":1}]}',
            "upsert_rows[0]: attribute `\\u005fhevlayer_x` is reserved: ",
        ),
        (
            b'{"patch_by_filter":{"patch":{"_hevlayer_shard":1}}}',
            "patch_by_filter: attribute `_hevlayer_shard` is reserved: ",
        ),
        (b'{"patch_by_filter":{"filters":[]}}', "patch_by_filter: no `patch` object"),
        (b'{"patch_by_filter":{"patch":1}}', "patch_by_filter: `patch` is number, expected a map"),
        (b'{"deletes":[],"deletes":[]}', "duplicate key `deletes`; send it once"),
        (
            b'{"deletes":["_hevlayer:namespace_meta"]}',
            "deletes[0]: ids beginning with `_hevlayer:` are reserved ",
        ),
    ],
)
async def test_what_is_no_write_is_a_validation_error(body: bytes, message: str) -> None:
    status, code, found = await refused(body)
    assert (status, code) == (422, "validation_error")
    assert found.startswith(message)


async def test_long_names_are_cut_in_messages() -> None:
    name = b"_hevlayer_" + b"x" * 100_000
    _, _, found = await refused(b'{"upsert_rows":[{"id":1,"' + name + b'":1}]}')
    assert len(found) < 400


@pytest.mark.parametrize(
    "declared", ['"int"', '{"type":"int"}', '{"type":"int","filterable":true}']
)
async def test_schema_may_repeat_the_stamps_own_type(declared: str) -> None:
    body = f'{{"schema":{{"_hevlayer_upserted_at":{declared},"a":"uuid"}}}}'.encode()
    assert (await plan_write(body, overwrite=False)).schema_reserved


@pytest.mark.parametrize(
    "entry",
    [
        '"_hevlayer_upserted_at":"string"',
        '"_hevlayer_shard":{"type":"int","filterable":false}',
        '"_hevlayer_x":"int"',
    ],
)
async def test_schema_of_other_reserved_names_is_refused(entry: str) -> None:
    status, code, found = await refused(f'{{"schema":{{{entry}}},"deletes":[1]}}'.encode())
    assert (status, code) == (422, "validation_error")
    assert found.startswith("schema: attribute `_hevlayer_")


@pytest.mark.parametrize(
    "body",
    [
        b'{"upsert_rows":[]}',
        b'{"deletes":[]}',
        b'{"schema":{"a":"uuid"}}',
        b'{"copy_from_namespace":"a"}',
        b'{"branch_from_namespace":{"source_namespace":"a"}}',
        b'{"delete_by_filter":["_hevlayer_shard","Eq",1]}',
        b'{"upsert_condition":["_hevlayer_upserted_at","Lt",5],"upsert_rows":[{"id":1}]}',
        b'{"upsert_rows":[{"id":1,"vector":null}],"unknown":{"_hevlayer_x":1}}',
        b'{"upsert_rows":[{"id":18446744073709551615,"a":1e-7}]}',
    ],
)
async def test_native_writes_are_let_through(body: bytes) -> None:
    await plan_write(body, overwrite=False)


async def test_large_bodies_are_planned_like_small_ones() -> None:
    row = b'{"id":1,"title":"kelp"}'
    count = SCAN_INLINE_BYTES_MAX // len(row) + 1
    plan = await plan_write(
        bytearray(b'{"upsert_rows":[' + b",".join([row] * count) + b"]}"), overwrite=False
    )
    assert plan.rows_count == count
    status, _, found = await refused(b'{"upsert_rows":[' + b",".join([row] * count) + b",{}]}")
    assert (status, found) == (422, f"upsert_rows[{count}]: the row has no `id`")


def test_kinds_and_keys_are_those_of_the_header() -> None:
    source = HEADER.read_text()
    kinds = {name: int(value) for name, value in re.findall(r"SCAN_(\w+) = (\d+),", source)}
    for kind in Kind:
        assert kinds[kind.name] == kind
    enumerated = re.search(r"enum scan_key \{(.*?)\}", source, re.S)
    assert enumerated
    names = re.findall(r"SCAN_(\w+),", enumerated.group(1))
    assert names[: len(Key)] == [key.name for key in Key]
    assert names[len(Key)] == "KNOWN_KEYS"
