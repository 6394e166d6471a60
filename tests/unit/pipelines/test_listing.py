"""Bodies read in parts are read as they would be at once."""

import json
import random
from typing import Any

import msgspec
import pytest

from hevfast.core.errors import GatewayError
from hevfast.pipelines.listing import PART_BYTES, Listing


class Thing(msgspec.Struct):
    id: str


THINGS: Listing[Thing] = Listing("things", msgspec.json.Decoder(list[Thing]).decode, '"}]')


def read(body: bytes | bytearray) -> tuple[list[str], int, bytes]:
    reading = THINGS.read(body)
    parts = list(reading)
    return [thing.id for part in parts for thing in part], len(parts), reading.array


def thing(draw: random.Random, n: int) -> dict[str, Any]:
    """Give an object with all that could be mistaken for the end of one."""
    hostile = ['},{"id":"x"', '"},{"id"', "]},", "\\", '\\"', "é", "\x00", "{", "]}"]
    text = "".join(draw.choice(hostile) for _ in range(draw.randrange(400)))
    inner = [{"id": "inner", "text": text}, {"id": "inner", "deep": [{"id": text}]}]
    return {"id": f"{n}-{text[:3]}", "text": text, "things": inner[: draw.randrange(3)]}


@pytest.mark.parametrize("seed", range(12))
def test_parts_are_the_whole(seed: int) -> None:
    draw = random.Random(seed)
    things = [thing(draw, n) for n in range(draw.randrange(50, 900))]
    separators = draw.choice([(",", ":"), (", ", ": "), (" ,\r\n\t", " :")])
    array = json.dumps(things, separators=separators, ensure_ascii=draw.random() < 0.5).encode()
    lead = draw.choice([b'{"things":', b' \n{ "things" : ', b'{"before":{"things":1},"things":'])
    body = lead + array + draw.choice([b"}", b' , "after":[{"id":1}]}\n'])
    ids, parts, kept = read(draw.choice([bytes, bytearray])(body))
    assert ids == [each["id"] for each in things]
    assert kept == array
    if len(body) > 4 * PART_BYTES and b"before" not in lead:
        assert parts > 1


def test_large_body_comes_in_parts_of_bounded_size() -> None:
    things = [{"id": str(n), "text": "x" * 1000} for n in range(5000)]
    _, parts, _ = read(json.dumps({"things": things}).encode())
    assert parts >= 5000 * 1000 // (2 * PART_BYTES)


def test_one_very_large_object_is_read_all_the_same() -> None:
    things = [{"id": "a"}, {"id": "b", "text": "x" * 3_000_000}, {"id": "c", "text": "y" * 300_000}]
    body = json.dumps({"things": things}).encode()
    assert read(body)[0] == ["a", "b", "c"]


@pytest.mark.parametrize("at", [0, 2500, 4999])
@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        (b'{"id":1}', "validation_error"),
        (b"{}", "validation_error"),
        (b"1", "validation_error"),
        (b'{"id":"a"', "bad_request"),
        (b'{"id":"a"}}', "bad_request"),
        (b'{"id":"a","m":"\xff"}', "bad_request"),
        (b'{"id":"a","m":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "bad_request"),
        (b"", "bad_request"),
    ],
)
def test_faults_are_found_wherever_they_are(at: int, spoiled: bytes, code: str) -> None:
    things = [b'{"id":"%d","text":"%b"}' % (n, b"x" * 100) for n in range(5000)]
    things[at] = spoiled
    with pytest.raises(GatewayError) as caught:
        read(b'{"things":[' + b",".join(things) + b"]}")
    assert caught.value.code == code


@pytest.mark.parametrize("size", [1, 5000])
def test_body_with_an_open_end_is_refused(size: int) -> None:
    things = [b'{"id":"%d","text":"%b"}' % (n, b"x" * 100) for n in range(size)]
    for end in (b"", b"]", b"]}}", b"]}x", b",]}", b'],"a"}'):
        with pytest.raises(GatewayError) as caught:
            read(b'{"things":[' + b",".join(things) + end)
        assert caught.value.code == "bad_request"


def test_second_list_in_a_large_body_is_refused() -> None:
    things = json.dumps([{"id": str(n), "text": "x" * 100} for n in range(5000)]).encode()
    for second in (b"[]", b'[{"id":"other"}]', things):
        with pytest.raises(GatewayError) as caught:
            read(b'{"things":%b,"things":%b}' % (things, second))
        assert caught.value.code == "validation_error"
