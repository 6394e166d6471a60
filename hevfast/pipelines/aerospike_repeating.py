"""Deeds in calls that are repeated, for documents that others are changing meanwhile."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from hevfast.pipelines import lease as rules
from hevfast.pipelines.aerospike_call import perform, refusal
from hevfast.pipelines.aerospike_operations import Book, Deed, Look, Pause
from hevfast.pipelines.aerospike_plan import Change, Desk, Plan
from hevfast.pipelines.aerospike_settling import settle
from hevfast.pipelines.aerospike_state import VOID, State, body_of
from hevfast.pipelines.model import STANDARD_STAGES, Document
from hevfast.pipelines.store import NOWHERE, STAGES_MAX, Move, TooManyStagesError, UnableError

# Documents of one call: with what else it does, a batch that the client takes at once.
CALL_DOCUMENTS_MAX: Final = 90

# Attempts at documents that others are changing, and the first pause between two of them.
ATTEMPTS_MAX: Final = 12
_PAUSE_S: Final = 0.005
_PAUSE_MAX_S: Final = 0.08

# The attempt before which calls of gateways that seem to be gone are settled.
_SETTLING_ATTEMPT: Final = 3

# Milliseconds after which a call counts as one whose gateway is gone: its batches have their
# deadlines, and together they are shorter. Should it still run, it is disturbed, nothing worse.
OVERDUE_MS: Final = 3000

# Calls settled at once.
_SETTLED_AT_ONCE: Final = 16


class Done(NamedTuple):
    """What became of documents, by their numbers in the deed."""

    changes: list[Change]
    failed: list[int]
    now_ms: int


def repeat(desk: Desk, count: int, plan: Callable[[list[int]], Plan]) -> Deed[Done]:
    """Do a call, and further ones for the documents that others were changing meanwhile.

    Raises: UnknownPipelineError; UnableError, if nothing was changed.
    """
    done = Done([], [], 0)
    left = list(range(count))
    for attempt in range(ATTEMPTS_MAX):
        if attempt:
            yield [Pause(min(_PAUSE_MAX_S, _PAUSE_S * 2 ** (attempt - 1)))]
        try:
            if attempt == _SETTLING_ATTEMPT:
                yield from settle_overdue(desk)
            outcome = yield from perform(desk, plan(left))
        except UnableError:
            if not done.changes:
                raise
            break
        done = done._replace(now_ms=outcome.now_ms)
        done.changes.extend(each._replace(number=left[each.number]) for each in outcome.changed)
        done.failed.extend(left[index] for index in outcome.failed)
        left = [left[index] for index in outcome.again]
        if not left:
            break
    done.failed.extend(left)
    return done


def settle_overdue(desk: Desk) -> Deed[int]:
    """Settle calls whose gateways are gone, and this one's that ended open; give how many."""
    (book,) = yield [Look(bodies=True)]
    if not isinstance(book, Book):
        raise refusal(book)
    desk.unsettled.intersection_update(book.open)
    overdue = [
        token
        for token, body in book.open.items()
        if token in desk.unsettled or body_of(body).opened_ms + OVERDUE_MS < book.now_ms
    ]
    for token in overdue[:_SETTLED_AT_ONCE]:
        yield from settle(desk, token)
    return len(overdue)


def present(state: State | None) -> Document | None:
    """Give a document, if it is one."""
    return None if state is None or state.document.stage == VOID else state.document


def admit(book: object, stage: str) -> None:
    """Refuse a stage that would be one too many; one that leases return to is in use.

    Calls at the same moment may go beyond the bound by one each.

    Raises: TooManyStagesError, UnableError, UnknownPipelineError.
    """
    if not isinstance(book, Book):
        raise refusal(book)
    used = {*book.stages, *book.origins}
    if stage in STANDARD_STAGES or stage in used:
        return
    if len(used.difference(STANDARD_STAGES)) >= STAGES_MAX:
        raise TooManyStagesError


def moves_of(changes: Iterable[Change], now_ms: int) -> list[Move]:
    """Give the moves; a lease that had lapsed unseen was one of its own."""
    moves: list[Move] = []
    for change in changes:
        before, after = present(change.before), change.after.document
        if before is None:
            if after.stage != VOID:
                moves.append(Move(NOWHERE, after.stage, 0.0))
            continue
        settled = rules.settled(before, now_ms)
        for source, target, until_ms in (
            (before, settled, settled.since_ms),
            (settled, after, now_ms),
        ):
            if source.stage != target.stage:
                seconds = (until_ms - source.since_ms) / 1000
                moves.append(Move(source.stage, target.stage, seconds))
    return moves
