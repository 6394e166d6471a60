"""One call: a change of some documents that is counted once, whoever dies on the way.

The order is what keeps the promises. A call is written into the book before it changes anything
(`Open`). Hints are put before the state that they point to, and removed after it has left. A state
names its call and what the change takes off the counts, and while that call is open nobody changes
it further. In the end the book's record counts the call and strikes it out, in one step (`Close`).

A call whose gateway has died is settled by whoever meets it: see `aerospike_settling`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from hevfast.pipelines.aerospike_operations import (
    Answer,
    Deed,
    Drop,
    DropPart,
    Hint,
    Kept,
    Op,
    Open,
    Opened,
    Put,
    PutPart,
    Read,
)
from hevfast.pipelines.aerospike_places import Places, taken_by
from hevfast.pipelines.aerospike_plan import Change, Desk, Outcome, Plan, Wish
from hevfast.pipelines.aerospike_state import (
    Body,
    Hinted,
    State,
    Tag,
    before_of,
    call_of,
    closing,
    packed,
    returns_segment,
    state_of,
)
from hevfast.pipelines.store import UnableError, UnknownPipelineError

# Milliseconds that documents which come back to a stage are put at the end of its line, after too
# many have come back at once.
CROWDED_MS: Final = 1000

_MS: Final = 1000


class _Chosen(NamedTuple):
    number: int
    generation: int
    wish: Wish
    before: State | None
    after: State


def perform(desk: Desk, plan: Plan) -> Deed[Outcome]:
    """Change documents as planned.

    Raises: UnknownPipelineError; UnableError, if nothing was changed.
    """
    token = desk.draw()
    try:
        outcome, is_closed = yield from _perform(desk, plan, token)
    except BaseException:
        desk.unsettled.add(token)
        raise
    if not is_closed:
        desk.unsettled.add(token)
    return outcome


def _perform(desk: Desk, plan: Plan, token: bytes) -> Deed[tuple[Outcome, bool]]:
    parts = [len(plan.pieces.get(index, ())) for index in range(len(plan.documents))]
    body = Body(
        desk.about_ms(),
        plan.documents,
        plan.creates,
        parts if any(parts) else (),
        plan.befores,
    )
    taken = taken_by(plan)
    line = (plan.line, taken) if plan.line else ("", 0)
    bucket = (0, 0) if plan.bucket is None else (plan.bucket, taken)
    asked = Open(token, packed(body), plan.positions, *line, *bucket)
    opened, *found = yield [asked, *map(Read, plan.documents)]
    if not isinstance(opened, Opened):
        raise refusal(opened)
    outcome = Outcome(opened.now_ms)
    stale: dict[bytes, list[bytes]] = {}
    chosen = _choose(desk, plan, token, opened, found, outcome, stale)
    chosen, refused = yield from _announce(desk, plan, chosen, outcome)
    written, lost = yield from _write(chosen, plan, outcome)
    if outcome.settled or (outcome.failed and chosen + refused):
        # What is not known is found out when the call is settled.
        return outcome, False
    if lost:
        # Before the end: a hint of an ended call, and no record, would be a document that vanished.
        dropped = yield [Drop(each.after.spot.segment, [each.after.spot.key]) for each in lost]
        if any(answer is not Answer.DONE for answer in dropped):
            return outcome, False
    changed = {plan.documents[each.number]: each.after for each in written}
    drops = drops_of(changed, plan.reserved, stale)
    drops += [DropPart(*piece) for each in refused + lost for piece in _pieces(plan, each)]
    close = closing(token, changed.values(), opened.now_ms // _MS)
    *_, closed = yield [*drops, close]
    return outcome, closed not in (Answer.LOST, Answer.FULL)


def refusal(answer: object) -> Exception:
    if answer is Answer.MISSING:
        return UnknownPipelineError()
    return UnableError("the pipelines' store does not answer, or is full")


def is_open(tag: Tag, number: int, opened: frozenset[bytes] | dict[bytes, bytes]) -> bool:
    """Tell whether a call may be open, by a book read before or after its document was."""
    return tag.number > number or tag.token in opened


# ---- the steps


def _choose(
    desk: Desk,
    plan: Plan,
    token: bytes,
    opened: Opened,
    found: list[object],
    outcome: Outcome,
    stale: dict[bytes, list[bytes]],
) -> list[_Chosen]:
    """Decide what each document becomes, and where its hint goes."""
    chosen: list[_Chosen] = []
    places = Places(desk, plan, opened)
    for index, kept in enumerate(found):
        if kept is Answer.LOST:
            outcome.failed.append(index)
            continue
        state = state_of(kept.state) if isinstance(kept, Kept) else None
        if isinstance(kept, Kept) and _is_settled(token, opened, kept, state):
            outcome.again.append(index)
            outcome.settled = True
            continue
        if plan.found and (state is None or state.spot != plan.found[index].spot):
            _sort_out(plan, index, state, outcome, stale)
            continue
        if state is not None and is_open(state.call, opened.number, opened.open):
            outcome.again.append(index)
            continue
        position = opened.position - plan.positions + 1 + index
        wish = plan.decide(index, state, opened, position)
        if wish is None:
            continue
        spot = places.spot(plan.documents[index], wish)
        if spot is None:
            outcome.again.append(index)
            continue
        after = State(
            wish.document,
            Tag(opened.number, token),
            spot,
            wish.parts,
            wish.before or before_of(state),
        )
        if after.parts.records and not after.parts.token:
            # Chunks in pieces, which are named after the call that writes them.
            after = after._replace(parts=after.parts._replace(token=token))
        generation = kept.generation if isinstance(kept, Kept) else 0
        chosen.append(_Chosen(index, generation, wish, state, after))
    return chosen


def _is_settled(token: bytes, opened: Opened, kept: Kept, state: State | None) -> bool:
    """Tell whether this call is so slow that it was settled before it came to read a document.

    The one that settled it has touched the record, or made one where there was none.
    """
    made = state is not None and state.call.token == token
    return made or kept.settled >= opened.number


def _sort_out(
    plan: Plan,
    index: int,
    state: State | None,
    outcome: Outcome,
    stale: dict[bytes, list[bytes]],
) -> None:
    """Deal with a hint whose document is elsewhere, or not at all.

    If the call that put it had ended before the document was read, it has no use any more.
    """
    found, book = plan.found[index], plan.book
    assert book is not None, "hints are found by a book"
    if is_open(Tag(call_of(found.spot.key), found.hinted.token), book.number, book.open):
        return
    if state is None:
        outcome.vanished.append(index)
    else:
        stale.setdefault(found.spot.segment, []).append(found.spot.key)


def hint_of(document: str, state: State) -> bytes:
    before = before_of(state)
    return packed(Hinted(document, state.call.token, before.stage, before.origin, before.reason))


def _announce(
    desk: Desk, plan: Plan, chosen: list[_Chosen], outcome: Outcome
) -> Deed[tuple[list[_Chosen], list[_Chosen]]]:
    """Put hints and pieces of chunks; give those that may be written, and those refused."""
    if not chosen:
        return [], []
    segments: dict[bytes, dict[bytes, bytes]] = {}
    for each in chosen:
        hints = segments.setdefault(each.after.spot.segment, {})
        hints[each.after.spot.key] = hint_of(plan.documents[each.number], each.after)
    ops: list[Op] = [Hint(segment, hints) for segment, hints in segments.items()]
    pieces = [piece for each in chosen for piece in _put_pieces(plan, each)]
    answers = yield [*ops, *pieces]
    named = dict(zip(segments, answers, strict=False))
    spoiled = {
        piece.document
        for piece, answer in zip(pieces, answers[len(ops) :], strict=True)
        if answer is not Answer.DONE
    }
    good: list[_Chosen] = []
    refused: list[_Chosen] = []
    for each in chosen:
        answer = named[each.after.spot.segment]
        stage = each.after.document.stage
        if answer is not Answer.DONE and each.after.spot.segment == returns_segment(stage):
            # Too many, or too large ones: the line has more room.
            desk.crowded_ms[stage] = desk.about_ms() + CROWDED_MS
            answer = Answer.LOST if answer is Answer.LOST else Answer.REFUSED
        if answer is Answer.REFUSED:
            outcome.again.append(each.number)
            refused.append(each)
        elif answer is not Answer.DONE or plan.documents[each.number] in spoiled:
            outcome.failed.append(each.number)
            refused.append(each)
        else:
            good.append(each)
    return good, refused


def _write(
    chosen: list[_Chosen], plan: Plan, outcome: Outcome
) -> Deed[tuple[list[_Chosen], list[_Chosen]]]:
    """Write the states; give those written, and those that others were quicker with."""
    if not chosen:
        return [], []
    answers = yield [
        Put(
            plan.documents[each.number],
            packed(each.after),
            each.generation,
            each.wish.chunks,
            each.wish.rows,
        )
        for each in chosen
    ]
    written: list[_Chosen] = []
    lost: list[_Chosen] = []
    for each, answer in zip(chosen, answers, strict=True):
        if answer is Answer.DONE:
            written.append(each)
            outcome.changed.append(Change(each.number, each.before, each.after))
        else:
            lost.append(each)
            known = answer in (Answer.REFUSED, Answer.MISSING)
            (outcome.again if known else outcome.failed).append(each.number)
    return written, lost


def _put_pieces(plan: Plan, each: _Chosen) -> list[PutPart]:
    token = each.after.call.token
    return [
        PutPart(plan.documents[each.number], token, number, piece)
        for number, piece in enumerate(plan.pieces.get(each.number, ()))
    ]


def _pieces(plan: Plan, each: _Chosen) -> list[tuple[str, bytes, int]]:
    return [(put.document, put.token, put.piece) for put in _put_pieces(plan, each)]


def drops_of(
    states: Mapping[str, State], reserved: dict[bytes, int], stale: dict[bytes, list[bytes]]
) -> list[Op]:
    """Remove what changes have left behind: hints where the documents were, and old chunks."""
    keys = {segment: list(dropped) for segment, dropped in stale.items()}
    parts: list[Op] = []
    for document, state in states.items():
        before = state.before
        if before.spot is not None:
            keys.setdefault(before.spot.segment, []).append(before.spot.key)
        if before.parts != state.parts:
            token, count = before.parts
            parts += [DropPart(document, token, number) for number in range(count)]
    for segment in reserved:
        keys.setdefault(segment, [])
    drops = [Drop(segment, dropped, reserved.get(segment, 0)) for segment, dropped in keys.items()]
    return [*drops, *parts]
