"""The changes of one write, laid over the stored documents until all are known to be good."""

from dataclasses import dataclass, field

from .namespace import Namespace
from .values import Attributes, Id


@dataclass(frozen=True, slots=True)
class Staged:
    """A document as it will be. `field` and `row` say where its vectors come from.

    Without a field it is a patched document, which keeps the vectors that it has.
    """

    attributes: Attributes
    size_bytes: int
    field: str | None = None
    row: int = 0


@dataclass(slots=True)
class Staging:
    """What a write would do. None among the changes stands for a deletion."""

    namespace: Namespace
    dropped: frozenset[str]
    changes: dict[Id, Staged | None] = field(default_factory=dict)
    upserted: list[Id] = field(default_factory=list)
    patched: list[Id] = field(default_factory=list)
    deleted: list[Id] = field(default_factory=list)
    rows_remaining: bool = False

    def get(self, id_: Id) -> Attributes | None:
        """Read a document as the steps before this one have left it."""
        if id_ in self.changes:
            staged = self.changes[id_]
            return None if staged is None else staged.attributes
        document = self.namespace.documents.get(id_)
        if document is None:
            return None
        if self.dropped:
            held = document.attributes
            return {name: value for name, value in held.items() if name not in self.dropped}
        return document.attributes
