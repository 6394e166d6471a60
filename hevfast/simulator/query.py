"""A query: reading its body, and finding the rows or aggregates that answer it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import shapes
from .aggregate import Aggregation, grouped, parse_aggregation, totals
from .answers import bad_request, bad_shape, not_simulated
from .attribute import Schema
from .compute import Computation, computed, parse_computations
from .document import Document, Rows
from .filters import NOTHING, Predicate, compiled, named_ids
from .limits import GROUPS_MAX, ROWS_DEFAULT, ROWS_MAX
from .namespace import Namespace
from .rank import ByDistance, ByInteraction, Ranking, parse_rank, ranked
from .types import Kind
from .values import Id


@dataclass(slots=True)
class Query:
    """One decoded query or sub-query."""

    ranking: Ranking | None
    aggregation: Aggregation | None
    test: Predicate | None
    # The only ids that the filter can match, where it names them.
    ids: list[Id] | None
    included: list[str]
    limit: int
    offset: int = 0
    # Rows per distinct combination of these attributes, if capped.
    per: tuple[list[str], int] | None = None
    computations: dict[str, Computation] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """Rows that answer a query, with copies of their vectors, so that they stay as they were."""

    schema: Schema
    included: list[str]
    rows: list[Document] = field(default_factory=list)
    distances: NDArray[np.float32] | None = None
    vectors: dict[str, NDArray[Any]] = field(default_factory=dict)
    computed: dict[str, list[float]] = field(default_factory=dict)
    # The answer itself, where the query aggregates.
    aggregated: dict[str, object] | None = None


def parse_query(fields: dict[str, object], schema: Schema) -> Query:
    """Read one query body; fields that are null count as absent (unconfirmed)."""
    fields = {name: value for name, value in fields.items() if value is not None}
    if "rerank_by" in fields:
        raise not_simulated("rerank_by with a model")
    aggregation = None
    if "aggregate_by" in fields:
        for name in ("rank_by", "include_attributes", "exclude_attributes"):
            if name in fields:
                raise bad_request(f"aggregate_by cannot be combined with {name}")
        if "group_by" in fields and "limit" in fields:
            raise bad_request("group_by takes top_k, not limit")
        aggregation = parse_aggregation(fields["aggregate_by"], fields.get("group_by"), schema)
    elif "group_by" in fields:
        raise bad_request("group_by needs aggregate_by")
    elif "rank_by" not in fields:
        raise bad_request("rank_by is required unless aggregate_by is given")
    filters = fields.get("filters")
    query = Query(
        ranking=None if aggregation else parse_rank(fields["rank_by"], schema),
        aggregation=aggregation,
        test=None if filters is None else compiled(filters, schema),
        ids=named_ids(filters, schema),
        included=_included(fields, schema),
        limit=GROUPS_MAX if aggregation else ROWS_DEFAULT,
    )
    _read_limits(query, fields, schema)
    if "compute_attributes" in fields:
        query.computations = parse_computations(fields["compute_attributes"], schema)
    match query.ranking:
        case ByDistance(needs_filters=True) | ByInteraction(needs_filters=True) if filters is None:
            raise bad_request("rank_by: kNN needs filters; use ANN without them")
    return query


def is_eventual(value: object) -> bool:
    """Read the object form of `consistency`."""
    if value is None:
        return False
    if not isinstance(value, dict):
        raise bad_shape(
            f"consistency: invalid type: {shapes.describe(value)}, expected struct Consistency"
        )
    level = value.get("level")
    if level not in ("strong", "eventual"):
        raise bad_shape(
            f"consistency.level: unknown variant `{level}`, expected `strong` or `eventual`"
        )
    staleness = value.get("max_staleness_seconds")
    if staleness is not None:
        # How stale an answer is depends on the index alone here.
        shapes.count("consistency.max_staleness_seconds", staleness)
    return bool(level == "eventual")


def vector_encoding(value: object) -> str:
    if value not in (None, "float", "base64"):
        raise bad_shape(f"vector_encoding: unknown variant `{value}`, expected `float` or `base64`")
    return "base64" if value == "base64" else "float"


def run(namespace: Namespace, query: Query, seen: Rows | None = None) -> Found:
    """Answer a query from the state of this moment. Pure, and never awaits: one snapshot.

    `seen` are the rows that an eventual query sees; None stands for all that are newest.
    """
    found = Found(namespace.schema, query.included)
    rows = _candidates(namespace, query, seen)
    if query.ranking is None:
        assert query.aggregation is not None
        documents = (namespace.rows() if rows is None else rows).documents
        if query.aggregation.groups:
            groups = grouped(query.aggregation, documents, namespace.schema, query.limit)
            found.aggregated = {"aggregation_groups": groups}
        else:
            found.aggregated = {"aggregations": totals(query.aggregation, documents)}
        return found
    count = query.offset + query.limit if query.per is None else None
    ordered, distances = ranked(namespace, query.ranking, rows, count)
    kept = _page(query, ordered)
    found.rows = [ordered[place] for place in kept]
    found.distances = None if distances is None else distances[kept]
    shown = Rows(found.rows)
    for name in found.included:
        if namespace.schema[name].type.kind is Kind.DENSE:
            found.vectors[name] = namespace.columns[name].take(shown.slots)
    for name, computation in query.computations.items():
        found.computed[name] = computed(namespace, shown, computation)
    return found


def _candidates(namespace: Namespace, query: Query, seen: Rows | None) -> Rows | None:
    """List the rows that pass the filter; None stands for all that are newest."""
    test = query.test
    if test is None:
        return seen
    if seen is not None:
        rows = seen
    else:
        rows = namespace.rows() if query.ids is None else namespace.chosen(query.ids)
    return Rows([row for row in rows.documents if test(row.id, row.attributes, NOTHING)])


def _page(query: Query, rows: list[Document]) -> list[int]:
    """Choose the places of the rows to return: offset, limit, and the cap per key."""
    if query.per is None:
        return list(range(query.offset, min(query.offset + query.limit, len(rows))))
    names, per_max = query.per
    counts: dict[str, int] = {}
    kept: list[int] = []
    for place, row in enumerate(rows):
        key = repr([row.id if name == "id" else row.attributes.get(name) for name in names])
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= per_max:
            kept.append(place)
            if len(kept) == query.offset + query.limit:
                break
    return kept[query.offset :]


def _included(fields: dict[str, object], schema: Schema) -> list[str]:
    """Resolve the wanted attributes; `id` is always there and never among them."""
    include, exclude = fields.get("include_attributes"), fields.get("exclude_attributes")
    if include is not None and exclude is not None:
        raise bad_request("include_attributes and exclude_attributes exclude each other")
    if exclude is not None:
        unwanted = set(shapes.texts("exclude_attributes", exclude))
        return [name for name in schema if name not in unwanted and name != "id"]
    if include is None or isinstance(include, bool):
        return [name for name in schema if name != "id"] if include else []
    names = shapes.texts("include_attributes", include)
    for name in names:
        if name not in schema:
            raise bad_request(
                f'attribute "{name}" not found in schema, cannot be part of `include_attributes`'
            )
    return [name for name in dict.fromkeys(names) if name != "id"]


def _read_limits(query: Query, fields: dict[str, object], schema: Schema) -> None:
    if "top_k" in fields and "limit" in fields:
        raise bad_request("top_k and limit exclude each other")
    if "offset" in fields:
        query.offset = shapes.count("offset", fields["offset"])
    limit = fields.get("limit", fields.get("top_k"))
    if isinstance(limit, dict):
        if isinstance(limit.get("per"), dict):
            query.per = _per(limit["per"], schema)
        limit = limit.get("total")
    if limit is not None:
        query.limit = shapes.count("limit" if "limit" in fields else "top_k", limit)
    if query.limit < 1 or query.limit + query.offset > ROWS_MAX:
        raise bad_request(f"limit must be at least 1, and with offset at most {ROWS_MAX}")


def _per(given: dict[str, object], schema: Schema) -> tuple[list[str], int]:
    names = shapes.texts("limit.per.attributes", given.get("attributes"))
    for name in _unknown(names, schema):
        raise bad_request(f"limit.per: attribute not found: {name}")
    return names, shapes.count("limit.per.limit", given.get("limit"))


def _unknown(names: Iterable[str], schema: Schema) -> list[str]:
    return [name for name in names if name not in schema]
