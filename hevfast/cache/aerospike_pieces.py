"""Takes in the rows of a write some at a time: one of many rows is never held whole."""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from hevfast.cache.aerospike_documents import MirroredRow
from hevfast.cache.keys import Keys
from hevfast.cache.rows import Kind
from hevfast.cache.store import Part

# Rows and bytes of a piece: some calls of the client, and a millisecond or two of the loop.
PIECE_ROWS_MAX: Final = 400
PIECE_BYTES_MAX: Final = 4 * 1024 * 1024


class Piece(NamedTuple):
    """Some rows in the order they are told, one kind a row; empty if a write has none."""

    kinds: bytes
    rows: list[MirroredRow]
    bytes: int
    last: bool


def pieces_of(parts: Iterable[Part]) -> Iterator[Piece]:
    """Cut parts into pieces; one at least."""
    kinds, rows, size = bytearray(), list[MirroredRow](), 0
    for kind, part in parts:
        for row in part:
            row_bytes = 0 if row[2] is None else len(row[2])
            if rows and (len(rows) == PIECE_ROWS_MAX or size + row_bytes > PIECE_BYTES_MAX):
                yield Piece(bytes(kinds), rows, size, False)
                kinds, rows, size = bytearray(), [], 0
            kinds.append(kind)
            rows.append(row)
            size += row_bytes
    yield Piece(bytes(kinds), rows, size, True)


class Roll:
    """The rows that begin was told of, and which of them have been told since."""

    __slots__ = ("_announced", "_told")

    def __init__(self, announced: Keys) -> None:
        # Sorted, each once.
        self._announced = announced.view()
        self._told = bytearray(len(announced))

    def call(self, rows: Sequence[MirroredRow], kinds: bytes) -> tuple[Keys, bytes] | None:
        """Tick off rows; give their keys and kinds, or None if begin was not told of one of them.

        A row that was ticked off before, in another piece, is unstated. Rows of one digest in one
        piece keep their kinds.
        """
        numbers = _numbers(rows)
        announced, told, stated = self._announced, self._told, bytearray(kinds)
        fresh = []
        for row, number in enumerate(numbers):
            at = bisect_left(announced, number)
            if at == len(told) or announced[at] != number:
                return None
            if told[at]:
                stated[row] = Kind.UNSTATED
            else:
                fresh.append(at)
        for at in fresh:
            told[at] = 1
        return Keys(numbers.tobytes()), bytes(stated)

    def silent(self) -> Keys:
        """Give the rows that were never told of."""
        if 0 not in self._told:
            return Keys(b"")
        return Keys.of(
            number for number, told in zip(self._announced, self._told, strict=True) if not told
        )


def digests_of(piece: Piece, others: Iterable[Piece]) -> Iterator[int]:
    """Give the digests of the rows of a piece, and of those that come after it."""
    for each in chain((piece,), others):
        yield from _numbers(each.rows)


def _numbers(rows: Iterable[MirroredRow]) -> "array[int]":
    numbers = array("I", b"".join([digest for digest, _, _ in rows]))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
