"""Full text, fusion and the index's lag, as the official client sees them."""

import time
from typing import Any

import pytest
import turbopuffer
from turbopuffer.lib.namespace import Namespace

from .conftest import KEY, Wire, free_port, running


def ids(found: Any) -> list[Any]:
    return [row.id for row in found.rows]


@pytest.fixture
def texts(ns: Namespace) -> Namespace:
    settings: Any = {"language": "english", "stemming": True, "remove_stopwords": True}
    ns.write(
        distance_metric="euclidean_squared",
        schema={"text": {"type": "string", "full_text_search": settings}},
        upsert_columns={
            "id": [1, 2, 3, 4],
            "vector": [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]],
            "text": [
                "a seal is round and quick",
                "seals dived under the thin ice",
                "the ice is thin and grey",
                "an otter is slow and small",
            ],
        },
    )
    return ns


def test_stems_are_found_and_the_better_match_comes_first(texts: Namespace) -> None:
    assert ids(texts.query(top_k=10, rank_by=("text", "BM25", "seals diving"))) == [2, 1]
    both: Any = ("Sum", [("text", "BM25", "otters slow"), ("text", "BM25", "dive seal")])
    assert ids(texts.query(top_k=2, rank_by=both, filters=("id", "NotEq", 9))) == [4, 2]


def test_all_tokens_must_be_there(texts: Namespace) -> None:
    def found(words: str) -> list[Any]:
        filters: Any = ("text", "ContainsAllTokens", words)
        return ids(texts.query(top_k=10, rank_by=("id", "asc"), filters=filters))

    assert found("thin ice") == [2, 3]
    assert found("thin ices dive") == [2]
    assert found("thin short") == []


def test_hybrid_search_is_fused_by_ranks(texts: Namespace) -> None:
    answer = texts.multi_query(
        queries=[
            {"rank_by": ("vector", "ANN", [0.2, 0.2]), "top_k": 2},
            {"rank_by": ("text", "BM25", "thin"), "top_k": 2, "include_attributes": ["text"]},
        ],
        rerank_by=("RRF",),
    )
    rows = answer.results[0].rows
    assert rows is not None
    # First of the nearest; second of the texts, since the other one is shorter.
    assert rows[0].id == 2
    assert rows[0]["$dist"] == pytest.approx(1 / 61 + 1 / 62)
    assert rows[0]["text"] == "seals dived under the thin ice"


def test_index_lags_and_catches_up_for_the_client() -> None:
    port = free_port()
    with running(port, "--control", "--index-lag-ms", "20"):
        wire = Wire(port)
        assert wire.call("PATCH", "/_simulator", {"index_held": True})[0] == 200
        url = f"http://127.0.0.1:{port}"
        with turbopuffer.Turbopuffer(base_url=url, api_key=KEY, max_retries=0) as client:
            ns = client.namespace("late")
            ns.write(upsert_rows=[{"id": 1}, {"id": 2}])
            index: Any = ns.metadata().index
            assert (index.status, index.unindexed_rows) == ("updating", 2)
            asked: Any = {"rank_by": ("id", "asc"), "top_k": 5}
            assert ids(ns.query(**asked)) == [1, 2]
            assert ids(ns.query(**asked, consistency={"level": "eventual"})) == []
            assert wire.call("PATCH", "/_simulator", {"index_held": False})[0] == 200
            deadline = time.monotonic() + 10
            while ns.metadata().index.status == "updating":
                assert time.monotonic() < deadline
            assert ids(ns.query(**asked, consistency={"level": "eventual"})) == [1, 2]
