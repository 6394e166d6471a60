"""Whether all that is known of documents agrees: every database of a file against every other."""

from collections import Counter

from hevfast.pipelines.lmdb_book import Book, book_of, kept_of
from hevfast.pipelines.lmdb_keys import id_key, number_key, place_key, stage_key
from hevfast.pipelines.lmdb_pages import OF_DOCUMENTS
from hevfast.pipelines.model import INDEXED, Document

Tables = dict[str, dict[bytes, bytes]]


def audit(tables: Tables) -> str:
    """Give the first disagreement found, or nothing."""
    known = set()
    for text, record in tables["pipelines"].items():
        book = book_of(record)
        number = number_key(book.number)
        known.add(number)
        if tables["numbers"].get(number) != text:
            return f"pipeline {text!r} is not found by its number"
        own = {
            name: {key[4:]: each for key, each in tables[name].items() if key[:4] == number}
            for name in OF_DOCUMENTS
        }
        wrong = _audit_pipeline(own, book)
        if wrong:
            return f"pipeline {text!r}: {wrong}"
    if set(tables["numbers"]) != known:
        return "a number without a pipeline"
    doomed = set(tables["doomed"])
    if doomed & known:
        return "a living pipeline is doomed"
    for name in OF_DOCUMENTS:
        stray = {key[:4] for key in tables[name]} - known - doomed
        if stray:
            return f"{name} of no pipeline: {stray}"
    return ""


def _audit_pipeline(own: Tables, book: Book) -> str:
    """Look at what a pipeline has; the keys are those behind its number."""
    kept = {place: kept_of(record) for place, record in own["documents"].items()}
    documents = {place: each.document for place, each in kept.items()}
    for place, document in documents.items():
        if place != place_key(document.position) or document.position > book.position:
            return f"{kept[place].text} is not where it says, or was never given its position"
    waiting = {place: each for place, each in documents.items() if each.lease is None}
    line = {stage_key(each.stage) + place for place, each in waiting.items()}
    leases = {
        place_key(each.lease.ends_ms) + place
        for place, each in documents.items()
        if each.lease is not None
    }
    names = {
        stage_key(each.stage) + id_key(kept[place].text.encode()): place
        for place, each in waiting.items()
    }
    needed = {
        key: place
        for key, place in names.items()
        # Those further back in the line are still to be written.
        if book.named and not _unnamed(own, book, stage_key(waiting[place].stage) + place)
    }
    chunks = {place for place, each in documents.items() if each.chunk_count}
    # No chunks: written as such, or never written.
    empty = {p for p, each in documents.items() if not each.chunk_count and each.stage != INDEXED}
    for what, found, expected in (
        ("ids", own["ids"], {id_key(each.text.encode()): place for place, each in kept.items()}),
        ("line", set(own["line"]), line),
        ("leases", set(own["leases"]), leases),
        ("names", needed | own["names"], own["names"]),
        ("names", names | own["names"], names),
        ("chunks", set(own["chunks"]) - empty, chunks),
        ("rows of nothing", set(own["rows"]) - set(kept), set()),
    ):
        if found != expected:
            return f"{what}: {found} for {expected}"
    return _audit_counts(book, list(documents.values()))


def _unnamed(own: Tables, book: Book, key: bytes) -> bool:
    start = own["unnamed"].get(b"")
    return start is not None and number_key(book.number) + key >= start


def _audit_counts(book: Book, documents: list[Document]) -> str:
    for what, counted, expected in (
        ("stages", book.stages, Counter(each.stage for each in documents)),
        ("reasons", book.reasons, Counter(each.reason for each in documents if each.reason)),
        ("origins", book.origins, Counter(each.lease.origin for each in documents if each.lease)),
    ):
        if counted != dict(expected):
            return f"{what} are {dict(expected)}, counted are {counted}"
    return ""
