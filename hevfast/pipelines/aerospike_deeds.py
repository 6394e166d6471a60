"""What gateways do with documents, by calls: staging, claiming, moving, marking as indexed."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from hevfast.pipelines import lease as rules
from hevfast.pipelines.aerospike_call import refusal
from hevfast.pipelines.aerospike_operations import (
    Answer,
    Book,
    Deed,
    Kept,
    Look,
    Opened,
    Put,
    Read,
)
from hevfast.pipelines.aerospike_plan import Desk, Plan, Wish
from hevfast.pipelines.aerospike_repeating import ATTEMPTS_MAX, admit, moves_of, present, repeat
from hevfast.pipelines.aerospike_state import Parts, State, packed, state_of
from hevfast.pipelines.model import INDEXED, PENDING, STANDARD_STAGES, Document
from hevfast.pipelines.store import (
    REASONS_MAX,
    Changed,
    Move,
    Staged,
    Staging,
    UnableError,
)

# Bytes of chunks kept in a document's own record, and in one further record: a server takes
# records of a mebibyte unless it is told otherwise.
INLINE_BYTES_MAX: Final = 256 * 1024
PART_BYTES: Final = 512 * 1024

# What reasons beyond REASONS_MAX are counted as.
OTHER: Final = "other"


# ---- staging


def stage(desk: Desk, stagings: Sequence[Staging]) -> Deed[tuple[list[Staged], list[Move]]]:
    """Stage documents, each of them once: one word for each."""
    words = [Staged.UNABLE] * len(stagings)

    def plan(left: list[int]) -> Plan:
        pieces = {
            index: _cut(stagings[number].chunks)
            for index, number in enumerate(left)
            if len(stagings[number].chunks) > INLINE_BYTES_MAX
        }

        def decide(index: int, state: State | None, opened: Opened, position: int) -> Wish:
            staging = stagings[left[index]]
            document = rules.staged(
                None if state is None else state.document,
                stage=PENDING,
                position=position,
                chunk_count=staging.chunk_count,
                now_ms=opened.now_ms,
            )
            if index in pieces:
                return Wish(document, b"", parts=Parts(b"", len(pieces[index])))
            return Wish(document, staging.chunks)

        return Plan(
            [stagings[number].document for number in left],
            decide,
            positions=len(left),
            creates=True,
            line=PENDING,
            pieces=pieces,
        )

    done = yield from repeat(desk, len(stagings), plan)
    for change in done.changes:
        words[change.number] = Staged.STAGED
    if done.failed and not done.changes:
        raise UnableError("nothing could be staged")
    return words, moves_of(done.changes, done.now_ms)


def _cut(chunks: bytes) -> list[bytes]:
    return [chunks[at : at + PART_BYTES] for at in range(0, len(chunks), PART_BYTES)]


# ---- moving


def move(
    desk: Desk,
    documents: Sequence[str],
    *,
    stage: str,
    from_stage: str | None,
    worker: str | None,
    reason: str,
    create_missing: bool,
) -> Deed[Changed]:
    """Change documents' stages; each document is named once."""
    if stage not in STANDARD_STAGES:
        (book,) = yield [Look()]
        admit(book, stage)

    def plan(left: list[int]) -> Plan:
        def decide(index: int, state: State | None, opened: Opened, position: int) -> Wish | None:
            document = present(state)
            now_ms = opened.now_ms
            if document is not None:
                after = rules.moved(
                    document,
                    stage=stage,
                    from_stage=from_stage,
                    worker=worker,
                    reason=reason,
                    now_ms=now_ms,
                )
            elif create_missing:
                after = rules.created(stage=stage, position=position, reason=reason, now_ms=now_ms)
                if state is not None:
                    after = after._replace(generation=state.document.generation + 1)
            else:
                return None
            if after is None:
                return None
            return _moved(state, document, _counted(after, document, opened))

        return Plan(
            [documents[number] for number in left],
            decide,
            positions=len(left) if create_missing else 0,
            creates=create_missing,
            line=stage,
        )

    done = yield from repeat(desk, len(documents), plan)
    if done.failed and not done.changes:
        raise UnableError("no document could be changed")
    return Changed(len(done.changes), moves_of(done.changes, done.now_ms))


def _moved(state: State | None, before: Document | None, after: Document) -> Wish:
    lease = None if before is None else before.lease
    returns = lease is not None and lease.origin == after.stage
    if after.stage == INDEXED:
        return Wish(after, b"", returns=returns)
    return Wish(after, parts=Parts() if state is None else state.parts, returns=returns)


def _counted(after: Document, before: Document | None, opened: Opened) -> Document:
    """Give the document with a reason that is counted apart, or `other`."""
    reason = after.reason
    if not reason or reason in opened.reasons or len(opened.reasons) < REASONS_MAX:
        return after
    if before is not None and before.reason == reason:
        return after
    return after._replace(reason=OTHER)


def index(desk: Desk, each: str, generation: int, rows: bytes, worker: str | None) -> Deed[Changed]:
    """Mark a document as indexed, drop its chunks, keep the ids of its rows."""

    def plan(left: list[int]) -> Plan:
        def decide(index: int, state: State | None, opened: Opened, position: int) -> Wish | None:
            document = present(state)
            after = document and rules.indexed(
                document,
                generation=generation,
                stage=INDEXED,
                worker=worker,
                now_ms=opened.now_ms,
            )
            return None if after is None else Wish(after, b"", rows)

        return Plan([each], decide, line=INDEXED)

    done = yield from repeat(desk, 1, plan)
    if done.failed and not done.changes:
        raise UnableError("the document could not be marked")
    return Changed(len(done.changes), moves_of(done.changes, done.now_ms))


# ---- extending


def extend(desk: Desk, documents: Sequence[str], *, stage: str, worker: str) -> Deed[int]:
    """Extend leases. Nothing that is counted changes, so this is no call.

    The hint of a lapse stays where it is: it is looked at when the lease would have ended, and then
    put where it belongs.
    """
    left, extended = list(documents), 0
    for _ in range(ATTEMPTS_MAX):
        book, *found = yield [Look(), *map(Read, left)]
        if not isinstance(book, Book):
            raise refusal(book)
        puts: list[Put] = []
        for document, kept in zip(left, found, strict=True):
            if kept is Answer.LOST:
                raise refusal(kept)
            if not isinstance(kept, Kept):
                continue
            state = state_of(kept.state)
            after = rules.extended(state.document, stage=stage, worker=worker, now_ms=book.now_ms)
            if after is not None:
                after_state = packed(state._replace(document=after))
                puts.append(Put(document, after_state, kept.generation))
        answers: Iterable[Any] = (yield puts) if puts else ()
        left = []
        for put, answer in zip(puts, answers, strict=True):
            if answer is Answer.DONE:
                extended += 1
            elif answer is Answer.REFUSED:
                left.append(put.document)
            elif answer is not Answer.MISSING:
                raise refusal(answer)
        if not left:
            break
    return extended
