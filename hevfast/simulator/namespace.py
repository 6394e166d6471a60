"""One namespace in memory: its documents, vector matrices, schema and settings."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from .types import Type
from .values import Attributes, Id, bytes_of
from .vectors import Slots, VectorColumn

if TYPE_CHECKING:
    from .schema import Schema


@dataclass(frozen=True, slots=True)
class Document:
    """One stored document. Its attributes are never changed in place; a matrix row may be."""

    slot: int
    attributes: Attributes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Ordered:
    """All documents by ascending id, as parallel sequences."""

    ids: list[Id]
    documents: list[Document]
    slots: Slots


class Namespace:
    """State of one namespace.

    Invariant: it is read and changed only on the event loop, between awaits, so that each write
    is atomic and each query sees one snapshot.
    """

    def __init__(self, name: str) -> None:
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
        self.logical_bytes = 0
        self._free: list[int] = []
        self._slot_count = 0
        self._ordered: Ordered | None = None

    def __repr__(self) -> str:
        return f"<Namespace {self.name} rows={len(self.documents)} bytes={self.logical_bytes}>"

    def ordered(self) -> Ordered:
        """List the documents by ascending id; kept until the next write."""
        if self._ordered is None:
            self._ordered = self._listed(self.documents)
        return self._ordered

    def chosen(self, ids: Iterable[Id]) -> Ordered:
        """List those of the given documents that exist, by ascending id."""
        return self._listed(self.documents.keys() & ids)

    def _listed(self, ids: Iterable[Any]) -> Ordered:
        ascending: list[Id] = sorted(ids)
        documents = [self.documents[id_] for id_ in ascending]
        slots = np.fromiter((document.slot for document in documents), np.intp, len(documents))
        return Ordered(ascending, documents, slots)

    def touch(self, *, wrote: bool) -> None:
        self.updated_at = datetime.now(UTC)
        if wrote:
            self.last_write_at = self.updated_at

    # Changing documents: first the room for a whole write, then its documents one by one.

    def ensure_column(self, name: str, type_: Type) -> None:
        if name not in self.columns:
            self.columns[name] = VectorColumn(type_)

    def slots_for(self, ids: Collection[Id]) -> dict[Id, int]:
        """Find a matrix row for each id: its own if it exists, else an unused one.

        The matrices are grown before any row is taken, so that running out of memory changes
        nothing.
        """
        new = [id_ for id_ in ids if id_ not in self.documents]
        fresh_count = max(0, len(new) - len(self._free))
        for column in self.columns.values():
            column.reserve(self._slot_count + fresh_count)
        slots = {id_: self.documents[id_].slot for id_ in ids if id_ in self.documents}
        for id_ in new:
            if self._free:
                slots[id_] = self._free.pop()
            else:
                slots[id_] = self._slot_count
                self._slot_count += 1
        return slots

    def put(self, id_: Id, slot: int, attributes: Attributes, size_bytes: int) -> None:
        old = self.documents.get(id_)
        self.logical_bytes += size_bytes - (old.size_bytes if old else 0)
        self.documents[id_] = Document(slot, attributes, size_bytes)
        self._ordered = None

    def remove(self, id_: Id) -> None:
        old = self.documents.pop(id_, None)
        if old is not None:
            self.logical_bytes -= old.size_bytes
            self._free.append(old.slot)
            self._ordered = None

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

    def copy(self, name: str) -> "Namespace":
        """Duplicate documents, schema and settings under another name, with packed matrices."""
        twin = Namespace(name)
        twin.schema = dict(self.schema)
        twin.metric = self.metric
        twin.encryption = dict(self.encryption)
        twin.shard_count = self.shard_count
        twin.logical_bytes = self.logical_bytes
        ordered = self.ordered()
        for column_name, column in self.columns.items():
            twin.columns[column_name] = VectorColumn(column.type)
            twin.columns[column_name].matrix = column.take(ordered.slots)
        for slot, (id_, document) in enumerate(zip(ordered.ids, ordered.documents, strict=True)):
            twin.documents[id_] = Document(slot, document.attributes, document.size_bytes)
        twin._slot_count = len(ordered.ids)
        return twin
