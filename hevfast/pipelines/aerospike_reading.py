"""Deeds that only read."""

from collections.abc import Sequence

from hevfast.pipelines import lease as rules
from hevfast.pipelines.aerospike_call import refusal
from hevfast.pipelines.aerospike_operations import Answer, Book, Deed, Kept, Look, Read, ReadPart
from hevfast.pipelines.aerospike_plan import Desk
from hevfast.pipelines.aerospike_repeating import present
from hevfast.pipelines.aerospike_state import VOID, state_of
from hevfast.pipelines.store import Absent, Opened


def look(desk: Desk) -> Deed[Book]:
    """Read the book.

    Raises: UnknownPipelineError, UnableError.
    """
    (book,) = yield [Look()]
    if not isinstance(book, Book):
        raise refusal(book)
    return book


def read_chunks(desk: Desk, documents: Sequence[str], bytes_max: int) -> Deed[list[bytes | Absent]]:
    """Read chunks of the first of some documents: of one at least, and then up to a bound."""
    book, *found = yield [Look(), *[Read(each, chunks=True) for each in documents]]
    if not isinstance(book, Book):
        raise refusal(book)
    chunks: list[bytes | Absent] = []
    read_bytes = 0
    for document, kept in zip(documents, found, strict=True):
        if kept is Answer.LOST:
            raise refusal(kept)
        one = yield from _chunks(document, kept)
        chunks.append(one)
        read_bytes += len(one) if isinstance(one, bytes) else 0
        if read_bytes >= bytes_max:
            break
    return chunks


def _chunks(document: str, kept: object) -> Deed[bytes | Absent]:
    if not isinstance(kept, Kept):
        return Absent.UNKNOWN
    state = state_of(kept.state)
    if state.document.stage == VOID:
        return Absent.LOST
    if kept.chunks:
        return kept.chunks
    token, count = state.parts
    if not count:
        # Created without chunks, or indexed and rid of them; otherwise they are lost.
        return Absent.LOST if state.document.chunk_count else b"[]"
    parts = yield [ReadPart(document, token, number) for number in range(count)]
    if all(isinstance(part, bytes) for part in parts):
        return b"".join(parts)
    if Answer.LOST in parts:
        raise refusal(Answer.LOST)
    # Lost, or staged anew meanwhile: then its record says so.
    (again,) = yield [Read(document, chunks=True)]
    if isinstance(again, Kept) and state_of(again.state).parts != state.parts:
        return (yield from _chunks(document, again))
    return Absent.LOST


def opened(desk: Desk, document: str, worker: str | None) -> Deed[Opened | None]:
    """Look at a document before its rows are sent upstream."""
    book, kept = yield [Look(), Read(document, rows=True)]
    if not isinstance(book, Book) or kept is Answer.LOST:
        raise refusal(book if not isinstance(book, Book) else kept)
    if not isinstance(kept, Kept):
        return None
    found = present(state_of(kept.state))
    if found is None:
        return None
    writable = rules.writable(found, worker=worker, now_ms=book.now_ms)
    return Opened(found.generation, kept.rows, writable)
