"""Several queries at once, fused by ranks; and attributes computed for rows."""

from typing import Any

import pytest

from hevfast.simulator.answers import Refusal
from hevfast.simulator.fuse import fused, parse_fusion, sub_queries

from .conftest import Service


def rows(*ids: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": id_, **more} for id_ in ids]


def test_ranks_add_up_and_rows_show_what_any_list_shows() -> None:
    fusion = parse_fusion({"rerank_by": ["RRF"]}, 2)
    assert fusion is not None
    found = fused(fusion, [rows(12, 20, a=1), rows(12, 7, b=2)])
    assert found == [
        {"id": 12, "a": 1, "b": 2, "$dist": 2 / 61},
        {"id": 7, "b": 2, "$dist": 1 / 62},
        {"id": 20, "a": 1, "$dist": 1 / 62},
    ]


def test_weights_constant_limit_and_offset() -> None:
    options = {"rank_constant": 1, "weights": [1, 4]}
    asked = {"rerank_by": ["RRF", options], "limit": {"total": 2}, "offset": 1}
    fusion = parse_fusion(asked, 2)
    assert fusion is not None
    found = fused(fusion, [rows(1, 2, 3), rows(3)])
    assert found == [{"id": 1, "$dist": 1 / 2}, {"id": 2, "$dist": 1 / 3}]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"rerank_by": ["RRF", {"weights": [1]}]}, "1 weights for 2 queries"),
        ({"rerank_by": ["RRF", {"weights": [1, 0]}]}, "must be above 0"),
        ({"rerank_by": ["RRF", {"rank_constant": 0}]}, "must be above 0"),
        ({"rerank_by": ["Best"]}, "expected"),
        ({"rerank_by": {"model": "x"}}, "not simulated"),
        ({"rerank_by": ["RRF"], "limit": 10_001}, "at most 10000"),
        ({"limit": 5}, "need rerank_by"),
    ],
)
def test_fusions_are_refused(asked: dict[str, Any], text: str) -> None:
    with pytest.raises(Refusal, match=text):
        parse_fusion(asked, 2)


def test_up_to_sixteen_queries_without_fields_of_the_whole() -> None:
    assert len(sub_queries({"queries": [{}] * 16})) == 16
    for queries in ([], [{}] * 17, [{"consistency": {}}]):
        with pytest.raises(Refusal):
            sub_queries({"queries": queries})


@pytest.fixture
def shop(service: Service) -> Service:
    service.write(
        schema={"t": {"type": "string", "full_text_search": True}},
        distance_metric="euclidean_squared",
        upsert_rows=[
            {"id": 1, "vector": [0, 0], "t": "reef"},
            {"id": 2, "vector": [3, 4], "t": "reef reef atoll"},
        ],
    )
    return service


def test_distances_and_scores_are_computed_for_the_rows_found(shop: Service) -> None:
    asked = {
        "far": ["vector", "VectorDist", [0, 0]],
        "text": ["t", "BM25", "atoll"],
        "is_reef": ["t", "ContainsAllTokens", "reef"],
    }
    found = shop.query(rank_by=["id", "desc"], compute_attributes=asked)["rows"]
    assert [(row["id"], row["far"], row["is_reef"]) for row in found] == [
        (2, 25.0, 1.0),
        (1, 0.0, 1.0),
    ]
    assert found[0]["text"] > found[1]["text"] == 0.0


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"t": ["vector", "VectorDist", [0, 0]]}, "is an attribute of the namespace"),
        ({"x": ["vector", "VectorDist", [0]]}, "expected 2, got 1"),
        ({"x": ["Highlight", "t"]}, "not simulated"),
        ({f"x{n}": ["t", "BM25", "a"] for n in range(257)}, "at most 256"),
    ],
)
def test_computations_are_refused(shop: Service, asked: dict[str, Any], text: str) -> None:
    with pytest.raises(Refusal, match=text):
        shop.query(rank_by=["id", "asc"], compute_attributes=asked)
