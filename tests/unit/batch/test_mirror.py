"""The rows that the document cache keeps of a write."""

import json
import random
import struct
from typing import Any

import pytest

from hevfast.batch import mirror
from hevfast.batch._scan import Mirror, digests, scan, xxh64
from hevfast.batch.faults import Key
from hevfast.batch.mirror import digest_of, rows_of
from tests.oracle.xxh64 import xxh64 as plain_xxh64

NOW_MS = 1_700_000_000_000
SYSTEM = ("id", "vector", "vectors")


def mirrored(body: bytes, row_bytes_max: int = 1 << 20) -> list[tuple[Key, bytes, Any]]:
    """Give (operation, id text, attributes or None) of each row."""
    plan = scan(body, False, 1 << 20)
    found = []
    for op, rows in Mirror(plan, NOW_MS, 16, True, row_bytes_max):
        for digest, text, row in rows:
            assert digest == digest_of(text)
            found.append((Key(op), text, None if row is None else json.loads(row)))
    return found


def expected_of(body: dict[str, Any]) -> list[tuple[Key, bytes, Any]]:
    """The same from the decoded body, the long way round."""
    found = []
    for key, value in body.items():
        op = Key[key.upper()]
        if op == Key.DELETES:
            rows = [{"id": each} for each in value]
        elif op in (Key.UPSERT_COLUMNS, Key.PATCH_COLUMNS):
            rows = [
                {name: column[n] for name, column in value.items()} for n in range(len(value["id"]))
            ]
        else:
            rows = value
        for row in rows:
            text = str(row["id"]).encode()
            kept = {
                name: each
                for name, each in row.items()
                if name not in SYSTEM
                and not (each is None and op in (Key.UPSERT_ROWS, Key.UPSERT_COLUMNS))
            }
            kept |= {"_hevlayer_upserted_at": NOW_MS, "_hevlayer_shard": plain_xxh64(text) % 16}
            found.append((op, text, None if op == Key.DELETES else kept))
    return found


def by_digest(rows: list[tuple[Key, bytes, Any]]) -> list[tuple[Key, bytes, Any]]:
    """Put rows in an order of their own; those of one id keep theirs."""
    return sorted(rows, key=lambda row: (row[0], digest_of(row[1]), row[1]))


def drawn_value(rng: random.Random, depth: int = 0) -> Any:
    kinds = [None, True, False, 0, -1.5, 1e-7, 2**64 - 1, "", 'k"\\elp', "é\u2028", "x" * 70]
    if depth < 2 and rng.random() < 0.4:
        if rng.random() < 0.5:
            return [drawn_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        return {f"k{n}": drawn_value(rng, depth + 1) for n in range(rng.randrange(3))}
    return rng.choice(kinds)


def drawn_id(rng: random.Random) -> Any:
    return rng.choice([rng.randrange(2**64), f"id-{rng.randrange(99)}", 'q"uo\\te', "é", ""])


def drawn_body(rng: random.Random) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in rng.sample(["upsert_rows", "patch_rows", "upsert_columns", "patch_columns"], 2):
        count = rng.randrange(1, 5)
        rows = []
        for _ in range(count):
            row = {"id": drawn_id(rng), "a": drawn_value(rng), "b c": drawn_value(rng)}
            if name.startswith("upsert"):
                row["vector"] = [0.5, 1]
            rows.append(dict(rng.sample(sorted(row.items()), len(row))))
        if name.endswith("columns"):
            body[name] = {key: [row[key] for row in rows] for key in rows[0]}
        else:
            body[name] = rows
    body["deletes"] = [drawn_id(rng) for _ in range(rng.randrange(3))]
    return body


@pytest.mark.parametrize("seed", range(300))
def test_rows_are_those_of_the_decoded_body(seed: int) -> None:
    rng = random.Random(seed)
    body = drawn_body(rng)
    indent = rng.choice([None, 2])
    text = json.dumps(body, indent=indent, ensure_ascii=rng.random() < 0.5)
    found = mirrored(text.encode())
    assert by_digest(found) == by_digest(expected_of(body))
    for op in (Key.UPSERT_ROWS, Key.PATCH_ROWS, Key.DELETES):
        order = [digest_of(text) for each, text, _ in found if each == op]
        assert order == sorted(order)


def test_spelling_of_values_is_kept() -> None:
    plan = scan(b'{"upsert_rows":[{"id":1,"a" : 1e-7,"b":"\\u00e9"}]}', False, 10)
    ((_, rows),) = Mirror(plan, NOW_MS, 16, False, 1 << 20)
    assert [each[1:] for each in rows] == [
        (b"1", b'{"a":1e-7,"b":"\\u00e9","_hevlayer_upserted_at":1700000000000}')
    ]


def test_rows_over_the_bound_are_not_kept() -> None:
    body = b'{"upsert_rows":[{"id":1,"a":"%s"},{"id":2}]}' % (b"x" * 500)
    assert {text: row is None for _, text, row in mirrored(body, 300)} == {b"1": True, b"2": False}


def test_parts_are_bounded() -> None:
    body = b'{"deletes":[' + b",".join(b"%d" % n for n in range(2500)) + b"]}"
    parts = [len(rows) for _, rows in Mirror(scan(body, False, 1 << 20), NOW_MS, 16, True, 100)]
    assert parts == [1000, 1000, 500]


@pytest.mark.parametrize("count", [0, 1, 2, 255, 1000])
def test_digests_are_sorted_and_unique(count: int) -> None:
    ids = [random.Random(n).choice([n, f"a{n % 50}"]) for n in range(count)]
    plan = scan(json.dumps({"deletes": ids}).encode(), False, 1 << 20)
    packed = digests(plan)
    found = list(struct.unpack(f"<{len(packed) // 4}I", packed))
    assert found == sorted({xxh64(str(each).encode()) & 0xFFFFFFFF for each in ids})


def test_rows_beyond_the_bytes_of_one_write_are_only_taken_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{"id": n, "t": "x" * 50} for n in range(2500)]
    plan = scan(json.dumps({"upsert_rows": rows}).encode(), False, 1 << 20)
    parts = list(rows_of(plan, now_ms=NOW_MS, shard_count=16, stamp_shard=True))
    size = sum(len(row) for _, part in parts for _, _, row in part if row is not None)
    assert [len(part) for _, part in parts] == [1000, 1000, 500]

    monkeypatch.setattr(mirror, "WRITE_BYTES_MAX", size - 1)
    bounded = list(rows_of(plan, now_ms=NOW_MS, shard_count=16, stamp_shard=True))
    assert bounded[:2] == parts[:2]
    assert bounded[2] == (parts[2][0], [(digest, text, None) for digest, text, _ in parts[2][1]])

    monkeypatch.setattr(mirror, "WRITE_BYTES_MAX", size)
    assert list(rows_of(plan, now_ms=NOW_MS, shard_count=16, stamp_shard=True)) == parts


@pytest.mark.parametrize("key", ["upsert_rows", "patch_rows"])
@pytest.mark.parametrize("size", [64, 1024, 1025, 70_000])
def test_rows_whose_ids_no_store_takes_are_not_kept(key: str, size: int) -> None:
    body = json.dumps({key: [{"id": "x" * size, "t": 1}]}).encode()
    ((_, text, row),) = mirrored(body)
    assert (text, row is not None) == (b"x" * size, size <= 1024)
