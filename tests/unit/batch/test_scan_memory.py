"""The scanner reads its body and nothing beside it: forbidden pages lie around."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.native.guarded import GuardedMemory
from tests.native.scanner import Scanner, Stamping, both_forms
from tests.oracle import Plan, plan, stamp, xxh64

LENGTHS = range(301)
MEMORY = GuardedMemory()

OPENINGS = {
    "numbers": b'{"upsert_rows":[{"id":1,"vector":[' + b"0.125,-7e2," * 40,
    "digits": b'{"deletes":[' + b"1234567890" * 40,
    "number outside of arrays": b'{"schema":' + b"9" * 400,
    "base64": b'{"upsert_rows":[{"vector":"' + b"AACAPwAAAEBA" * 40,
    "backslashes": b'{"upsert_rows":[{"id":"' + rb"\\" * 200,
    "escaped quotes": b'{"upsert_rows":[{"\\"' + rb"\"" * 200,
    "code units": b'{"upsert_rows":[{"id":"' + rb"\ud83d\ude00" * 40,
    "two-byte text": b'{"deletes":["' + b"\xc3\xa9" * 200,
    "three-byte text": b'{"deletes":["a' + b"\xe2\x82\xac" * 150,
    "four-byte text": b'{"deletes":["' + b"\xf0\x9f\x98\x80" * 100,
    "white space": b" \n\t\r" * 10 + b'{"upsert_rows":' + b" \n" * 200,
    "brackets": b'{"schema":' + b"[" * 400,
    "braces": b'{"schema":' + b'{"a":' * 100,
    "rows": b'{"upsert_rows":[' + b'{"id":"a","_hevlayer_shard":[true,null],"b":false},' * 10,
    "columns": b'{"upsert_columns":{"id":[' + b'"x",1,' * 60,
    "long key": b'{"' + b"k" * 400,
    "white space alone": b" " * 400,
}

# Good bodies of any length from their shortest one on.
WHOLE_BODIES = {
    "numbers": (b'{"upsert_rows":[{"id":1,"vector":[', b"1", b"]}]}"),
    "commas": (b'{"deletes":[1', b",1", b"]}"),
    "id": (b'{"deletes":["', b"x", b'"]}'),
    "text of two bytes": (b'{"schema":"', b"\xc3\xa9", b'"}'),
    "white space": (b'{"schema":1', b" ", b"}"),
    "white space behind": (b'{"patch_rows":[{"id":"a"}]}', b" ", b""),
    "key": (b'{"schema":1,"', b"k", b'":2}'),
}


def check_guarded(scanner: Scanner, body: bytes) -> None:
    expected = plan(body, overwrite=True)
    for place in (MEMORY.at_end, MEMORY.at_start):
        outcome = scanner.plan_at(place(body), len(body), overwrite=True)
        assert outcome == expected, body


@pytest.mark.parametrize("scanner", both_forms(), ids=repr)
@pytest.mark.parametrize("opening", OPENINGS)
def test_body_cut_short_is_not_read_past_its_page(scanner: Scanner, opening: str) -> None:
    for size in LENGTHS:
        check_guarded(scanner, OPENINGS[opening][:size])


@pytest.mark.parametrize("scanner", both_forms(), ids=repr)
@pytest.mark.parametrize("name", WHOLE_BODIES)
def test_whole_body_is_scanned_and_stamped_within_its_page(scanner: Scanner, name: str) -> None:
    opening, filling, closing = WHOLE_BODIES[name]
    for count in range(1, 301 // len(filling)):
        body = opening + filling * count + closing
        check_guarded(scanner, body)
        good = plan(body)
        assert isinstance(good, Plan)
        for place in (MEMORY.at_end, MEMORY.at_start):
            for by_reference_min in (32, 2**40):
                stamping = Stamping(caps=(128,), by_reference_min=by_reference_min)
                stamped = scanner.stamped_at(place(body), len(body), stamping)
                assert stamped == stamp(body, good, stamping.now_ms, 16, True)


def test_id_is_hashed_within_its_page() -> None:
    scanner = Scanner(portable=True)
    for size in LENGTHS:
        data = bytes(at % 256 for at in range(size))
        for place in (MEMORY.at_end, MEMORY.at_start):
            assert scanner.xxh64_at(place(data), size) == xxh64(data)


@pytest.mark.parametrize("place", ["at_end(b'') ", "at_start(b'') - 1"])
def test_forbidden_page_ends_the_process_that_reads_it(place: str) -> None:
    program = (
        "import ctypes\n"
        "from tests.native.guarded import GuardedMemory\n"
        f"ctypes.string_at(GuardedMemory().{place}, 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == -signal.SIGSEGV
