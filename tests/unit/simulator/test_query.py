"""Queries: order, nearest neighbours, selection, pages, aggregates."""

import math
from typing import Any

import numpy as np
import pytest

from hevfast.simulator.answers import Refusal
from hevfast.simulator.query import is_eventual, parse_query, run, vector_encoding
from hevfast.simulator.render import result

from .conftest import Service


@pytest.fixture
def shop(service: Service) -> Service:
    service.write(
        schema={"price": "float"},
        distance_metric="euclidean_squared",
        upsert_rows=[
            {"id": 1, "vector": [0.7, 0.7], "shelf": "A", "price": 2.5, "n": 2},
            {"id": 2, "vector": [1.1, 1.1], "shelf": "B", "price": 1, "n": 1},
            {"id": 3, "vector": [0.7, 0.7], "shelf": "A", "n": 2},
            {"id": 4, "vector": [-3, 0], "price": 7, "tags": ["x", "y", "x"]},
        ],
    )
    return service


def test_euclidean_squared_is_exact_and_ties_go_by_ascending_id(shop: Service) -> None:
    rows = shop.query(rank_by=["vector", "ANN", [0.7, 0.6]], top_k=3)["rows"]
    assert [row["id"] for row in rows] == [1, 3, 2]
    for row, expected in zip(rows, [0.01, 0.01, 0.41], strict=True):
        assert math.isclose(row["$dist"], expected, abs_tol=1e-6)


def test_distances_stay_with_their_rows_past_an_offset_and_under_a_cap(shop: Service) -> None:
    asked: dict[str, Any] = {"rank_by": ["vector", "ANN", [0.7, 0.6]]}
    every = shop.query(**asked, top_k=4)["rows"]
    assert shop.query(**asked, top_k=2, offset=1)["rows"] == every[1:3]
    capped = {"total": 4, "per": {"attributes": ["shelf"], "limit": 1}}
    assert shop.query(**asked, limit=capped)["rows"] == [every[0], every[2], every[3]]


def test_cosine_distance_runs_from_zero_to_two(service: Service) -> None:
    service.write(
        upsert_columns={"id": [1, 2, 3, 4], "vector": [[1, 0], [0, 2], [-3, 0], [0, 0]]},
        distance_metric="cosine_distance",
    )
    rows = service.query(rank_by=["vector", "ANN", [5, 0]], top_k=10)["rows"]
    # A zero vector has no direction and is put in the middle.
    assert [(row["id"], row["$dist"]) for row in rows] == [(1, 0.0), (2, 1.0), (4, 1.0), (3, 2.0)]


def test_nearest_neighbours_equal_a_plain_search(service: Service) -> None:
    generator = np.random.default_rng(7)
    vectors = generator.normal(size=(5000, 8)).astype(np.float32)
    query = generator.normal(size=8).astype(np.float32)
    service.write(
        upsert_columns={"id": list(range(5000)), "vector": vectors.tolist()},
        distance_metric="euclidean_squared",
    )
    rows = service.query(
        rank_by=["vector", "kNN", query.tolist()], top_k=50, filters=["id", "Gte", 100]
    )["rows"]
    apart = ((vectors[100:].astype(np.float64) - query) ** 2).sum(axis=1)
    assert [row["id"] for row in rows] == (np.argsort(apart)[:50] + 100).tolist()


def test_knn_needs_filters(shop: Service) -> None:
    with pytest.raises(Refusal, match="kNN needs filters"):
        shop.query(rank_by=["vector", "kNN", [1, 1]])


def test_nulls_come_first_ascending_and_last_descending(shop: Service) -> None:
    assert shop.ids(rank_by=["price", "asc"]) == [3, 2, 1, 4]
    assert shop.ids(rank_by=["price", "desc"]) == [4, 1, 2, 3]


def test_several_keys_order_with_ascending_id_last(shop: Service) -> None:
    assert shop.ids(rank_by=[["n", "desc"], ["price", "asc"]]) == [3, 1, 2, 4]
    assert shop.ids(rank_by=[["n", "desc"]]) == [1, 3, 2, 4]
    assert shop.ids(rank_by=[["shelf", "asc"], ["id", "desc"]]) == [4, 3, 1, 2]


def test_attribute_order_carries_no_distance(shop: Service) -> None:
    assert all("$dist" not in row for row in shop.rows())


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ({"include_attributes": False}, {"id"}),
        ({"include_attributes": True}, {"id", "vector", "shelf", "n", "price"}),
        ({"include_attributes": ["shelf", "id"]}, {"id", "shelf"}),
        (
            {"include_attributes": None, "exclude_attributes": ["vector", "nope"]},
            {"id", "shelf", "n", "price"},
        ),
        ({"include_attributes": None}, {"id"}),
    ],
)
def test_selection_of_attributes(shop: Service, selection: dict[str, Any], names: set[str]) -> None:
    assert set(shop.rows(**selection)[0]) == names


def test_limits_and_offset_page_through_the_rows(shop: Service) -> None:
    assert shop.ids(top_k=2) == [1, 2]
    assert shop.ids(top_k=None, limit=2, offset=1) == [2, 3]
    assert shop.ids(top_k=None, limit={"total": 3}) == [1, 2, 3]
    assert shop.ids(
        top_k=None, limit={"total": 9, "per": {"attributes": ["shelf"], "limit": 1}}
    ) == [1, 2, 4]
    assert shop.ids(top_k=5, offset=4) == []


def test_missing_limit_means_ten(service: Service) -> None:
    service.write(upsert_columns={"id": list(range(20))})
    assert len(service.query(rank_by=["id", "asc"])["rows"]) == 10


def test_base64_and_float_give_the_same_vectors(shop: Service) -> None:
    asked = {"rank_by": ["id", "asc"], "top_k": 1, "include_attributes": ["vector"]}
    assert shop.query(**asked, vector_encoding="base64")["rows"] == [
        {"id": 1, "vector": "MzMzPzMzMz8="}
    ]
    assert shop.query(**asked)["rows"] == [{"id": 1, "vector": [0.7, 0.7]}]


def test_found_rows_stay_as_they_were_while_later_writes_go_on(shop: Service) -> None:
    namespace = shop.catalogue.find("books")
    asked = {"rank_by": ["id", "asc"], "top_k": 1, "include_attributes": ["vector", "shelf"]}
    found = run(namespace, parse_query(asked, namespace.schema))
    shop.write(upsert_rows=[{"id": 1, "vector": [9, 9], "shelf": "Z"}])
    rendered, _ = result(found, "float")
    assert rendered["rows"] == [{"id": 1, "vector": [0.7, 0.7], "shelf": "A"}]


def test_totals_count_and_sum(shop: Service) -> None:
    asked = {"aggregate_by": {"n": ["Count"], "price": ["Sum", "price"], "whole": ["Sum", "n"]}}
    assert shop.query(**asked) == {"aggregations": {"n": 4, "price": 10.5, "whole": 5}}
    assert shop.query(**asked, filters=["shelf", "Eq", "nowhere"]) == {
        "aggregations": {"n": 0, "price": 0, "whole": 0}
    }


def test_sum_beyond_64_bits_is_a_float(service: Service) -> None:
    service.write(schema={"n": "uint"}, upsert_columns={"id": [1, 2], "n": [2**64 - 1, 1]})
    assert service.query(aggregate_by={"n": ["Sum", "n"]}) == {"aggregations": {"n": 2.0**64}}


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["id", "Eq", 3], [3]),
        (["id", "In", [4, 1, 1, 99]], [1, 4]),
        (["And", [["shelf", "Eq", "A"], ["id", "In", [1, 2, 3]]]], [1, 3]),
        (["And", [["id", "In", [1, 2]], ["id", "Eq", 2]]], [2]),
        (["Or", [["id", "Eq", 1], ["id", "Eq", 4]]], [1, 4]),
        (["Not", ["id", "Eq", 1]], [2, 3, 4]),
    ],
)
def test_rows_named_by_id_are_found_without_a_scan(
    shop: Service, filters: list[Any], ids: list[int]
) -> None:
    assert shop.ids(filters) == ids
    assert [
        row["id"] for row in shop.query(rank_by=["vector", "ANN", [1, 1]], filters=filters)["rows"]
    ]


def test_groups_are_ordered_by_key_with_null_as_null(shop: Service) -> None:
    asked = {"aggregate_by": {"n": ["Count"], "total": ["Sum", "price"]}, "group_by": ["shelf"]}
    groups = [
        {"shelf": None, "n": 1, "total": 7.0},
        {"shelf": "A", "n": 2, "total": 2.5},
        {"shelf": "B", "n": 1, "total": 1.0},
    ]
    assert shop.query(**asked, top_k=100) == {"aggregation_groups": groups}
    assert shop.query(**asked, top_k=2) == {"aggregation_groups": groups[:2]}


def test_each_unique_element_of_an_array_is_a_group(shop: Service) -> None:
    asked = {"aggregate_by": {"n": ["Count"]}, "group_by": {"tag": ["ForEachUnique", "tags"]}}
    assert shop.query(**asked, filters=["tags", "NotEq", None]) == {
        "aggregation_groups": [{"tag": "x", "n": 1}, {"tag": "y", "n": 1}]
    }


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "rank_by is required"),
    ({"rank_by": "id"}, 422, "expected a sequence"),
    ({"rank_by": []}, 400, "rank_by: expected"),
    ({"rank_by": ["id", "up"]}, 400, "rank_by: expected"),
    ({"rank_by": ["nope", "asc"]}, 400, "attribute not found"),
    ({"rank_by": ["tags", "asc"]}, 400, "cannot be ordered by"),
    ({"rank_by": [["id", "asc"]] * 9}, 400, "at most 8"),
    ({"rank_by": ["shelf", "ANN", [1, 1]]}, 400, "not a dense vector"),
    ({"rank_by": ["vector", "ANN", [1, 1, 1]]}, 400, "expected 2, got 3"),
    ({"rank_by": ["vector", "ANN", ["Embed", "x"]]}, 400, "not simulated"),
    ({"rank_by": ["shelf", "BM25", "x"]}, 400, 'field "shelf" has no full_text_search'),
    ({"rank_by": ["Sum", [["shelf", "BM25", "x"]]]}, 400, 'field "shelf" has no full_text_search'),
    ({"rank_by": ["id", "asc"], "include_attributes": ["nope"]}, 400,
     'attribute "nope" not found in schema, cannot be part of `include_attributes`'),
    ({"rank_by": ["id", "asc"], "include_attributes": True, "exclude_attributes": []}, 400,
     "exclude each other"),
    ({"rank_by": ["id", "asc"], "top_k": 10_001}, 400, "at most 10000"),
    ({"rank_by": ["id", "asc"], "top_k": 9_999, "offset": 2}, 400, "at most 10000"),
    ({"rank_by": ["id", "asc"], "top_k": 0}, 400, "at least 1"),
    ({"rank_by": ["id", "asc"], "top_k": -1}, 422, "expected usize"),
    ({"rank_by": ["id", "asc"], "top_k": 1.5}, 422, "expected usize"),
    ({"rank_by": ["id", "asc"], "top_k": 1, "limit": 1}, 400, "exclude each other"),
    ({"rank_by": ["id", "asc"], "compute_attributes": {"h": ["Highlight", "shelf"]}}, 400,
     "not simulated: compute_attributes with Highlight"),
    ({"rank_by": ["id", "asc"], "group_by": ["n"]}, 400, "group_by needs aggregate_by"),
    ({"aggregate_by": {"n": ["Count"]}, "rank_by": ["id", "asc"]}, 400, "cannot be combined"),
    ({"aggregate_by": {"n": ["Count"]}, "group_by": ["n"], "limit": 5}, 400, "top_k, not limit"),
    ({"aggregate_by": {"n": ["Sum", "shelf"]}}, 400, "Sum needs a number"),
    ({"aggregate_by": {"n": ["Avg", "n"]}}, 400, "expected"),
    ({"aggregate_by": {}}, 400, "at least one function"),
    ({"aggregate_by": {"n": ["Count"]}, "group_by": ["tags"]}, 400, "ForEachUnique"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "text"), REFUSED)
def test_query_is_refused(shop: Service, asked: dict[str, Any], status: int, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        shop.query(**asked)
    assert refused.value.status == status
    assert text in refused.value.text


@pytest.mark.parametrize(
    ("consistency", "text"),
    [
        ("eventual", 'invalid type: string "eventual", expected struct Consistency'),
        ({"level": "x"}, "unknown variant `x`, expected `strong` or `eventual`"),
    ],
)
def test_consistency_is_an_object_with_a_known_level(consistency: object, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        is_eventual(consistency)
    assert refused.value.status == 422
    assert text in refused.value.text


def test_known_consistency_and_encoding_are_accepted() -> None:
    for level in ("strong", "eventual"):
        is_eventual({"level": level, "max_staleness_seconds": 5})
    assert [vector_encoding(value) for value in (None, "float", "base64")] == [
        "float",
        "float",
        "base64",
    ]
    with pytest.raises(Refusal, match="expected `float` or `base64`"):
        vector_encoding("hex")
