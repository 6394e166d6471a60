"""Scores that rows can be ranked by: full text, sparse vectors, attributes, and sums of these."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .document import Rows
from .filters import NOTHING, Predicate
from .namespace import Namespace

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scores:
    """One score per row, and whether the row has one at all; rows without are not found."""

    values: Doubles
    found: Flags


class Score(Protocol):
    """One node of a ranking expression."""

    @property
    def is_signed(self) -> bool:
        """Whether it may be negative; such a score must be wrapped in one that is not."""
        ...

    def of(self, namespace: Namespace, rows: Rows) -> Scores: ...


@dataclass(frozen=True, slots=True)
class Constant:
    value: float
    is_signed: bool = False

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        return Scores(np.full(len(rows), self.value), np.zeros(len(rows), np.bool_))


@dataclass(frozen=True, slots=True)
class FullText:
    """BM25. A row without any of the tokens has no score."""

    name: str
    tokens: list[str]
    prefix: str
    is_signed: bool = False

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        scores = namespace.text_index(self.name).scores(self.tokens, self.prefix)
        each = (scores.get(document, 0.0) for document in rows.documents)
        values = np.fromiter(each, np.float64, len(rows))
        return Scores(values, values != 0)


@dataclass(frozen=True, slots=True)
class Matching:
    """A filter as a clause: 1 where it matches."""

    test: Predicate
    is_signed: bool = False

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        each = (self.test(document.id, document.attributes, NOTHING) for document in rows.documents)
        found = np.fromiter(each, np.bool_, len(rows))
        return Scores(found.astype(np.float64), found)


@dataclass(frozen=True, slots=True)
class Sparse:
    """The dot product of a sparse vector with a query; only shared dimensions count."""

    name: str
    query: dict[str, float]
    # Products may be negative, and are ranked as they are (unconfirmed).
    is_signed: bool = False

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        values = np.zeros(len(rows))
        for place, document in enumerate(rows.documents):
            held: Any = document.attributes.get(self.name)
            if held:
                shared = self.query.keys() & held.keys()
                values[place] = sum(self.query[key] * held[key] for key in shared)
        return Scores(values, values != 0)


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """A number or a moment, in milliseconds, as a score. Zero is a score here; null is none."""

    name: str
    is_signed: bool

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        held: list[Any] = [document.attributes.get(self.name) for document in rows.documents]
        found = np.array([value is not None for value in held], np.bool_)
        values = np.array([0 if value is None else value for value in held], np.float64)
        return Scores(values, found)


@dataclass(frozen=True, slots=True)
class Distant:
    """How far a score is from an origin."""

    inner: Score
    origin: float
    is_signed: bool = False

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        inner = self.inner.of(namespace, rows)
        return Scores(np.abs(inner.values - self.origin), inner.found)


@dataclass(frozen=True, slots=True)
class Bent:
    """`Saturate` goes from 0 to 1 and `Decay` from 1 to 0; both are a half at the midpoint."""

    inner: Score
    midpoint: float
    exponent: float
    decays: bool
    is_signed: bool = False

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        inner = self.inner.of(namespace, rows)
        # What is below zero counts as zero (unconfirmed).
        ratio = np.maximum(inner.values, 0.0) / self.midpoint
        with np.errstate(over="ignore"):
            power = ratio**self.exponent
        falling = 1.0 / (1.0 + power)
        return Scores(falling if self.decays else 1.0 - falling, inner.found)


@dataclass(frozen=True, slots=True)
class Combined:
    """`Sum` and `Max` of several scores; a row is found if one of them finds it."""

    parts: list[Score]
    takes_largest: bool

    @property
    def is_signed(self) -> bool:
        signs = [part.is_signed for part in self.parts]
        return all(signs) if self.takes_largest else any(signs)

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        scored = [part.of(namespace, rows) for part in self.parts]
        values = np.stack([part.values for part in scored])
        found: Flags = np.logical_or.reduce([part.found for part in scored])
        return Scores(values.max(axis=0) if self.takes_largest else values.sum(axis=0), found)


@dataclass(frozen=True, slots=True)
class Weighted:
    """`Product` of a weight and a score."""

    weight: float
    inner: Score

    @property
    def is_signed(self) -> bool:
        return self.inner.is_signed

    def of(self, namespace: Namespace, rows: Rows) -> Scores:
        inner = self.inner.of(namespace, rows)
        return Scores(inner.values * self.weight, inner.found & (self.weight != 0))
