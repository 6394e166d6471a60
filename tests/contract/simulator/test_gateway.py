"""What the official client sees is the same through the gateway, but for what the gateway adds."""

from collections.abc import Iterator
from typing import Any

import pytest
import turbopuffer
from turbopuffer.lib.namespace import Namespace

from tests.fakes.gateway import running_gateway

from .conftest import KEY

STAMPS = {"_hevlayer_upserted_at", "_hevlayer_shard"}
# Times and sizes differ from call to call, or with the stamps.
PASSING = {"performance", "billing", "created_at", "updated_at", "last_write_at"}
PASSING |= {"approx_logical_bytes", "start_time", "finish_time"}
# What the gateway adds to a namespace's metadata.
ADDED = {"id", "layer"}


@pytest.fixture(scope="module")
def gateway(port: int) -> Iterator[turbopuffer.Turbopuffer]:
    with running_gateway(f"http://127.0.0.1:{port}") as running:
        url = f"http://127.0.0.1:{running.port}"
        with turbopuffer.Turbopuffer(base_url=url, api_key=KEY, max_retries=0) as opened:
            yield opened


def seen(value: Any) -> Any:
    """What must be equal of an answer."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(by_alias=True)
    if isinstance(value, dict):
        kept = {key: seen(item) for key, item in value.items() if key not in STAMPS | PASSING}
        return {key: item for key, item in kept.items() if item is not None}
    return [seen(item) for item in value] if isinstance(value, list) else value


WRITES: list[dict[str, Any]] = [
    {
        "distance_metric": "cosine_distance",
        "schema": {
            "text": {"type": "string", "full_text_search": {"stemming": True}},
            "weights": {"type": "{}f16", "sparse_knn": {"distance_metric": "dot_product"}},
            "at": "datetime",
        },
        "upsert_rows": [
            {"id": 2**53 + 1, "vector": [0.1, 0.7], "text": "walruses rest", "at": "2026-01-01"},
            {"id": 7, "vector": [1, 2], "text": "a walrus", "weights": {"3": 0.5}, "n": 1},
        ],
    },
    {"upsert_columns": {"id": [8, 9], "vector": [[1, 1], [2, 0.5]], "n": [5, None]}},
    {"patch_rows": [{"id": 8, "n": 6}, {"id": 404, "n": 1}], "return_affected_ids": True},
    {"upsert_rows": [{"id": 7, "vector": [1, 2], "n": 0}], "upsert_condition": ["n", "Eq", 9]},
    {"patch_by_filter": {"filters": ["n", "Gte", 1], "patch": {"big": True}}},
    {"delete_by_filter": ["text", "ContainsAnyToken", "rest"]},
    {"deletes": [9, 10], "return_affected_ids": True},
]
QUERIES: list[dict[str, Any]] = [
    {"rank_by": ("id", "asc"), "top_k": 100, "include_attributes": True},
    {"rank_by": ("vector", "ANN", [1, 1]), "top_k": 3, "include_attributes": ["n", "vector"]},
    {"rank_by": ("text", "BM25", "walruses"), "top_k": 3},
    {"rank_by": ("weights", "SparseKNN", {"3": 2}), "top_k": 3},
    {"rank_by": ("n", "desc"), "limit": 3, "filters": ["big", "Eq", True]},
    {"aggregate_by": {"count": ("Count",)}},
]
REFUSED: list[dict[str, Any]] = [
    {"upsert_rows": {"id": 1}},
    {"upsert_rows": [{"id": 1, "vector": [1, 2]}, {"id": 1, "vector": [1, 2]}]},
    {"upsert_rows": [{"id": 1, "vector": [1, 2], "n": 1.5}]},
    {"upsert_rows": [{"id": 1, "vector": [1, 2, 3]}]},
    {"deletes": ["x"]},
]


def play(ns: Namespace) -> list[Any]:
    """Do everything in one namespace and collect what came back."""
    found: list[Any] = [ns.exists()]
    found.extend(seen(ns.write(**write)) for write in WRITES)
    found.extend(seen(ns.query(**query)) for query in QUERIES)
    queries: Any = [{"rank_by": ("id", "asc"), "top_k": 2}] * 2
    found.append(seen(ns.multi_query(queries=queries, rerank_by=("RRF",))))
    found.append(seen({key: seen(entry) for key, entry in ns.schema().items()}))
    metadata = seen(ns.metadata())
    found.append({key: value for key, value in metadata.items() if key not in ADDED})
    for write in REFUSED:
        with pytest.raises(turbopuffer.APIStatusError) as refused:
            ns.write(**write)
        found.append(refused.value.status_code)
    found.append(seen(ns.recall()))
    found.append(seen(ns.hint_cache_warm()))
    found.append(seen(ns.delete_all())["status"])
    with pytest.raises(turbopuffer.NotFoundError) as missing:
        ns.query(rank_by=("id", "asc"), top_k=1)
    found.append(str(missing.value))
    return found


def test_answers_are_the_same_directly_and_through_the_gateway(
    client: turbopuffer.Turbopuffer, gateway: turbopuffer.Turbopuffer
) -> None:
    direct = play(client.namespace("same"))
    through = play(gateway.namespace("same"))
    assert len(direct) > 20
    for one, other in zip(direct, through, strict=True):
        assert one == other
