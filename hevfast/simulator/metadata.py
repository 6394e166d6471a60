"""Views of a namespace: metadata in its two versions, the schema, recall, and a query plan."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from . import shapes
from .answers import bad_request
from .attribute import Attribute, dense_names
from .document import Rows
from .filters import NOTHING, compiled
from .namespace import Namespace
from .query import Query
from .rank import ByAttributes, ByDistance, ByInteraction, ByScore, ranked
from .types import VECTORS, Kind
from .vectors import numbers_of, shortest

RECALL_QUERIES_DEFAULT = 25
RECALL_NEIGHBOURS_DEFAULT = 10
# Our own choice; each is one exhaustive search.
RECALL_QUERIES_MAX = 1000


def metadata_v2(namespace: Namespace) -> dict[str, object]:
    """What current clients read: nulls left out, `ann` as an object."""
    schema: dict[str, object] = {
        name: _entry_v2(entry, name) for name, entry in namespace.schema.items()
    }
    return _metadata(namespace, schema, namespace.encryption)


def metadata_v1(namespace: Namespace) -> dict[str, object]:
    """What the documents show: schema with explicit nulls, another form of `encryption`."""
    encryption: dict[str, object] = {"sse": True}
    if namespace.encryption["mode"] != "default":
        encryption = {"cmek": {"key_name": namespace.encryption["key_name"]}}
    return _metadata(namespace, schema_view(namespace), encryption)


def schema_view(namespace: Namespace) -> dict[str, object]:
    return {name: _entry_v1(entry, name) for name, entry in namespace.schema.items()}


def update_metadata(namespace: Namespace, fields: dict[str, object]) -> None:
    """Apply `pinning` and `read_only`; both are checked before either is changed."""
    replica_count = namespace.replica_count
    if "pinning" in fields:
        replica_count = _replica_count(fields["pinning"])
    read_only = namespace.read_only
    if fields.get("read_only") is not None:
        read_only = shapes.boolean("read_only", fields["read_only"])
    namespace.replica_count = replica_count
    namespace.read_only = read_only
    namespace.touch(wrote=False)


def recall(namespace: Namespace, fields: dict[str, object]) -> dict[str, object]:
    """Answer a recall measurement; an exact search finds all that an exact search finds."""
    column = next(iter(dense_names(namespace.schema)), None)
    if column is None:
        raise bad_request("recall needs a namespace with a vector attribute")
    if fields.get("rank_by") is not None and fields.get("num") not in (None, 1):
        raise bad_request("recall: with rank_by, num must be null or 1")
    wanted = _count(fields, "num", RECALL_QUERIES_DEFAULT)
    if wanted > RECALL_QUERIES_MAX:
        raise bad_request(f"recall: num is at most {RECALL_QUERIES_MAX}")
    rows = namespace.rows()
    if fields.get("filters") is not None:
        test = compiled(fields["filters"], namespace.schema)
        rows = Rows([row for row in rows.documents if test(row.id, row.attributes, NOTHING)])
    neighbours = min(_count(fields, "top_k", RECALL_NEIGHBOURS_DEFAULT), len(rows))
    answer: dict[str, object] = {
        "avg_recall": 1.0,
        "avg_exhaustive_count": float(neighbours),
        "avg_ann_count": float(neighbours),
    }
    if fields.get("include_ground_truth") is True:
        answer["ground_truth"] = _ground_truth(namespace, column, rows, wanted, neighbours)
    return answer


def plan_text(namespace: Namespace, query: Query) -> str:
    """Describe how a query is answered here; the real service's plans read otherwise."""
    lines = [f"Scan namespace={namespace.name} rows={len(namespace.documents)} (exhaustive)"]
    if query.test is not None:
        lines.append("  Filter each row")
    match query.ranking:
        case ByDistance(column=column, metric=metric):
            lines.append(f"  Rank by exact {metric} of {column}")
        case ByAttributes(keys=keys):
            order = ", ".join(f"{name} {'desc' if down else 'asc'}" for name, down in keys)
            lines.append(f"  Order by {order}")
        case ByInteraction(name=name, metric=metric):
            lines.append(f"  Rank by exact {metric} of the vectors of {name}")
        case ByScore():
            lines.append("  Rank by score")
        case None:
            lines.append("  Aggregate")
    lines.append(f"  Limit {query.limit} offset {query.offset}")
    return "\n".join(lines)


def _metadata(
    namespace: Namespace, schema: dict[str, object], encryption: dict[str, object]
) -> dict[str, object]:
    answer: dict[str, object] = {
        "schema": schema,
        "approx_logical_bytes": namespace.approx_bytes,
        "approx_row_count": namespace.approx_rows,
        "created_at": _timestamp(namespace.created_at),
        "updated_at": _timestamp(namespace.updated_at),
        "last_write_at": _timestamp(namespace.last_write_at),
        "encryption": encryption,
        "index": _index(namespace),
    }
    if namespace.replica_count is not None:
        answer["pinning"] = _pinning(namespace.replica_count)
    if namespace.shard_count is not None:
        answer["sharding"] = {"num_shards": namespace.shard_count}
    if namespace.parent is not None:
        answer["branching"] = {"parent": namespace.parent}
    if namespace.read_only:
        answer["read_only"] = True
    return answer


def _index(namespace: Namespace) -> dict[str, object]:
    backlog = namespace.backlog
    if not backlog:
        return {"status": "up-to-date"}
    return {
        "status": "updating",
        "unindexed_bytes": backlog.size_bytes,
        "unindexed_rows": backlog.row_count,
    }


def _pinning(replica_count: int) -> dict[str, object]:
    status = {
        "ready_replicas": replica_count,
        "replicas": replica_count,
        "updated_at": _timestamp(datetime.now(UTC)),
        "utilization": 0.0,
    }
    return {"replicas": replica_count, "status": status}


def _replica_count(pinning: object) -> int | None:
    if pinning is None or pinning is False:
        return None
    if pinning is True:
        return 1
    replicas = shapes.mapping("pinning", pinning).get("replicas", 1)
    return shapes.count("pinning.replicas", 1 if replicas is None else replicas)


def _entry_v2(entry: Attribute, name: str) -> dict[str, object]:
    view = {key: value for key, value in _entry_v1(entry, name).items() if value is not None}
    if entry.metric is not None:
        view["ann"] = {"distance_metric": entry.metric}
        if entry.type.kind is Kind.MULTI:
            view["ann"] = {"distance_metric": entry.metric, "late_interaction": True}
    return view


def _entry_v1(entry: Attribute, name: str) -> dict[str, object]:
    view: dict[str, object] = {"type": entry.type.name}
    if entry.metric is not None:
        view["ann"] = True
    if entry.sparse_knn:
        view["sparse_knn"] = {"distance_metric": "dot_product"}
    plain = name != "id" and entry.type.kind not in VECTORS
    view["filterable"] = entry.filterable if plain else None
    view["full_text_search"] = entry.full_text_search
    for switch in ("regex", "glob", "fuzzy"):
        if getattr(entry, switch):
            view[switch] = True
    return view


def _count(fields: dict[str, object], name: str, default: int) -> int:
    value = fields.get(name)
    return default if value is None else shapes.count(name, value)


def _ground_truth(
    namespace: Namespace, column: str, rows: Rows, query_count: int, neighbours: int
) -> list[dict[str, Any]]:
    """Search for the first documents' own vectors."""
    metric = namespace.schema[column].metric or ""
    stored = namespace.columns[column]
    truth = []
    for vector in stored.take(rows.slots[:query_count]):
        ranking = ByDistance(column, vector.astype(np.float32), metric, needs_filters=False)
        documents, found = ranked(namespace, ranking, rows, neighbours)
        assert found is not None
        nearest = [
            {"$dist": distance, "id": document.id, column: numbers}
            for document, distance, numbers in zip(
                documents[:neighbours],
                shortest(found[:neighbours]).tolist(),
                numbers_of(stored.take(Rows(documents[:neighbours]).slots)),
                strict=True,
            )
        ]
        (numbers,) = numbers_of(vector[np.newaxis])
        truth.append({"query_vector": numbers, "nearest_neighbors": nearest})
    return truth


def timestamp_now() -> str:
    return _timestamp(datetime.now(UTC))


def _timestamp(moment: datetime) -> str:
    # Milliseconds; how many digits the service prints is unconfirmed.
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
