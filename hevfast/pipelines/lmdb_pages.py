"""One transaction on the pipelines' file, and the books of pipelines that it has opened."""

import time
from typing import Any, Final, Protocol, cast

import lmdb

from hevfast.pipelines.lmdb_book import Book, book_number, book_of, packed_book
from hevfast.pipelines.lmdb_keys import behind, number_key, number_of, place_key, place_of
from hevfast.pipelines.model import Pipeline
from hevfast.pipelines.store import (
    PIPELINES_MAX,
    TooManyPipelinesError,
    UnableError,
    UnknownPipelineError,
)

# Databases of what belongs to documents: a deleted pipeline's range is removed from each.
OF_DOCUMENTS: Final = ("documents", "ids", "line", "names", "unnamed", "leases", "chunks", "rows")
# `pipelines`: id → book; `numbers`: number → id, in the order of creation; `doomed`: numbers of
# deleted pipelines that something is left of; `pushed`: namespace → until when upstream counts as
# having pushed back; `facts`: the last number, the time, the boot that the clock is counted from.
DATABASES: Final = (*OF_DOCUMENTS, "pipelines", "numbers", "doomed", "pushed", "facts")

# Of the file's bytes: from here on nothing is taken in. The rest is for what makes room again.
_FULL: Final = 7 / 8

# Documents changed between two short sleeps, and how long those are in seconds: a millisecond of
# work, and a tenth of that.
_GIVE_WAY_EVERY: Final = 100
_GIVE_WAY_S: Final = 0.000_02

_NOW: Final = b"now"
_LAST_NUMBER: Final = b"number"


class File(Protocol):
    """An open file, as a transaction needs it."""

    databases: dict[str, Any]
    page_bytes: int
    bytes_max: int


class Pages:
    """One transaction. `now_ms`: its time, never before that of one committed earlier."""

    __slots__ = ("_books", "_changed", "_done", "_file", "_transaction", "now_ms", *DATABASES)

    documents: Any
    ids: Any
    unnamed: Any
    line: Any
    names: Any
    leases: Any
    chunks: Any
    rows: Any
    pipelines: Any
    numbers: Any
    doomed: Any
    pushed: Any
    facts: Any

    def __init__(self, file: File, transaction: lmdb.Transaction, now_ms: int) -> None:
        self._file = file
        self._transaction = transaction
        for name, database in file.databases.items():
            setattr(self, name, database)
        self._books: dict[str, tuple[Book, bytes]] = {}
        last = self.get(self.facts, _NOW)
        self.now_ms = max(now_ms, place_of(last) if last else 0)
        self._changed = False
        self._done = 0

    # Entries

    def get(self, database: Any, key: bytes) -> bytes | None:
        # The transaction was opened without `buffers`, so what comes is bytes. Arguments by place,
        # here and below: the library takes half as long again for those by name.
        return cast("bytes | None", self._transaction.get(key, None, database))

    def put(self, database: Any, key: bytes, value: bytes) -> None:
        self._changed = True
        self._transaction.put(key, value, True, True, False, database)

    def delete(self, database: Any, key: bytes) -> None:
        self._changed = True
        self._transaction.delete(key, b"", database)

    def between(
        self, database: Any, start: bytes, end: bytes | None, count: int
    ) -> list[tuple[bytes, bytes]]:
        """Give the first entries with keys from `start` to before `end`, at most `count`."""
        entries: list[tuple[bytes, bytes]] = []
        with self._transaction.cursor(database) as cursor:
            found = cursor.set_range(start)
            while found and len(entries) < count:
                # The transaction was opened without `buffers`, so what comes is bytes.
                key, value = cast("tuple[bytes, bytes]", cursor.item())
                if end is not None and key >= end:
                    break
                entries.append((key, value))
                found = cursor.next()
        return entries

    def prefixed(self, database: Any, prefix: bytes, count: int) -> list[tuple[bytes, bytes]]:
        """Give the first entries whose keys begin with the prefix, at most `count`."""
        return self.between(database, prefix, behind(prefix), count)

    def clear(self, database: Any, prefix: bytes, count: int) -> int:
        """Delete entries whose keys begin with the prefix, at most `count`; give how many."""
        cleared = 0
        with self._transaction.cursor(database) as cursor:
            found = cursor.set_range(prefix)
            while found and cleared < count:
                if not cast("bytes", cursor.key()).startswith(prefix):
                    break
                self._changed = True
                found = cursor.delete()
                cleared += 1
        return cleared

    def give_way(self) -> None:
        """Let the event loop have the interpreter's lock, now and then.

        Calls of LMDB let go of it for too short a time for another thread to wake up and take it.
        """
        self._done += 1
        if not self._done % _GIVE_WAY_EVERY:
            time.sleep(_GIVE_WAY_S)

    # Pipelines

    def book(self, pipeline: str) -> Book:
        """Give a pipeline's book, the same one throughout the transaction.

        Raises: UnknownPipelineError.
        """
        kept = self._books.get(pipeline)
        if kept is None:
            record = self.get(self.pipelines, pipeline.encode())
            if record is None:
                raise UnknownPipelineError(pipeline)
            kept = self._books[pipeline] = (book_of(record), record)
        return kept[0]

    def book_number(self, pipeline: str) -> bytes:
        """Give a pipeline's number as keys have it, for those who need no more of its book.

        Raises: UnknownPipelineError.
        """
        record = self.get(self.pipelines, pipeline.encode())
        if record is None:
            raise UnknownPipelineError(pipeline)
        return book_number(record)

    def keep(self) -> None:
        """Write what is kept once a transaction: the books and the time. The last thing done."""
        for pipeline, (book, record) in self._books.items():
            packed = packed_book(book)
            if packed != record:
                self.put(self.pipelines, pipeline.encode(), packed)
        if self._changed:
            # Not otherwise: an idle host would write to its disk every second.
            self.put(self.facts, _NOW, place_key(self.now_ms))

    def create(self, pipeline: Pipeline) -> bool:
        """Begin a pipeline's book under a number that no other has had or will have.

        Raises: TooManyPipelinesError.
        """
        text = pipeline.id.encode()
        if pipeline.id in self._books or self.get(self.pipelines, text) is not None:
            return False
        if self._transaction.stat(self.numbers)["entries"] >= PIPELINES_MAX:
            raise TooManyPipelinesError
        self.demand_room()
        last = self.get(self.facts, _LAST_NUMBER)
        number = (place_of(last) if last else 0) + 1
        self.put(self.facts, _LAST_NUMBER, place_key(number))
        self.put(self.numbers, number_key(number), text)
        self.put(self.pipelines, text, packed_book(Book(pipeline, number)))
        return True

    def remove(self, pipeline: str) -> None:
        """Remove a pipeline's book; what belongs to its documents is removed later.

        Raises: UnknownPipelineError.
        """
        number = number_key(self.book(pipeline).number)
        del self._books[pipeline]
        self.delete(self.pipelines, pipeline.encode())
        self.delete(self.numbers, number)
        self.put(self.doomed, number, b"")

    def created_after(self, number: int, count: int) -> list[Book]:
        """Give the next pipelines in the order of creation."""
        after = self.between(self.numbers, number_key(number + 1), None, count)
        return [self.book(text.decode()) for _, text in after]

    # Room

    def demand_room(self) -> None:
        """Refuse what makes the file grow for good, if it is nearly full.

        Raises: UnableError.
        """
        used = 0
        for name in OF_DOCUMENTS:
            stat = self._transaction.stat(self._file.databases[name])
            used += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        if used * self._file.page_bytes > _FULL * self._file.bytes_max:
            raise UnableError("the pipelines' file is full")


def earliest(pages: Pages, database: Any, number: int) -> int | None:
    """Give the first pipeline from `number` on that has an entry in a database."""
    found = pages.between(database, number_key(number), None, 1)
    return number_of(found[0][0]) if found else None
