"""What a good answer is: status and shape, so that a fast wrong answer counts as an error."""

from typing import TypeVar

import msgspec

from .exchange import Answer, Check

CACHE_WORDS = ("hit", "miss", "partial", "miss-on-error")

_WRONG_SHAPE = "wrong shape"
_WRONG_CONTENT = "wrong content"
_NO_CACHE_HEADER = "no x-layer-cache"


class _Written(msgspec.Struct):
    rows_affected: int


class _Document(msgspec.Struct):
    id: str
    attributes: dict[str, msgspec.Raw]


class _Documents(msgspec.Struct):
    documents: list[_Document]
    missing: list[str]


class _Row(msgspec.Struct):
    id: str | int


class _Queried(msgspec.Struct):
    rows: list[_Row]


class _Staged(msgspec.Struct):
    document_id: str
    stage: str
    chunk_count: int


class _Claimed(msgspec.Struct):
    documents: list[str]


class _Updated(msgspec.Struct):
    updated: int


class _Chunk(msgspec.Struct):
    id: str


_written = msgspec.json.Decoder(_Written)
_document = msgspec.json.Decoder(_Document)
_documents = msgspec.json.Decoder(_Documents)
_queried = msgspec.json.Decoder(_Queried)
_staged = msgspec.json.Decoder(_Staged)
_claimed = msgspec.json.Decoder(_Claimed)
_updated = msgspec.json.Decoder(_Updated)
_chunks = msgspec.json.Decoder(list[_Chunk])

T = TypeVar("T")


def _read(decoder: "msgspec.json.Decoder[T]", answer: Answer) -> T | str:
    """Give the body, or what is wrong with the answer."""
    if not 200 <= answer.status < 300:
        return f"status {answer.status}"
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _WRONG_SHAPE


def written(rows: int) -> Check:
    def check(answer: Answer) -> str:
        read = _read(_written, answer)
        if isinstance(read, str):
            return read
        return "" if read.rows_affected == rows else _WRONG_CONTENT

    return check


def fetched(identity: str) -> Check:
    def check(answer: Answer) -> str:
        read = _read(_document, answer)
        if isinstance(read, str):
            return read
        if answer.cache not in CACHE_WORDS:
            return _NO_CACHE_HEADER
        return "" if read.id == identity and read.attributes else _WRONG_CONTENT

    return check


def absent(answer: Answer) -> str:
    """Check the answer to a fetch of a document that nobody wrote."""
    return "" if answer.status == 404 else f"status {answer.status}"


def fetched_all(asked: list[str], unwritten: set[str]) -> Check:
    """Check a batch fetch: documents in the order asked for, and those missing that must be."""

    def check(answer: Answer) -> str:
        read = _read(_documents, answer)
        if isinstance(read, str):
            return read
        if answer.cache not in CACHE_WORDS:
            return _NO_CACHE_HEADER
        found = [document.id for document in read.documents]
        due = [identity for identity in asked if identity not in unwritten]
        return "" if found == due and set(read.missing) == unwritten else _WRONG_CONTENT

    return check


def queried(rows_max: int) -> Check:
    def check(answer: Answer) -> str:
        read = _read(_queried, answer)
        if isinstance(read, str):
            return read
        return "" if 0 < len(read.rows) <= rows_max else _WRONG_CONTENT

    return check


def staged(document: str, chunks: int) -> Check:
    def check(answer: Answer) -> str:
        read = _read(_staged, answer)
        if isinstance(read, str):
            return read
        good = (read.document_id, read.stage, read.chunk_count) == (document, "pending", chunks)
        return "" if good else _WRONG_CONTENT

    return check


def claimed(answer: Answer) -> str:
    """Check a claim of one document, of which at least one waits."""
    read = _read(_claimed, answer)
    if isinstance(read, str):
        return read
    return "" if len(read.documents) == 1 else "nothing claimed"


def claimed_document(answer: Answer) -> str:
    """Give the id in an answer that `claimed` found good."""
    return _claimed.decode(answer.body).documents[0]


def updated(answer: Answer) -> str:
    """Check a heartbeat or a change of stage of one document."""
    read = _read(_updated, answer)
    if isinstance(read, str):
        return read
    return "" if read.updated == 1 else "nothing updated"


def chunks_read(count: int) -> Check:
    def check(answer: Answer) -> str:
        read = _read(_chunks, answer)
        if isinstance(read, str):
            return read
        return "" if len(read) == count else _WRONG_CONTENT

    return check
