"""Claiming: how gateways find documents that wait, and leases that have lapsed.

A line is cut into segments. Of each, a claim reserves the next places by moving a cursor, so claims
at one moment look at different documents. The cursor promises nothing: it is the condition on a
document's record that lets one claim win. Places that are not given back, since their gateway has
died, are found again when nothing is left in front of the cursor.

The oldest document is served first as far as that allows: those that come back to a stage before
all others, then the line's segments in their order; of those that a claim looks at at once, the
lowest position first.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from hevfast.pipelines import lease as rules
from hevfast.pipelines.aerospike_call import perform, refusal
from hevfast.pipelines.aerospike_lapses import bury, found_in, some_due, undo_lapsed
from hevfast.pipelines.aerospike_operations import (
    Advance,
    Answer,
    Book,
    Deed,
    Glance,
    Hints,
    Look,
    Opened,
    Reserve,
    Seal,
)
from hevfast.pipelines.aerospike_plan import Desk, Found, Outcome, Plan, Wish
from hevfast.pipelines.aerospike_repeating import CALL_DOCUMENTS_MAX, admit, moves_of
from hevfast.pipelines.aerospike_state import (
    BUCKET_MS,
    SEGMENT_PLACES,
    State,
    line_segment,
    returns_segment,
)
from hevfast.pipelines.store import Claimed, UnableError

# Documents that one call of a claim is for.
CLAIM_AT_ONCE: Final = CALL_DOCUMENTS_MAX

# Segments ahead of the first that are looked into, if all of its places are reserved.
_AHEAD: Final = 4

# Rounds of one claim: each finds documents, or seals segments that are empty.
_ROUNDS_MAX: Final = 200
_SEALED_AT_ONCE: Final = 32

# Hints looked at for one claim by prefix; where more wait in front, the claim finds nothing.
PREFIX_LOOKED_AT_MAX: Final = 10_000


class Terms(NamedTuple):
    """What a claim asks for."""

    stage: str
    claim_stage: str
    worker: str
    lease_ms: int
    prefix: str = ""


def claim(desk: Desk, terms: Terms, limit: int) -> Deed[Claimed]:
    """Claim documents, at most `limit`.

    Raises: TooManyStagesError, UnknownPipelineError; UnableError, if none was claimed.
    """
    claimed = Claimed([], [])
    anew = False
    try:
        for _ in range(_ROUNDS_MAX):
            (book,) = yield [Look()]
            if not isinstance(book, Book):
                raise refusal(book)
            admit(book, terms.claim_stage)
            claimed.moves.extend((yield from undo_lapsed(desk, book, some_due(desk, book))))
            want = min(limit - len(claimed.documents), CLAIM_AT_ONCE)
            line = _Line(book, terms.stage, want, anew)
            if terms.prefix:
                found, reserved = yield from _named(line, terms.prefix)
            else:
                found, reserved = yield from line.next()
            if not found:
                if line.moved:
                    continue
                if anew or not line.left:
                    break
                anew = True
                continue
            outcome = yield from _take(desk, terms, book, found, reserved)
            _collect(claimed, found, outcome)
            if len(claimed.documents) >= limit:
                break
            if anew and not outcome.changed:
                # What is left in front of the cursor is others', or gone.
                break
            if terms.prefix and len(found) < want:
                break
    except UnableError:
        if not claimed.documents:
            raise
    # One that was staged anew meanwhile may have come again.
    return claimed._replace(documents=list(dict.fromkeys(claimed.documents)))


def _collect(claimed: Claimed, found: Sequence[Found], outcome: Outcome) -> None:
    taken = [change for change in outcome.changed if change.after.document.lease is not None]
    taken.sort(key=lambda change: change.after.document.position)
    claimed.documents.extend(found[change.number].hinted.document for change in taken)
    claimed.moves.extend(moves_of(taken, outcome.now_ms))


class _Line:
    """A stage's line, as of a book."""

    def __init__(self, book: Book, stage: str, want: int, anew: bool) -> None:
        self.head = book.heads.get(stage, 0)
        # The segment that the next place is in: it is never sealed.
        self.tail = book.arrivals.get(stage, 0) // SEGMENT_PLACES
        self.stage = stage
        self.want = want
        self.anew = anew
        # Whether segments were sealed, so that there is more to look at.
        self.moved = False
        # Whether there are hints behind a cursor.
        self.left = False

    def next(self) -> Deed[tuple[list[Found], dict[bytes, int]]]:
        """Reserve the next documents, of those that came back and of the line."""
        returned, head = returns_segment(self.stage), line_segment(self.stage, self.head)
        answers = yield [Reserve(each, self.want, self.anew) for each in (returned, head)]
        found: list[Found] = []
        reserved: dict[bytes, int] = {}
        for segment, answer in zip((returned, head), answers, strict=True):
            self._add(found, reserved, segment, answer)
        empty = (isinstance(answers[1], Hints) and not answers[1].total) or (
            answers[1] is Answer.MISSING
        )
        if found or self.head >= self.tail:
            return found, reserved
        if empty:
            yield from self._seal()
            return found, reserved
        for number in range(self.head + 1, min(self.head + _AHEAD, self.tail) + 1):
            segment = line_segment(self.stage, number)
            (answer,) = yield [Reserve(segment, self.want, self.anew)]
            self._add(found, reserved, segment, answer)
            if found:
                break
        return found, reserved

    def _add(
        self, found: list[Found], reserved: dict[bytes, int], segment: bytes, answer: object
    ) -> None:
        if answer in (Answer.LOST, Answer.FULL):
            raise refusal(answer)
        if isinstance(answer, Hints):
            self.left |= answer.total > 0
            if answer.hints:
                reserved[segment] = len(answer.hints)
            found += found_in(segment, answer)[: self.want - len(found)]

    def _seal(self) -> Deed[None]:
        """Pass over empty segments; what would still be put there is put at the end."""
        numbers = range(self.head, min(self.head + _SEALED_AT_ONCE, self.tail))
        answers = yield [Seal(line_segment(self.stage, number)) for number in numbers]
        sealed = self.head
        for number, answer in zip(numbers, answers, strict=True):
            if answer is not Answer.DONE:
                break
            sealed = number + 1
        if sealed > self.head:
            yield [Advance(self.stage, sealed)]
            self.moved = True


def _named(line: _Line, prefix: str) -> Deed[tuple[list[Found], dict[bytes, int]]]:
    """Look along the line for documents whose ids begin with a prefix."""
    segments = [returns_segment(line.stage)]
    last = min(line.tail, line.head + PREFIX_LOOKED_AT_MAX // SEGMENT_PLACES)
    segments += [line_segment(line.stage, number) for number in range(line.head, last + 1)]
    found: list[Found] = []
    for segment in segments:
        (answer,) = yield [Glance(segment, SEGMENT_PLACES)]
        if answer is Answer.LOST:
            raise refusal(answer)
        if isinstance(answer, Hints):
            found += [
                each
                for each in found_in(segment, answer)
                if each.hinted.document.startswith(prefix)
            ]
        if len(found) >= line.want:
            break
    return found[: line.want], {}


def _take(
    desk: Desk, terms: Terms, book: Book, found: Sequence[Found], reserved: dict[bytes, int]
) -> Deed[Outcome]:
    """Claim those of some documents that still wait, and clear away hints that are stale."""

    def decide(index: int, state: State | None, opened: Opened, position: int) -> Wish | None:
        assert state is not None, "found means that there is a record"
        document = rules.claimed(
            state.document,
            stage=terms.stage,
            claim_stage=terms.claim_stage,
            worker=terms.worker,
            lease_ms=terms.lease_ms,
            now_ms=opened.now_ms,
        )
        return None if document is None else Wish(document, parts=state.parts)

    plan = Plan(
        [each.hinted.document for each in found],
        decide,
        bucket=(desk.about_ms() + terms.lease_ms) // BUCKET_MS,
        found=found,
        book=book,
        reserved=reserved,
    )
    outcome = yield from perform(desk, plan)
    yield from bury(desk, [found[index] for index in outcome.vanished])
    return outcome
