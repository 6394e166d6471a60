"""Changes of one pipeline's documents within one transaction: the rules, and what finds documents.

Layout, each key behind the number of its pipeline. A position is given once, so it is a document's
number until it is staged again: `documents`: position → id and document; `ids`: id → position. One
that waits is in `line`: stage, position; one under a lease is in `leases` instead: end, position,
so a claim never meets it. `chunks` and `rows` (ids of the rows written last): by position.

Ids are in no order, and each one written costs a page of its own in a large pipeline. All else is
by position, so that the documents of one call lie side by side however many there are. For claims
by prefix there is `names`: stage, id → position of those in the line; it is written from the first
such claim of a pipeline on, and for what was there before a piece at a time (`unnamed`: how far).
"""

import functools
from collections.abc import Iterable
from typing import Final, NamedTuple

import lmdb

from hevfast.pipelines import lease as rules
from hevfast.pipelines.lmdb_book import Book, Kept, kept_of, packed_kept
from hevfast.pipelines.lmdb_keys import (
    ID_BYTES_IN_KEY,
    PLACE_BYTES,
    behind,
    id_key,
    number_key,
    place_key,
    stage_key,
)
from hevfast.pipelines.lmdb_pages import Pages
from hevfast.pipelines.model import INDEXED, PENDING, Document
from hevfast.pipelines.store import NOWHERE, Changed, Claimed, Move, Opened, Staging

# Lapsed leases undone at the start of one claim. If there are more, the next one finds them.
LAPSED_AT_ONCE: Final = 500

# Names looked at for one claim by prefix: the oldest of them are claimed. Where more begin with the
# prefix, the oldest of all may not be among them.
NAMES_AT_ONCE: Final = 10_000

# Documents in the line that a first claim by prefix writes the names of before it looks. The names
# of more are written by the upkeep, and until then a claim may find too few.
NAMED_AT_ONCE: Final = 10_000


class _Known(NamedTuple):
    """What is stored of an id."""

    text: str
    document: Document | None


class Step:
    """One pipeline in one transaction. Collects the documents' moves."""

    __slots__ = ("_book", "_number", "_pages", "lapsed", "moves", "now_ms")

    def __init__(self, pages: Pages, book: Book) -> None:
        self._pages = pages
        self._book = book
        self._number = number_key(book.number)
        self.now_ms = pages.now_ms
        self.moves: list[Move] = []
        # Lapsed leases undone on the way.
        self.lapsed = 0

    @property
    def pipeline(self) -> str:
        return self._book.pipeline.id

    # Deeds

    def stage(self, stagings: Iterable[Staging]) -> None:
        pages, now_ms = self._pages, self.now_ms
        for staging in stagings:
            known = self._find(staging.document)
            position = self._book.next_position()
            document = rules.staged(
                known.document,
                stage=PENDING,
                position=position,
                chunk_count=staging.chunk_count,
                now_ms=now_ms,
            )
            pages.put(pages.chunks, self._number + place_key(position), staging.chunks)
            self._change(known, document)

    def claim(
        self, *, stage: str, claim_stage: str, worker: str, limit: int, lease_ms: int, prefix: str
    ) -> Claimed:
        self._book.admit(claim_stage)
        self.undo_lapsed(LAPSED_AT_ONCE)
        waiting = self._named(stage, prefix) if prefix else self._oldest(stage, limit)
        claimed: list[str] = []
        for place in waiting:
            if len(claimed) == limit:
                break
            known = self._at(place)
            if not known.text.startswith(prefix):
                # Alike in what a key holds of it, and no further.
                continue
            document = rules.claimed(
                known.document,
                stage=stage,
                claim_stage=claim_stage,
                worker=worker,
                lease_ms=lease_ms,
                now_ms=self.now_ms,
            )
            if document is not None:
                self._change(known, document)
                claimed.append(known.text)
        return Claimed(claimed, self.moves)

    def extend(self, documents: Iterable[str], *, stage: str, worker: str) -> int:
        extended = 0
        for each in documents:
            known = self._find(each)
            document = known.document and rules.extended(
                known.document, stage=stage, worker=worker, now_ms=self.now_ms
            )
            if document is not None:
                self._change(known, document)
                extended += 1
        return extended

    def move(
        self,
        documents: Iterable[str],
        *,
        stage: str,
        from_stage: str | None,
        worker: str | None,
        reason: str,
        create_missing: bool,
    ) -> Changed:
        self._book.admit(stage)
        changed = 0
        for each in documents:
            known = self._find(each)
            if known.document is not None:
                document = rules.moved(
                    known.document,
                    stage=stage,
                    from_stage=from_stage,
                    worker=worker,
                    reason=reason,
                    now_ms=self.now_ms,
                )
            elif create_missing:
                document = rules.created(
                    stage=stage,
                    position=self._book.next_position(),
                    reason=reason,
                    now_ms=self.now_ms,
                )
            else:
                document = None
            if document is not None:
                self._change(known, document)
                changed += 1
        return Changed(changed, self.moves)

    def index(self, each: str, generation: int, rows: bytes, worker: str | None) -> Changed:
        known = self._find(each)
        document = known.document and rules.indexed(
            known.document,
            generation=generation,
            stage=INDEXED,
            worker=worker,
            now_ms=self.now_ms,
        )
        if document is None:
            return Changed(0, self.moves)
        self._change(known, document)
        self._pages.put(self._pages.rows, self._number + place_key(document.position), rows)
        return Changed(1, self.moves)

    def undo_lapsed(self, count: int) -> int:
        """Undo lapsed leases, the earliest first, at most `count`; give how many."""
        end = self._number + place_key(self.now_ms + 1)
        lapsed = self._pages.between(self._pages.leases, self._number, end, count)
        for key, _ in lapsed:
            known = self._at(key[-PLACE_BYTES:])
            self._change(known, rules.settled(known.document, self.now_ms))
        self.lapsed += len(lapsed)
        return len(lapsed)

    def name_more(self, count: int) -> bool:
        """Write names of what stands in the line since before; tell whether any may be left."""
        pages, number = self._pages, self._number
        start = pages.get(pages.unnamed, number)
        if start is None:
            return False
        found = pages.between(pages.line, start, behind(number), count)
        for key, _ in found:
            stage, place = key[:-PLACE_BYTES], key[-PLACE_BYTES:]
            pages.put(pages.names, stage + id_key(self._at(place).text.encode()), place)
            pages.give_way()
        if len(found) == count:
            pages.put(pages.unnamed, number, found[-1][0] + b"\0")
        else:
            pages.delete(pages.unnamed, number)
        return len(found) == count

    # Finding

    def _find(self, text: str) -> _Known:
        kept = document_of(self._pages, self._number, text)
        return _Known(text, None if kept is None else kept.document)

    def _at(self, place: bytes) -> Kept:
        record = self._pages.get(self._pages.documents, self._number + place)
        if record is None:
            # What finds a document goes when it goes.
            raise lmdb.CorruptedError("a document that stands in a line is not there")
        return kept_of(record)

    def _oldest(self, stage: str, limit: int) -> list[bytes]:
        start = self._number + stage_key(stage)
        found = self._pages.prefixed(self._pages.line, start, limit)
        return [key[-PLACE_BYTES:] for key, _ in found]

    def _named(self, stage: str, prefix: str) -> list[bytes]:
        if not self._book.named:
            self._book.named = True
            self._pages.put(self._pages.unnamed, self._number, self._number)
            self.name_more(NAMED_AT_ONCE)
        start = self._number + stage_key(stage) + prefix.encode()[:ID_BYTES_IN_KEY]
        names = self._pages.prefixed(self._pages.names, start, NAMES_AT_ONCE)
        return sorted(place for _, place in names)

    # Changing

    def _change(self, known: _Known | Kept, after: Document) -> None:
        """Write a document, and all that is known of it elsewhere."""
        pages, number, before = self._pages, self._number, known.document
        after = after._replace(reason=self._reason(before, after)) if after.reason else after
        place = place_key(after.position)
        if before is None:
            self.moves.append(_move(NOWHERE, after.stage, 0))
        else:
            self._forget(known.text, before, after)
            self._tell(before, after)
        if before is None or before.position != after.position:
            pages.put(pages.ids, number + id_key(known.text.encode()), place)
        if after.lease is not None:
            pages.put(pages.leases, number + place_key(after.lease.ends_ms) + place, b"")
        else:
            stage = number + stage_key(after.stage)
            pages.put(pages.line, stage + place, b"")
            if self._book.named:
                pages.put(pages.names, stage + id_key(known.text.encode()), place)
        pages.put(pages.documents, number + place, packed_kept(Kept(known.text, after)))
        self._book.count(before, after, self.now_ms)
        pages.give_way()

    def _forget(self, text: str, before: Document, after: Document) -> None:
        """Take a document out of where it was; drop chunks that are not its any more."""
        pages, number = self._pages, self._number
        place = place_key(before.position)
        if before.lease is not None:
            pages.delete(pages.leases, number + place_key(before.lease.ends_ms) + place)
        else:
            stage = number + stage_key(before.stage)
            pages.delete(pages.line, stage + place)
            if self._book.named:
                pages.delete(pages.names, stage + id_key(text.encode()))
        if after.position != before.position:
            pages.delete(pages.documents, number + place)
            rows = pages.get(pages.rows, number + place)
            if rows is not None:
                pages.delete(pages.rows, number + place)
                pages.put(pages.rows, number + place_key(after.position), rows)
        if after.position != before.position or after.stage == INDEXED:
            pages.delete(pages.chunks, number + place)

    def _reason(self, before: Document | None, after: Document) -> str:
        if before is not None and before.reason == after.reason:
            return before.reason
        return self._book.reason(after.reason)

    def _tell(self, before: Document, after: Document) -> None:
        """Note the moves; a lease that had lapsed unseen was one of its own."""
        settled = rules.settled(before, self.now_ms)
        for source, target, until_ms in (
            (before, settled, settled.since_ms),
            (settled, after, self.now_ms),
        ):
            if source.stage != target.stage:
                span_ms = until_ms - source.since_ms
                self.moves.append(_move(source.stage, target.stage, span_ms))


@functools.lru_cache(maxsize=1024)
def _move(source: str, target: str, span_ms: int) -> Move:
    """Give a move; documents of one call mostly share it: so many objects fewer to collect."""
    return Move(source, target, span_ms / 1000)


def document_of(pages: Pages, number: bytes, text: str) -> Kept | None:
    """Read one document by its id."""
    place = pages.get(pages.ids, number + id_key(text.encode()))
    record = place and pages.get(pages.documents, number + place)
    return kept_of(record) if record else None


def opened(pages: Pages, number: bytes, text: str, worker: str | None) -> Opened | None:
    kept = document_of(pages, number, text)
    if kept is None:
        return None
    document = kept.document
    rows = pages.get(pages.rows, number + place_key(document.position))
    writable = rules.writable(document, worker=worker, now_ms=pages.now_ms)
    return Opened(document.generation, rows, writable)


def chunks_of(pages: Pages, number: bytes, document: Document) -> bytes | None:
    return pages.get(pages.chunks, number + place_key(document.position))
