"""One version of one document, and the listing of many by ascending id."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .values import Attributes, Id
from .vectors import Slots


@dataclass(eq=False, slots=True)
class Document:
    """One version of a document. It never changes; a newer version is another object.

    `slot` is its row in the vector matrices, which is `passed_on` to the next version if that is a
    patch. Versions are told apart by identity, so that they can be keys.
    """

    id: Id
    slot: int
    attributes: Attributes
    size_bytes: int
    passed_on: bool = False


class Rows:
    """Documents by ascending id."""

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents

    def __repr__(self) -> str:
        return f"<Rows {len(self.documents)}>"

    def __len__(self) -> int:
        return len(self.documents)

    @classmethod
    def listed(cls, documents: Iterable[Document]) -> "Rows":
        return cls(sorted(documents, key=_id_of))

    @cached_property
    def slots(self) -> Slots:
        slots = (document.slot for document in self.documents)
        return np.fromiter(slots, np.intp, len(self.documents))


def _id_of(document: Document) -> Id:
    return document.id
