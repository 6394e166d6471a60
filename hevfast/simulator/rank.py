"""Orders that rows can be asked for: by attributes, or by exact distance to a vector."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import shapes
from .answers import bad_request, not_simulated
from .filters import known
from .limits import ORDER_KEYS_MAX
from .namespace import Document, Namespace, Ordered
from .schema import Schema
from .types import Kind
from .values import Id
from .vectors import Matrix, fit, stack

# Rows of a matrix that are compared at once, to bound the memory of one query: 4,096 rows of
# 1,536 doubles are 50 MB.
_CHUNK_ROWS = 4096

_SCORES = frozenset({"BM25", "SparseKNN", "Sum", "Max", "Product", "Attribute", "Saturate"}) | {
    "Decay",
    "Dist",
}


@dataclass(frozen=True, slots=True)
class ByAttributes:
    """Keys in order of importance: attribute, and whether descending."""

    keys: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class ByDistance:
    """Nearest first, by the metric of the column; equal distances by ascending id."""

    column: str
    query: Matrix
    metric: str
    needs_filters: bool


Ranking: TypeAlias = ByAttributes | ByDistance


def parse_rank(value: object, schema: Schema) -> Ranking:
    """Read a `rank_by`. Full-text and other scores are refused plainly."""
    parts = shapes.sequence("rank_by", value)
    match parts:
        case [list(), *_] if all(isinstance(part, list) for part in parts):
            if len(parts) > ORDER_KEYS_MAX:
                raise bad_request(f"rank_by: at most {ORDER_KEYS_MAX} order keys")
            return ByAttributes(tuple(_key(part, schema) for part in parts))
        case [str(), "asc" | "desc"]:
            return ByAttributes((_key(parts, schema),))
        case [str(name), "ANN" | "kNN" as method, query]:
            return _by_distance(name, query, schema, needs_filters=method == "kNN")
        case [str(first), *rest]:
            found = {word for word in (first, *rest[:1]) if isinstance(word, str)} & _SCORES
            if found:
                raise not_simulated(
                    f"rank_by with {found.pop()}; only ANN, kNN and attribute order are"
                )
    raise bad_request(
        'rank_by: expected [attribute, "asc"|"desc"], an array of these, '
        'or [vector, "ANN"|"kNN", query]'
    )


def in_order(ranking: ByAttributes, rows: list[tuple[Id, Document]]) -> list[tuple[Id, Document]]:
    """Sort rows that come by ascending id. Nulls are first ascending and last descending."""
    for name, descending in reversed(ranking.keys):
        if name == "id":
            rows = sorted(rows, key=lambda row: row[0], reverse=descending)
            continue

        def key(row: tuple[Id, Document], name: str = name) -> tuple[bool, Any]:
            value = row[1].attributes.get(name)
            return (value is not None, 0 if value is None else value)

        rows = sorted(rows, key=key, reverse=descending)
    return rows


def distances(namespace: Namespace, ranking: ByDistance, slots: NDArray[np.intp]) -> Matrix:
    """Compute the distance of each slot's vector, in doubles, rounded to float32 at the end.

    Rounding first and sorting then makes rows tie that the wire could not tell apart.
    """
    query = ranking.query.astype(np.float64)
    column = namespace.columns[ranking.column]
    result = np.empty(len(slots), np.float32)
    for start in range(0, len(slots), _CHUNK_ROWS):
        chunk = slots[start : start + _CHUNK_ROWS]
        rows = column.take(chunk).astype(np.float64)
        result[start : start + len(chunk)] = _distance(ranking.metric, rows, query)
    return result


def nearest(
    namespace: Namespace, ranking: ByDistance, candidates: Ordered
) -> tuple[list[int], Matrix]:
    """Order candidates, which come by ascending id; return their indices and distances."""
    found = distances(namespace, ranking, candidates.slots)
    order = np.argsort(found, kind="stable")
    return order.tolist(), found[order]


def _distance(
    metric: str, rows: NDArray[np.float64], query: NDArray[np.float64]
) -> NDArray[np.float64]:
    if metric == "euclidean_squared":
        apart = rows - query
        squares: NDArray[np.float64] = np.einsum("ij,ij->i", apart, apart)
        return squares
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * np.sqrt(query @ query)
    # A zero vector has no direction; a distance of 1 for it is our own choice.
    similar: NDArray[np.float64] = np.divide(
        rows @ query, lengths, out=np.zeros(len(rows)), where=lengths > 0
    )
    apart = 1.0 - similar
    return apart.clip(0.0, 2.0)


def _key(part: object, schema: Schema) -> tuple[str, bool]:
    match part:
        case [str(name), "asc" | "desc" as direction]:
            entry = known(name, schema)
            if not entry.filterable or entry.type.is_array:
                raise bad_request(
                    f"rank_by: attribute `{name}` cannot be ordered by; it needs a "
                    "filterable attribute that is not an array"
                )
            return name, direction == "desc"
    raise bad_request('rank_by: each order key is [attribute, "asc"|"desc"]')


def _by_distance(name: str, query: object, schema: Schema, *, needs_filters: bool) -> ByDistance:
    if isinstance(query, list) and query and isinstance(query[0], str):
        raise not_simulated(f"an expression such as {query[0]} in place of a query vector")
    entry = known(name, schema)
    if entry.type.kind is not Kind.DENSE or entry.metric is None:
        raise bad_request(f"rank_by: attribute `{name}` is {entry.type.name}, not a dense vector")
    block = stack(name, [query])
    if entry.type.element != "i8":
        block = np.asarray(fit(name, block, entry.type), np.float32)
    elif block.shape[1] != entry.type.dimensions:
        fit(name, np.zeros_like(block), entry.type)
    return ByDistance(name, block[0], entry.metric, needs_filters)
