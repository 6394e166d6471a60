"""What is done of itself: calls of gateways that are gone, lapsed leases, deleted pipelines."""

from collections.abc import Iterable
from typing import Final

from hevfast.pipelines.aerospike_call import refusal
from hevfast.pipelines.aerospike_lapses import due_segments, undo_lapsed
from hevfast.pipelines.aerospike_operations import (
    Answer,
    Book,
    Burn,
    Deed,
    Drop,
    DropPart,
    Erase,
    Glance,
    Hints,
    Kept,
    Look,
    Op,
    Pause,
    Read,
    Remove,
    Retire,
    Seal,
)
from hevfast.pipelines.aerospike_plan import Desk
from hevfast.pipelines.aerospike_repeating import settle_overdue
from hevfast.pipelines.aerospike_settling import settle
from hevfast.pipelines.aerospike_state import (
    BUCKET_MS,
    SEGMENT_PLACES,
    VOID_SEGMENTS,
    bucket_segments,
    hinted_of,
    line_segment,
    returns_segment,
    state_of,
)
from hevfast.pipelines.store import Move

# Rounds of lapses undone in one sweep; the next one goes on.
_ROUNDS_MAX: Final = 50

# Buckets after which a sealed one is forgotten: calls that were opened when it was not are over.
_SEALED_BUCKETS: Final = 10

# Segments looked into at once, and hints of one taken from it, when a pipeline is removed.
_SEGMENTS_AT_ONCE: Final = 64
_PURGED_AT_ONCE: Final = 90
_PURGE_PAUSE_S: Final = 0.005


def is_due(book: Book) -> bool:
    """Tell whether a sweep has something to do; the book holds the bodies of calls or not."""
    now_bucket = book.now_ms // BUCKET_MS
    return bool(book.open) or any(bucket <= now_bucket for bucket in book.buckets)


def sweep(desk: Desk) -> Deed[list[Move]]:
    """Settle calls that are overdue, undo leases that have lapsed, forget empty buckets."""
    yield from settle_overdue(desk)
    moves: list[Move] = []
    for _ in range(_ROUNDS_MAX):
        (book,) = yield [Look()]
        if not isinstance(book, Book):
            raise refusal(book)
        due = due_segments(book)
        before = len(moves)
        for at in range(0, len(due), _SEGMENTS_AT_ONCE):
            some = due[at : at + _SEGMENTS_AT_ONCE]
            moves += yield from undo_lapsed(desk, book, some)
        if len(moves) == before:
            break
    yield from _retire(book)
    return moves


def _retire(book: Book) -> Deed[None]:
    """Seal buckets whose time is over and that are empty; later, remove what is left of them."""
    now_bucket = book.now_ms // BUCKET_MS
    for bucket, places in sorted(book.buckets.items()):
        segments = bucket_segments(bucket, places)
        if places >= 0 and bucket < now_bucket:
            answers = yield [Seal(segment) for segment in segments]
            if all(answer is Answer.DONE for answer in answers):
                yield [Retire(bucket, places, -places - 1)]
        elif places < 0 and bucket < now_bucket - _SEALED_BUCKETS:
            yield [Remove(segment) for segment in segments]
            yield [Retire(bucket, places, None)]


def purge(desk: Desk) -> Deed[None]:
    """Remove all that belongs to a deleted pipeline. Begun anew, it goes on where it was.

    No call is opened any more. Those still open are settled first: then every document has a hint.

    Raises: UnableError.
    """
    (book,) = yield [Look(bodies=True, doomed=True)]
    if book is Answer.MISSING:
        return
    if not isinstance(book, Book):
        raise refusal(book)
    for token in book.open:
        yield from settle(desk, token)
    segments: list[bytes] = [b"v" + bytes((number,)) for number in range(VOID_SEGMENTS)]
    for bucket, places in book.buckets.items():
        segments += bucket_segments(bucket, places)
    for stage in {*book.arrivals, *book.stages, *book.origins}:
        segments.append(returns_segment(stage))
        last = book.arrivals.get(stage, 0) // SEGMENT_PLACES
        segments += [line_segment(stage, number) for number in range(last + 1)]
    for at in range(0, len(segments), _SEGMENTS_AT_ONCE):
        yield from _purge(segments[at : at + _SEGMENTS_AT_ONCE])
    yield [Burn()]


def _purge(segments: Iterable[bytes]) -> Deed[None]:
    left = list(segments)
    while left:
        answers = yield [Glance(segment, _PURGED_AT_ONCE) for segment in left]
        more: list[bytes] = []
        for segment, answer in zip(left, answers, strict=True):
            if answer is Answer.LOST:
                raise refusal(answer)
            if answer is Answer.MISSING:
                continue
            if isinstance(answer, Hints) and answer.hints:
                yield from _erase(segment, answer)
                more.append(segment)
            else:
                yield [Remove(segment)]
        left = more
        yield [Pause(_PURGE_PAUSE_S)]


def _erase(segment: bytes, hints: Hints) -> Deed[None]:
    documents = list({hinted_of(value).document for value in hints.hints.values()})
    found = yield [Read(document) for document in documents]
    removals: list[Op] = []
    for document, kept in zip(documents, found, strict=True):
        if kept is Answer.LOST:
            raise refusal(kept)
        if isinstance(kept, Kept):
            token, count = state_of(kept.state).parts
            removals += [DropPart(document, token, number) for number in range(count)]
        removals.append(Erase(document))
    answers = yield removals
    if any(answer is not Answer.DONE for answer in answers):
        raise refusal(Answer.LOST)
    # Last: without its hint, a document would not be found again.
    yield [Drop(segment, list(hints.hints))]
