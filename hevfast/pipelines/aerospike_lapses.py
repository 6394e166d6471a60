"""Leases that have lapsed: how they are found, and undone; and documents that have vanished."""

from collections.abc import Sequence
from typing import Final

from hevfast.pipelines import lease as rules
from hevfast.pipelines.aerospike_call import perform
from hevfast.pipelines.aerospike_operations import Book, Deed, Glance, Hints, Opened
from hevfast.pipelines.aerospike_plan import Change, Desk, Found, Outcome, Plan, Wish
from hevfast.pipelines.aerospike_repeating import CALL_DOCUMENTS_MAX, moves_of
from hevfast.pipelines.aerospike_state import (
    BUCKET_MS,
    VOID,
    Before,
    Spot,
    State,
    bucket_segments,
    hinted_of,
    lapse_end,
)
from hevfast.pipelines.model import Document
from hevfast.pipelines.store import Move

# Segments of lapses looked into by one claim; the next claim goes on with those that follow.
DUE_SEGMENTS_MAX: Final = 8


def due_segments(book: Book) -> list[bytes]:
    """Name the segments that hints of lapsed leases may be in."""
    now_bucket = book.now_ms // BUCKET_MS
    return [
        segment
        for bucket, places in sorted(book.buckets.items())
        if bucket <= now_bucket and places > 0
        for segment in bucket_segments(bucket, places)
    ]


def some_due(desk: Desk, book: Book) -> list[bytes]:
    due = due_segments(book)
    if len(due) <= DUE_SEGMENTS_MAX:
        return due
    start, desk.due = desk.due % len(due), desk.due + DUE_SEGMENTS_MAX
    return (due[start:] + due[:start])[:DUE_SEGMENTS_MAX]


def undo_lapsed(desk: Desk, book: Book, due: Sequence[bytes]) -> Deed[list[Move]]:
    """Undo leases that have lapsed, and move hints of those that were extended.

    Raises: UnableError, UnknownPipelineError.
    """
    if not due:
        return []
    end = lapse_end(book.now_ms)
    answers = yield [Glance(segment, CALL_DOCUMENTS_MAX, end) for segment in due]
    moves: list[Move] = []
    found = [
        each
        for segment, answer in zip(due, answers, strict=True)
        if isinstance(answer, Hints)
        for each in found_in(segment, answer)
    ]
    for at in range(0, len(found), CALL_DOCUMENTS_MAX):
        outcome = yield from _undo(desk, book, found[at : at + CALL_DOCUMENTS_MAX])
        moves += moves_of(outcome.changed, outcome.now_ms)
    return moves


def _undo(desk: Desk, book: Book, found: Sequence[Found]) -> Deed[Outcome]:
    def decide(index: int, state: State | None, opened: Opened, position: int) -> Wish | None:
        assert state is not None, "found means that there is a record"
        document = rules.settled(state.document, opened.now_ms)
        # One whose lease was extended gets a hint where that ends.
        return Wish(document, parts=state.parts, returns=document.lease is None)

    crowded = [each.hinted.origin for each in found if desk.is_crowded(each.hinted.origin)]
    plan = Plan(
        [each.hinted.document for each in found],
        decide,
        line=crowded[0] if crowded else "",
        # Of this minute, whenever extended leases end: what tells that is a hint's key.
        bucket=book.now_ms // BUCKET_MS,
        found=found,
        book=book,
    )
    outcome = yield from perform(desk, plan)
    yield from bury(desk, [found[index] for index in outcome.vanished])
    return outcome


def bury(desk: Desk, found: Sequence[Found]) -> Deed[list[Change]]:
    """Take documents off the counts whose records have vanished; what is left says so."""
    if not found:
        return []

    befores = [
        Before(each.hinted.stage, each.hinted.reason, each.hinted.origin, each.spot)
        for each in found
    ]

    def decide(index: int, state: State | None, opened: Opened, position: int) -> Wish | None:
        if state is not None:
            return None
        document = Document(VOID, opened.number, 0, opened.now_ms, 0)
        return Wish(document, before=befores[index])

    documents = [each.hinted.document for each in found]
    plan = Plan(documents, decide, creates=True, befores=befores)
    return (yield from perform(desk, plan)).changed


def found_in(segment: bytes, hints: Hints) -> list[Found]:
    return [Found(Spot(segment, key), hinted_of(value)) for key, value in hints.hints.items()]
