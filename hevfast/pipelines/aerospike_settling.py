"""Settling: ending a call whose gateway has died, or does not know what became of it.

Of each document it is read off whether the call has changed it; where it has not, the record is
touched, so that it will not be. Then all is known, and the call is closed as its own gateway would
have done it. Settling a call that still runs does no harm: what it has changed is counted, and its
further writes are refused.
"""

from collections.abc import Mapping
from typing import Final

from hevfast.pipelines.aerospike_call import drops_of, hint_of, refusal
from hevfast.pipelines.aerospike_operations import (
    Answer,
    Book,
    Deed,
    DropPart,
    Hint,
    Kept,
    Look,
    Op,
    Put,
    Read,
    Touch,
)
from hevfast.pipelines.aerospike_places import void_spot
from hevfast.pipelines.aerospike_plan import Desk
from hevfast.pipelines.aerospike_state import (
    VOID,
    Before,
    Body,
    State,
    Tag,
    body_of,
    closing,
    packed,
    state_of,
)
from hevfast.pipelines.model import Document
from hevfast.pipelines.store import UnableError

# Attempts at finding out what became of the documents of one call.
_LOOKS_MAX: Final = 8

_MS: Final = 1000


def settle(desk: Desk, token: bytes) -> Deed[None]:
    """Find out what became of a call, and close it.

    Raises: UnableError, UnknownPipelineError.
    """
    (book,) = yield [Look(bodies=True, doomed=True)]
    if not isinstance(book, Book):
        raise refusal(book)
    text = book.open.get(token)
    if text is not None:
        body = body_of(text)
        states = yield from _find_out(token, body, book.number)
        drops = drops_of(states, {}, {})
        for document, count in zip(body.documents, body.parts, strict=False):
            if document not in states:
                drops += [DropPart(document, token, number) for number in range(count)]
        *_, closed = yield [*drops, closing(token, states.values(), book.now_ms // _MS)]
        if closed in (Answer.LOST, Answer.FULL):
            raise refusal(closed)
    desk.unsettled.discard(token)


def _find_out(token: bytes, body: Body, number: int) -> Deed[dict[str, State]]:
    """Give the states that a call has written; afterwards it will write no more."""
    states: dict[str, State] = {}
    left = list(dict.fromkeys(body.documents))
    befores = dict(zip(body.documents, body.befores, strict=False))
    for _ in range(_LOOKS_MAX):
        if not left:
            return states
        found = yield [Read(document) for document in left]
        guards: dict[str, Op] = {}
        voids: dict[str, State] = {}
        for document, kept in zip(left, found, strict=True):
            if kept is Answer.LOST:
                raise refusal(kept)
            if isinstance(kept, Kept):
                state = state_of(kept.state)
                if state.call.token == token:
                    states[document] = state
                else:
                    guards[document] = Touch(document, kept.generation, number)
            elif body.creates:
                # A creation under way is refused only if there is a record.
                voids[document] = yield from _void(token, document, number, befores)
                guards[document] = Put(document, packed(voids[document]), 0)
        answers = (yield list(guards.values())) if guards else []
        if any(answer in (Answer.LOST, Answer.FULL) for answer in answers):
            raise refusal(Answer.LOST)
        done = dict(zip(guards, answers, strict=True))
        left = [document for document, answer in done.items() if answer is not Answer.DONE]
        for document, void in voids.items():
            if document not in left:
                states[document] = void
    raise UnableError("a call goes on while it is being settled")


def _void(token: bytes, document: str, number: int, befores: Mapping[str, Before]) -> Deed[State]:
    """Prepare a document that is none; its hint is there for the pipeline's end."""
    spot = void_spot(document, 0)
    before = befores.get(document, Before())
    state = State(Document(VOID, number, 0, 0, 0), Tag(0, token), spot, before=before)
    (answer,) = yield [Hint(spot.segment, {spot.key: hint_of(document, state)})]
    if answer is not Answer.DONE:
        raise refusal(Answer.LOST)
    return state
