"""Orders that rows can be asked for: by attributes, by exact distance to a vector, by score."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from . import shapes
from .answers import bad_request, not_simulated
from .attribute import Schema
from .distance import distances, exact, nearest_slots
from .document import Document, Rows
from .expression import is_score, parse_score
from .filters import known
from .limits import ORDER_KEYS_MAX
from .namespace import Namespace
from .score import Score
from .types import Kind
from .vectors import Matrix, fit, stack

# Below this share of all rows, measuring the chosen ones is less work than looking at all.
_CHOSEN_SHARE_MAX = 1 / 16


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


@dataclass(frozen=True, slots=True)
class ByInteraction:
    """Nearest first: the distances from each query vector to its nearest one in the row, added up.

    How the service makes one number of many vectors is unconfirmed.
    """

    name: str
    query: Matrix
    metric: str
    needs_filters: bool


@dataclass(frozen=True, slots=True)
class ByScore:
    """Highest first; equal scores by ascending id. Rows without a score are not found."""

    score: Score


Ranking: TypeAlias = ByAttributes | ByDistance | ByInteraction | ByScore
Ranked: TypeAlias = tuple[list[Document], Matrix | None]


def parse_rank(value: object, schema: Schema) -> Ranking:
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
    if is_score(parts):
        return ByScore(parse_score(parts, schema))
    raise bad_request(
        'rank_by: expected [attribute, "asc"|"desc"], an array of these, '
        '[vector, "ANN"|"kNN", query], or a score such as [attribute, "BM25", text]'
    )


def ranked(namespace: Namespace, ranking: Ranking, rows: Rows | None, count: int | None) -> Ranked:
    """Order rows, or all that are newest if None; only the first `count` need be right."""
    if isinstance(ranking, ByDistance):
        return _nearest(namespace, ranking, rows, count)
    if rows is None:
        rows = namespace.rows()
    if isinstance(ranking, ByAttributes):
        return _in_order(ranking, rows), None
    if isinstance(ranking, ByScore):
        scores = ranking.score.of(namespace, rows)
        places = np.flatnonzero(scores.found)
        values = scores.values[places].astype(np.float32)
        order = np.argsort(-values, kind="stable")
        return [rows.documents[place] for place in places[order]], values[order]
    return _interacting(ranking, rows)


def _nearest(
    namespace: Namespace, ranking: ByDistance, rows: Rows | None, count: int | None
) -> Ranked:
    column, owners = namespace.columns[ranking.column], namespace.owners
    query, metric = ranking.query, ranking.metric
    if rows is None:
        allowed = column.live[: len(owners)]
        slots = nearest_slots(column, query, metric, count or len(owners), allowed)
        held = Rows.listed(owner for slot in slots if (owner := owners[slot]) is not None)
    elif count is None or len(rows) <= len(owners) * _CHOSEN_SHARE_MAX:
        held = rows
    else:
        allowed = np.zeros(len(owners), np.bool_)
        allowed[rows.slots] = True
        slots = nearest_slots(column, query, metric, count, allowed)
        kept = np.flatnonzero(np.isin(rows.slots, slots))
        held = Rows([rows.documents[place] for place in kept])
    found = distances(column, query, metric, held.slots)
    order = np.argsort(found, kind="stable")
    return [held.documents[place] for place in order], found[order]


def _interacting(ranking: ByInteraction, rows: Rows) -> Ranked:
    held = [document for document in rows.documents if ranking.name in document.attributes]
    found = np.empty(len(held), np.float32)
    queries = ranking.query.astype(np.float64)
    for place, document in enumerate(held):
        vectors = np.array(document.attributes[ranking.name], np.float64)
        apart = [exact(ranking.metric, vectors, query).min() for query in queries]
        found[place] = sum(apart)
    order = np.argsort(found, kind="stable")
    return [held[place] for place in order], found[order]


def _in_order(ranking: ByAttributes, rows: Rows) -> list[Document]:
    """Sort rows that come by ascending id. Nulls are first ascending and last descending."""
    documents = rows.documents
    for name, descending in reversed(ranking.keys):

        def key(document: Document, name: str = name) -> tuple[bool, Any]:
            value = document.id if name == "id" else document.attributes.get(name)
            return (value is not None, 0 if value is None else value)

        if name != "id" or documents is not rows.documents:
            documents = sorted(documents, key=key, reverse=descending)
        elif descending:
            # They are in this order already, the other way round.
            documents = documents[::-1]
    return documents


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


def _by_distance(name: str, query: object, schema: Schema, *, needs_filters: bool) -> Ranking:
    if isinstance(query, list) and query and isinstance(query[0], str):
        raise not_simulated(f"an expression such as {query[0]} in place of a query vector")
    entry = known(name, schema)
    if entry.type.kind is Kind.MULTI and entry.metric is not None:
        if not isinstance(query, list) or not all(isinstance(part, list) for part in query):
            raise bad_request(f"rank_by: attribute `{name}` is ranked by an array of vectors")
        block = fit(name, stack(name, query), entry.type)
        return ByInteraction(name, block, entry.metric, needs_filters)
    return ByDistance(name, query_vector(name, query, schema), entry.metric or "", needs_filters)


def query_vector(name: str, query: object, schema: Schema) -> Matrix:
    """Read a vector to measure distances from."""
    entry = known(name, schema)
    if entry.type.kind is not Kind.DENSE or entry.metric is None:
        raise bad_request(f"rank_by: attribute `{name}` is {entry.type.name}, not a dense vector")
    block = stack(name, [query])
    if entry.type.element != "i8":
        block = np.asarray(fit(name, block, entry.type), np.float32)
    elif block.shape[1] != entry.type.dimensions:
        fit(name, np.zeros_like(block), entry.type)
    vector: Matrix = block[0]
    return vector
