"""What is kept of a pipeline as a whole: its data, the end of its line, and its counts."""

from typing import Final, NamedTuple

import lmdb
import msgspec

from hevfast.pipelines.lmdb_keys import NUMBER_BYTES, number_key
from hevfast.pipelines.model import INDEXED, STANDARD_STAGES, Document, Pipeline
from hevfast.pipelines.store import RATE_WINDOW_S, REASONS_MAX, STAGES_MAX, TooManyStagesError

# What reasons beyond REASONS_MAX are counted as.
OTHER: Final = "other"


class Kept(NamedTuple):
    """One document's record."""

    text: str
    document: Document


class Book(msgspec.Struct, array_like=True):
    """One record a pipeline, read and written at most once in a transaction.

    Counts are changed in the transaction that changes a document, so they are exact always.
    """

    pipeline: Pipeline
    number: int
    # Where the next document stands in the line.
    position: int = 0
    # Documents by stage, by the reason of their failure, and by the stage that leases return to.
    stages: dict[str, int] = {}
    reasons: dict[str, int] = {}
    origins: dict[str, int] = {}
    # Whether claims by prefix are made, so that names are kept.
    named: bool = False
    # Documents indexed in each of the last seconds, and the last second's number.
    rates: list[int] = []
    rated_s: int = 0

    def next_position(self) -> int:
        self.position += 1
        return self.position

    def count(self, before: Document | None, after: Document, now_ms: int) -> None:
        """Note a document's change."""
        if before is not None:
            _less(self.stages, before.stage)
            if before.reason:
                _less(self.reasons, before.reason)
            if before.lease is not None:
                _less(self.origins, before.lease.origin)
        _more(self.stages, after.stage)
        if after.reason:
            _more(self.reasons, after.reason)
        if after.lease is not None:
            _more(self.origins, after.lease.origin)
        if after.stage == INDEXED and (before is None or before.stage != INDEXED):
            self._turn(now_ms // 1000)
            self.rates[self.rated_s % RATE_WINDOW_S] += 1

    def admit(self, stage: str) -> None:
        """Refuse a stage that would be one too many.

        A stage that leases return to is in use although no document may be in it.

        Raises: TooManyStagesError.
        """
        if stage in STANDARD_STAGES or stage in self.stages or stage in self.origins:
            return
        if len({*self.stages, *self.origins}.difference(STANDARD_STAGES)) >= STAGES_MAX:
            raise TooManyStagesError

    def reason(self, reason: str) -> str:
        """Give what a reason is counted as; the document keeps that, so that it is taken off."""
        if not reason or reason in self.reasons or len(self.reasons) < REASONS_MAX:
            return reason
        return OTHER

    def indexed(self, now_ms: int) -> int:
        """Give the documents indexed in the last RATE_WINDOW_S seconds."""
        self._turn(now_ms // 1000)
        return sum(self.rates)

    def _turn(self, now_s: int) -> None:
        """Empty the cells of the seconds since the last one."""
        if not self.rates:
            self.rates, self.rated_s = [0] * RATE_WINDOW_S, now_s
        for second in range(max(self.rated_s + 1, now_s - RATE_WINDOW_S + 1), now_s + 1):
            self.rates[second % RATE_WINDOW_S] = 0
        self.rated_s = max(self.rated_s, now_s)


def _more(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _less(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]


_encode = msgspec.msgpack.Encoder().encode
_book = msgspec.msgpack.Decoder(Book)
_kept = msgspec.msgpack.Decoder(Kept)


def packed_book(book: Book) -> bytes:
    """Spell a book; its number first, for those who need no more."""
    return number_key(book.number) + _encode(book)


def book_of(record: bytes) -> Book:
    """Read a book.

    Raises: lmdb.CorruptedError, as LMDB does for what it finds itself.
    """
    try:
        return _book.decode(memoryview(record)[NUMBER_BYTES:])
    except msgspec.MsgspecError as error:
        raise lmdb.CorruptedError(f"a pipeline's record: {error}") from error


def book_number(record: bytes) -> bytes:
    return record[:NUMBER_BYTES]


def packed_kept(kept: Kept) -> bytes:
    return _encode(kept)


def kept_of(record: bytes) -> Kept:
    """Read a document.

    Raises: lmdb.CorruptedError.
    """
    try:
        return _kept.decode(record)
    except msgspec.MsgspecError as error:
        raise lmdb.CorruptedError(f"a document's record: {error}") from error
