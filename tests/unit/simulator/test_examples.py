"""The worked examples of the wire contract, answered as it says."""

import base64
import struct
from typing import Any

import pytest
from starlette.types import ASGIApp

from hevfast.simulator.app import build

from .test_app import ask

BOOKS = "/v2/namespaces/books"
FIRST_WRITE = (
    b'{"distance_metric":"cosine_distance","schema":{"tenant":{"type":"uuid"},"price":"float"},'
    b'"upsert_rows":[{"id":9007199254740993,"vector":"AACAPwAAAD8=","title":"Tide tables",'
    b'"price":9.5,"tenant":"0B9C3C6E-97A1-4C55-8D0E-1F6A0D5C7A11"},'
    b'{"id":12,"vector":[3,4],"title":"Kelp \\"atlas\\", vol. 2"}]}'
)


@pytest.fixture
def app() -> ASGIApp:
    return build()


def post(app: ASGIApp, path: str, body: object) -> Any:
    answer = ask(app, "POST", path, body)
    assert answer.status == 200, answer.body
    found = answer.json()
    assert found.pop("billing")
    found.pop("performance", None)
    return found


def test_first_write_keeps_numbers_beyond_doubles(app: ASGIApp) -> None:
    assert post(app, BOOKS, FIRST_WRITE) == {
        "status": "OK",
        "message": "committed",
        "rows_affected": 2,
        "rows_upserted": 2,
    }
    asked = {"rank_by": ["id", "asc"], "top_k": 9, "include_attributes": True}
    rows = ask(app, "POST", f"{BOOKS}/query", asked).body
    assert b'"id":9007199254740993,' in rows
    assert b'"tenant":"0b9c3c6e-97a1-4c55-8d0e-1f6a0d5c7a11"' in rows
    assert b'"vector":[1.0,0.5]' in rows


def test_columns_with_a_missing_value_and_a_delete(app: ASGIApp) -> None:
    post(app, BOOKS, FIRST_WRITE)
    body = {
        "deletes": [12],
        "return_affected_ids": True,
        "upsert_columns": {
            "id": [20, 21],
            "vector": [[0.25, -2.0], "AACAPgAAAMA="],
            "title": ["Reef", "Atoll"],
            "tags": [["coral", "reef"], None],
        },
    }
    assert post(app, BOOKS, body) == {
        "status": "OK",
        "message": "committed",
        "rows_affected": 3,
        "rows_upserted": 2,
        "rows_deleted": 1,
        "upserted_ids": [20, 21],
        "deleted_ids": [12],
    }


def test_version_guard_skips_silently_and_new_rows_pass(app: ASGIApp) -> None:
    first = [{"id": "a", "vector": [0, 1], "rev": 9}]
    post(app, BOOKS, {"upsert_rows": first, "distance_metric": "cosine_distance"})
    guarded = {
        "upsert_rows": [
            {"id": "a", "vector": [0, 1], "rev": 7},
            {"id": "new", "vector": [1, 0], "rev": 1},
        ],
        "upsert_condition": ["Or", [["rev", "Lt", {"$ref_new": "rev"}], ["rev", "Eq", None]]],
    }
    answer = ask(app, "POST", BOOKS, guarded).json()
    assert (answer["rows_affected"], answer["rows_upserted"]) == (1, 1)
    assert answer["billing"]["query"] == {
        "billable_logical_bytes_queried": 256_000_000,
        "billable_logical_bytes_returned": 0,
    }


def test_all_three_steps_in_their_order(app: ASGIApp) -> None:
    shelves = [(1, "attic", 200), (2, "attic", 1), (3, "attic", 1), (4, "x", 101), (5, "x", 102)]
    rows = [{"id": id_, "shelf": shelf, "price": price} for id_, shelf, price in shelves]
    post(app, BOOKS, {"upsert_rows": [*rows, {"id": 20, "price": 1}]})
    body = {
        "delete_by_filter": ["shelf", "Eq", "attic"],
        "patch_by_filter": {"filters": ["price", "Gt", 100], "patch": {"tier": "rare"}},
        "patch_rows": [{"id": 20, "shelf": "A1"}, {"id": 999, "shelf": "A2"}],
    }
    assert post(app, BOOKS, body) == {
        "status": "OK",
        "message": "committed",
        "rows_affected": 6,
        "rows_patched": 3,
        "rows_deleted": 3,
    }


def test_vector_query_with_filter_lets_null_pass_a_less_or_equal(app: ASGIApp) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 20, "vector": [1, 0.5], "tags": ["reef"], "title": "Reef"},
        {"id": 21, "vector": [1, 0.4], "tags": ["reef"], "price": 21.0},
        {"id": 22, "vector": [1, 0.5], "tags": ["cave"], "price": 3.5},
    ]
    post(app, BOOKS, {"upsert_rows": rows, "distance_metric": "cosine_distance"})
    body = {
        "rank_by": ["vector", "ANN", [1.0, 0.5]],
        "top_k": 2,
        "filters": ["And", [["price", "Lte", 20], ["tags", "ContainsAny", ["reef"]]]],
        "include_attributes": ["title"],
    }
    answer = ask(app, "POST", f"{BOOKS}/query", body).json()
    near = pytest.approx(0.0, abs=1e-7)
    assert answer["rows"] == [{"$dist": near, "id": 20, "title": "Reef"}]
    assert answer["billing"] == {
        "billable_logical_bytes_queried": 256_000_000,
        "billable_logical_bytes_returned": 16,
    }
    assert answer["performance"]["exhaustive_search_count"] == 3
    assert set(answer["performance"]) >= {
        *("cache_hit_ratio", "cache_temperature", "server_total_ms", "query_execution_ms"),
        *("exhaustive_search_count", "approx_namespace_size"),
    }


def test_count_and_sum_by_group(app: ASGIApp) -> None:
    rows = [{"id": n, "shelf": "A1" if n < 4 else "B2", "price": n + 0.5} for n in range(5)]
    post(app, BOOKS, {"upsert_rows": rows})
    body = {"aggregate_by": {"n": ["Count"], "total": ["Sum", "price"]}, "top_k": 100}
    assert post(app, f"{BOOKS}/query", body | {"group_by": ["shelf"]}) == {
        "aggregation_groups": [
            {"shelf": "A1", "n": 4, "total": 8.0},
            {"shelf": "B2", "n": 1, "total": 4.5},
        ]
    }
    # The client's types also allow labelled functions among the names.
    grouped = post(app, f"{BOOKS}/query", body | {"group_by": [{"s": ["ForEachUnique", "shelf"]}]})
    assert [group["s"] for group in grouped["aggregation_groups"]] == ["A1", "B2"]


def test_hybrid_multi_query_is_fused(app: ASGIApp) -> None:
    rows = [
        {"id": 12, "vector": [0.6, 0.8], "title": "kelp atlas"},
        {"id": 20, "vector": [1, 0], "title": "an atlas of reefs"},
    ]
    schema = {"title": {"type": "string", "full_text_search": True}}
    post(app, BOOKS, {"upsert_rows": rows, "schema": schema, "distance_metric": "cosine_distance"})
    queries = [
        {"rank_by": ["vector", "ANN", [0.6, 0.8]], "limit": 20},
        {"rank_by": ["title", "BM25", "kelp atlas"], "limit": 20},
    ]
    found = post(app, f"{BOOKS}/query", {"queries": queries, "rerank_by": ["RRF"]})
    (only,) = found["results"]
    assert [row["id"] for row in only["rows"]] == [12, 20]
    assert only["rows"][0]["$dist"] == pytest.approx(1 / 61 + 1 / 61)


def test_vectors_leave_in_the_width_of_their_elements(app: ASGIApp) -> None:
    schema = {
        "vector": {"type": "[2]f32", "ann": True},
        "half": {"type": "[2]f16", "ann": True},
        "small": {"type": "[2]i8", "ann": True},
    }
    # All arrive as float32, whatever the column holds.
    raw = base64.b64encode(struct.pack("<2f", 1, -2)).decode()
    row = {"id": 1, "vector": raw, "half": raw, "small": raw}
    body = {"upsert_rows": [row], "schema": schema, "distance_metric": "cosine_distance"}
    post(app, BOOKS, body)
    asked = {"rank_by": ["id", "asc"], "include_attributes": True, "vector_encoding": "base64"}
    (found,) = post(app, f"{BOOKS}/query", asked)["rows"]
    widths = {name: len(base64.b64decode(found[name])) for name in ("vector", "half", "small")}
    assert widths == {"vector": 8, "half": 4, "small": 2}


def test_multi_vectors_rank_by_late_interaction(app: ASGIApp) -> None:
    schema = {"pages": {"type": "[][2]f32", "ann": {"late_interaction": True}}}
    rows = [{"id": 1, "pages": [[1, 0], [0, 1]]}, {"id": 2, "pages": [[1, 0]]}]
    post(app, BOOKS, {"upsert_rows": rows, "schema": schema, "distance_metric": "cosine_distance"})
    body = {"rank_by": ["pages", "ANN", [[1, 0], [0, 1]]], "top_k": 5}
    found = post(app, f"{BOOKS}/query", body)
    assert found["rows"] == [{"$dist": 0.0, "id": 1}, {"$dist": 1.0, "id": 2}]
    entry = ask(app, "GET", f"{BOOKS}/metadata").json()["schema"]["pages"]
    assert entry == {
        "type": "[][2]f32",
        "ann": {"distance_metric": "cosine_distance", "late_interaction": True},
    }


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"type": "[][2]f32", "ann": True}, "needs late_interaction"),
        ({"type": "string", "ann": True}, "string has no ann"),
        ({"type": "string", "sparse_knn": {"distance_metric": "dot_product"}}, "sparse_knn needs"),
        ({"type": "int", "glob": True}, "int cannot be glob"),
        ({"type": "bytes", "filterable": True}, "bytes cannot be filterable"),
        ({"type": "string", "full_text_search": {"tokenizer": "word_v9"}}, "unknown tokenizer"),
        ({"type": "string", "full_text_search": {"language": "klingon"}}, "unknown language"),
        (
            {"type": "string", "full_text_search": {"tokenizer": "pre_tokenized_array"}},
            "needs type",
        ),
        ({"type": "string", "full_text_search": {"max_token_length": 255}}, "1 to 254"),
        ({"type": "string", "full_text_search": {"k1": -1}}, "k1 must be"),
    ],
)
def test_indexes_that_a_type_cannot_have_are_refused(app: ASGIApp, entry: Any, text: str) -> None:
    answer = ask(app, "POST", BOOKS, {"upsert_rows": [{"id": 1}], "schema": {"a": entry}})
    assert (answer.status, text in answer.json()["error"]) == (400, True), answer.body
