"""One namespace in memory: its documents, vector matrices, schema and settings."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .document import Document, Rows
from .indexes import switched_on
from .indexing import Backlog, Commit, Indexing
from .limits import INDEXED_BYTES_MIN
from .textindex import TextIndex
from .types import Type
from .values import Attributes, Id, bytes_of
from .vectors import VectorColumn

if TYPE_CHECKING:
    from .attribute import Schema


class Namespace:
    """State of one namespace.

    Invariant: it is read and changed only on the event loop, between awaits, so that each write
    is atomic and each query sees one snapshot.
    """

    def __init__(self, name: str, indexing: Indexing | None = None) -> None:
        self.name = name
        self.schema: Schema = {}
        self.metric: str | None = None
        self.encryption: dict[str, object] = {"mode": "default"}
        self.shard_count: int | None = None
        self.replica_count: int | None = None
        self.read_only = False
        self.parent: str | None = None
        self.created_at = datetime.now(UTC)
        self.updated_at = self.created_at
        self.last_write_at = self.created_at
        self.documents: dict[Id, Document] = {}
        self.columns: dict[str, VectorColumn] = {}
        self.texts: dict[str, TextIndex] = {}
        self.logical_bytes = 0
        # What metadata shows of the two; they stand still while the backlog is too large.
        self.approx_rows = self.approx_bytes = 0
        self.indexing = indexing or Indexing()
        self.backlog = Backlog()
        # The newest version in each matrix row, None where the row is free.
        self.owners: list[Document | None] = []
        self._free: list[int] = []
        self._rows: Rows | None = None
        # What an eventual query sees, for a length of the tail; kept until anything moves.
        self._indexed: tuple[int, Rows | None] | None = None
        # What the write under way has replaced, and indexes that it has asked for.
        self._replaced: dict[Id, Document | None] = {}
        self._building: list[str] = []

    def __repr__(self) -> str:
        return f"<Namespace {self.name} rows={len(self.documents)} bytes={self.logical_bytes}>"

    def rows(self) -> Rows:
        """List the documents by ascending id; kept until the next write."""
        if self._rows is None:
            self._rows = Rows.listed(self.documents.values())
        return self._rows

    def indexed_rows(self) -> Rows | None:
        """List what an eventual query sees: what is indexed, and the oldest of what is not.

        None says that this is everything.
        """
        tail_bytes = self.indexing.eventual_tail_bytes
        if self._indexed is None or self._indexed[0] != tail_bytes:
            instead = self.backlog.shown(tail_bytes)
            seen = {**self.documents, **instead}
            rows = Rows.listed(filter(None, seen.values())) if instead else None
            self._indexed = (tail_bytes, rows)
        return self._indexed[1]

    def chosen(self, ids: Iterable[Id]) -> Rows:
        """List those of the given documents that exist, by ascending id."""
        return Rows.listed(self.documents[id_] for id_ in set(ids) if id_ in self.documents)

    def touch(self, *, wrote: bool) -> None:
        self.updated_at = datetime.now(UTC)
        if wrote:
            self.last_write_at = self.updated_at

    def change_schema(self, schema: "Schema") -> None:
        """Take a new schema; an index that is new on an old attribute is built in its turn."""
        for name, old in self.schema.items():
            new = schema.get(name)
            if new is not None and self.documents and switched_on(old, new):
                schema[name] = replace(new, is_building=True)
                self._building.append(name)
        self.schema = schema

    # Changing documents: first the room for a whole write, then its documents one by one, then
    # the end of the write, which makes it wait for the index.

    def ensure_column(self, name: str, type_: Type) -> None:
        if name not in self.columns:
            self.columns[name] = VectorColumn(type_)

    def slots_for(self, ids: Collection[Id]) -> dict[Id, int]:
        """Find a free matrix row for each id, none of them in use by any version.

        The matrices are grown before any row is taken, so that running out of memory changes
        nothing.
        """
        reused = min(len(ids), len(self._free))
        held = len(self.owners)
        for column in self.columns.values():
            column.reserve(held + len(ids) - reused)
        fresh = range(held, held + len(ids) - reused)
        self.owners.extend([None] * len(fresh))
        slots = [*(self._free.pop() for _ in range(reused)), *fresh]
        return dict(zip(ids, slots, strict=True))

    def put(self, id_: Id, slot: int, attributes: Attributes, size_bytes: int) -> None:
        old = self.documents.get(id_)
        new = Document(id_, slot, attributes, size_bytes)
        self.logical_bytes += size_bytes - (old.size_bytes if old else 0)
        if old is not None and old.slot == slot:
            old.passed_on = True
        elif old is not None:
            self._leave(old.slot)
        if old is not None and id_ in self._replaced:
            # Changed twice in one write: nobody has seen the version in between.
            for index in self.texts.values():
                index.remove(old)
        self.documents[id_] = new
        self.owners[slot] = new
        self._replaced.setdefault(id_, old)
        for index in self.texts.values():
            index.add(new)

    def remove(self, id_: Id) -> None:
        old = self.documents.pop(id_, None)
        if old is not None:
            self.logical_bytes -= old.size_bytes
            self._leave(old.slot)
            self._replaced.setdefault(id_, old)

    def _leave(self, slot: int) -> None:
        """Note that the newest version is elsewhere; an older one may still be seen here."""
        self.owners[slot] = None
        for column in self.columns.values():
            column.live[slot] = False

    @property
    def is_backlogged(self) -> bool:
        """Whether so much is not indexed that the service pushes back."""
        return self.backlog.size_bytes > self.indexing.unindexed_bytes_max

    def finish_write(self, size_bytes: int) -> None:
        """End a write: from now on it waits to be indexed."""
        if self._replaced or self._building:
            self._rows = None
            self._indexed = None
            committed_s = self.indexing.clock()
            self.backlog.add(Commit(committed_s, self._replaced, size_bytes, self._building))
            self._replaced, self._building = {}, []
        self.catch_up()

    def catch_up(self) -> None:
        """Let the index see what is due; versions that nobody sees any more give up their room."""
        for commit in self.backlog.indexed(self.name, self.indexing):
            self._indexed = None
            for old in filter(None, commit.replaced.values()):
                self._retire(old)
            for name in commit.built:
                if name in self.schema:
                    self.schema[name] = replace(self.schema[name], is_building=False)
        # Very little data is never indexed, and what is not has no size, as official tests expect.
        indexes = self.indexing.is_on or self.logical_bytes >= INDEXED_BYTES_MIN
        if indexes and not self.is_backlogged:
            self.approx_rows, self.approx_bytes = len(self.documents), self.logical_bytes

    def _retire(self, old: Document) -> None:
        for index in self.texts.values():
            index.remove(old)
        if not old.passed_on:
            self._free.append(old.slot)

    def strip(self, names: Iterable[str]) -> None:
        """Remove attributes from every document; to be called while the schema still has them."""
        gone = frozenset(names)
        for id_, document in list(self.documents.items()):
            lost = gone.intersection(document.attributes)
            if lost:
                held = document.attributes
                kept = {key: value for key, value in held.items() if key not in lost}
                less = sum(bytes_of(self.schema[key].type, held[key]) for key in lost)
                self.put(id_, document.slot, kept, document.size_bytes - less)

    def text_index(self, name: str) -> TextIndex:
        """The full-text index of one attribute, built when it is first asked for."""
        settings = self.schema[name].full_text_search or {}
        index = self.texts.get(name)
        if index is None or index.settings != settings:
            index = self.texts[name] = TextIndex(name, settings)
            for document in (*self.documents.values(), *self.backlog.versions()):
                index.add(document)
        return index

    def copy(self, name: str) -> "Namespace":
        """Duplicate documents, schema and settings under another name, with packed matrices."""
        twin = Namespace(name, self.indexing)
        twin.schema = {key: replace(entry, is_building=False) for key, entry in self.schema.items()}
        twin.metric = self.metric
        twin.encryption = dict(self.encryption)
        twin.shard_count = self.shard_count
        rows = self.rows()
        for column_name, column in self.columns.items():
            twin.columns[column_name] = column.packed(rows.slots)
        twin.owners = [None] * len(rows)
        for slot, document in enumerate(rows.documents):
            twin.put(document.id, slot, document.attributes, document.size_bytes)
        twin.finish_write(self.logical_bytes)
        return twin
