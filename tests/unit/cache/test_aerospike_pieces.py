"""Rows are taken in some at a time, and every one of them is accounted for."""

import random
from collections.abc import Iterator

import pytest

from hevfast.cache import aerospike_pieces
from hevfast.cache.aerospike_pieces import Roll, digests_of, pieces_of
from hevfast.cache.keys import Keys
from hevfast.cache.rows import Kind
from hevfast.cache.store import Part

Row = tuple[bytes, bytes, bytes | None]


def row(number: int, size: int = 1) -> Row:
    return number.to_bytes(4, "big"), b"%d" % number, b"x" * size


def test_pieces_are_bounded_and_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aerospike_pieces, "PIECE_ROWS_MAX", 4)
    monkeypatch.setattr(aerospike_pieces, "PIECE_BYTES_MAX", 10)
    parts: list[Part] = [
        (Kind.UPSERT, [row(n) for n in range(6)]),
        (Kind.DELETE, [(b"\0\0\0\6", b"6", None)]),
        (Kind.UPSERT, [row(7, 9), row(8, 9), row(9, 100)]),
    ]
    pieces = list(pieces_of(parts))
    assert [[int(text) for _, text, _ in piece.rows] for piece in pieces] == [
        [0, 1, 2, 3],
        [4, 5, 6],
        [7],
        [8],
        [9],
    ]
    assert pieces[1].kinds == bytes([Kind.UPSERT, Kind.UPSERT, Kind.DELETE])
    assert [piece.bytes for piece in pieces] == [4, 2, 9, 9, 100]
    assert [piece.last for piece in pieces] == [False] * 4 + [True]


def test_write_of_no_rows_is_one_piece() -> None:
    assert list(pieces_of([])) == [(b"", [], 0, True)]


def test_pieces_are_cut_as_they_are_asked_for() -> None:
    told = []

    def lazily() -> Iterator[Part]:
        for n in range(3):
            told.append(n)
            yield Kind.UPSERT, [row(1000 * n + i) for i in range(aerospike_pieces.PIECE_ROWS_MAX)]

    pieces = pieces_of(lazily())
    next(pieces)
    assert told == [0, 1]


@pytest.mark.parametrize("seed", range(50))
def test_roll_tells_strangers_repeated_and_silent_rows(seed: int) -> None:
    rng = random.Random(seed)
    announced = sorted(rng.sample(range(40), rng.randrange(1, 20)))
    roll, told = Roll(Keys.of(announced)), set[int]()
    for _ in range(5):
        numbers = [rng.choice(announced) for _ in range(rng.randrange(4))]
        stranger = rng.random() < 0.1
        if stranger:
            numbers.insert(rng.randrange(len(numbers) + 1), rng.choice([41, 2**32 - 1]))
        kinds = bytes(rng.choice([Kind.UPSERT, Kind.PATCH, Kind.DELETE]) for _ in numbers)
        called = roll.call([row(number) for number in numbers], kinds)
        if stranger:
            assert called is None
            continue
        assert called is not None
        assert list(called[0].view()) == numbers
        assert list(called[1]) == [
            Kind.UNSTATED if number in told else kind
            for number, kind in zip(numbers, kinds, strict=True)
        ]
        told.update(numbers)
        assert list(roll.silent().view()) == [n for n in announced if n not in told]


def test_digests_of_what_is_left_are_all_given() -> None:
    pieces = pieces_of([(Kind.UPSERT, [row(n) for n in range(1000)])])
    first = next(pieces)
    assert list(digests_of(first, pieces)) == list(range(1000))
