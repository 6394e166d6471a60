"""Ranking by scores: full text, sparse vectors, attributes, and what is made of them."""

import math
from typing import Any

import pytest

from hevfast.simulator.answers import Refusal

from .conftest import Service

TEXTS = {
    1: "The fox is quick and brown",
    2: "Fox jumped over the lazy dog",
    3: "The dog is lazy and brown",
    4: "A walrus is slow and inferior",
}


@pytest.fixture
def library(service: Service) -> Service:
    service.write(
        schema={
            "text": {"type": "string", "full_text_search": {"stemming": True}},
            "words": {"type": "[]string", "full_text_search": {"tokenizer": "pre_tokenized_array"}},
            "weights": {"type": "{}f16", "sparse_knn": {"distance_metric": "dot_product"}},
            "at": "datetime",
            "price": "float",
            "stock": "uint",
        },
        upsert_rows=[
            {"id": id_, "text": text, "words": text.split(), "stock": id_ % 3, "price": id_ - 2.5}
            | {"at": f"2026-01-0{id_}", "weights": {"7": id_, str(id_): -1}}
            for id_, text in TEXTS.items()
        ],
    )
    return service


def scores(library: Service, rank_by: Any, **fields: Any) -> dict[int, float]:
    rows = library.query(rank_by=rank_by, top_k=10, **fields)["rows"]
    assert [row["$dist"] for row in rows] == sorted((row["$dist"] for row in rows), reverse=True)
    return {row["id"]: row["$dist"] for row in rows}


def bm25(often: int, length: int, holding: int, count: int = 4, average: float = 6.0) -> float:
    """The formula, written out once more."""
    idf = math.log(1 + (count - holding + 0.5) / (holding + 0.5))
    return idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / average))


def test_full_text_scores_by_bm25_over_stems(library: Service) -> None:
    found = scores(library, ["text", "BM25", "jumping foxes"])
    assert list(found) == [2, 1]
    assert found[2] == pytest.approx(bm25(1, 6, 1) + bm25(1, 6, 2), rel=1e-6)
    assert found[1] == pytest.approx(bm25(1, 6, 2), rel=1e-6)


def test_scores_follow_writes(library: Service) -> None:
    assert list(scores(library, ["text", "BM25", "dog"])) == [2, 3]
    library.write(deletes=[2], patch_rows=[{"id": 1, "text": "a dog"}, {"id": 3, "text": None}])
    found = scores(library, ["text", "BM25", "dog"])
    assert found == {1: pytest.approx(bm25(1, 2, 1, count=2, average=4.0), rel=1e-6)}
    library.write(upsert_rows=[{"id": 1, "text": "cat"}])
    assert scores(library, ["text", "BM25", "dog"]) == {}


def test_stop_words_case_folding_and_length_are_as_the_schema_says(service: Service) -> None:
    def found(settings: dict[str, Any], text: str, query: str) -> bool:
        if service.names():
            service.catalogue.delete("books")
        service.write(
            schema={"t": {"type": "string", "full_text_search": settings}},
            upsert_rows=[{"id": 1, "t": text}],
        )
        return bool(service.query(rank_by=["t", "BM25", query])["rows"])

    assert found({}, "the fox", "the")
    assert not found({"remove_stopwords": True}, "the fox", "the")
    assert found({}, "Fox", "fOX")
    assert not found({"case_sensitive": True}, "Fox", "fox")
    assert found({"ascii_folding": True}, "crème", "creme")
    assert not found({}, "crème", "creme")
    assert found({}, "x" * 39, "x" * 39)
    assert not found({}, "x" * 40, "x" * 40)
    assert found({"language": "german", "stemming": True}, "Häuser", "haus")


def test_last_token_may_be_a_prefix(library: Service) -> None:
    assert scores(library, ["text", "BM25", "qui"]) == {}
    assert list(scores(library, ["text", "BM25", "qui", {"last_as_prefix": True}])) == [1]
    asked = ["text", "BM25", "walrus la", {"last_as_prefix": True}]
    assert set(scores(library, asked)) == {2, 3, 4}


def test_tokens_of_a_pre_tokenized_attribute_are_taken_as_they_are(library: Service) -> None:
    assert list(scores(library, ["words", "BM25", ["Fox"]])) == [2]
    with pytest.raises(
        Refusal, match=r'invalid input .* for rank_by field "words", expecting \[\]s'
    ):
        library.query(rank_by=["words", "BM25", "Fox"])


def test_sums_products_and_largest(library: Service) -> None:
    fox, dog = ["text", "BM25", "fox"], ["text", "BM25", "dog"]
    one, two = scores(library, fox), scores(library, dog)
    assert scores(library, ["Sum", [fox, dog]])[2] == pytest.approx(one[2] + two[2])
    assert scores(library, ["Max", [fox, ["Product", 3, dog]]])[2] == pytest.approx(3 * two[2])
    assert scores(library, ["Product", fox, 0.5]) == pytest.approx(
        scores(library, ["Product", 0.5, fox])
    )
    assert scores(library, ["Product", 0, fox]) == {}


def test_a_filter_is_a_score_of_one(library: Service) -> None:
    dog = ["text", "BM25", "dog"]
    boosted = scores(library, ["Sum", [dog, ["Product", 10, ["stock", "Eq", 0]]]])
    assert boosted[3] == pytest.approx(10 + scores(library, dog)[3], rel=1e-6)
    assert scores(library, ["And", [["stock", "Eq", 1]]]) == {1: 1.0, 4: 1.0}


def test_an_attribute_is_a_score_and_zero_is_kept(library: Service) -> None:
    assert scores(library, ["Attribute", "stock"]) == {2: 2.0, 1: 1.0, 4: 1.0, 3: 0.0}
    library.write(patch_rows=[{"id": 1, "stock": None}])
    assert scores(library, ["Attribute", "stock"]) == {2: 2.0, 4: 1.0, 3: 0.0}
    assert scores(library, ["Max", 0, ["Attribute", "price"]])[4] == 1.5
    with pytest.raises(Refusal, match="may be negative"):
        library.query(rank_by=["Attribute", "price"])


def test_saturation_and_decay_are_a_half_at_the_midpoint(library: Service) -> None:
    curve = {"midpoint": 2, "exponent": 2}
    assert scores(library, ["Saturate", ["Attribute", "stock"], curve]) == pytest.approx(
        {2: 0.5, 1: 0.2, 4: 0.2, 3: 0.0}
    )
    recent = ["Decay", ["Dist", ["Attribute", "at"], "2026-01-03"], {"midpoint": "1d"}]
    assert scores(library, recent) == pytest.approx({3: 1.0, 2: 0.5, 4: 0.5, 1: 1 / 3})


def test_sparse_vectors_rank_by_their_dot_product(library: Service) -> None:
    assert scores(library, ["weights", "SparseKNN", {"7": 2, "1": 0.5, "9": 8}]) == {
        4: 8.0,
        3: 6.0,
        2: 4.0,
        1: 1.5,
    }


@pytest.mark.parametrize(
    ("rank_by", "text"),
    [
        (["text", "BM25", ["fox"], {"first_as_prefix": True}], "unknown field"),
        (["text", "BM25", "x" * 8193], "at most 8192 characters"),
        (["price", "BM25", "x"], "no full_text_search index"),
        (["weights", "SparseKNN", [1]], "sparse vector as a map"),
        (["text", "SparseKNN", {"1": 1}], "not a sparse vector"),
        (["Product", -1, ["text", "BM25", "x"]], "weight is a number of at least 0"),
        (["Product", 1], "needs a weight and a clause"),
        (["Sum", []], "at least one clause"),
        (["Attribute", "text"], "needs a number"),
        (["Decay", ["Attribute", "stock"], {"midpoint": 0}], "above 0"),
        (["Saturate", ["Attribute", "stock"], {"midpoint": "3 years"}], "duration"),
        (["Dist", ["Attribute", "at"], 5], "expected datetime"),
    ],
)
def test_scores_are_refused(library: Service, rank_by: Any, text: str) -> None:
    with pytest.raises(Refusal, match=text):
        library.query(rank_by=rank_by)


def test_deep_expressions_are_refused(library: Service) -> None:
    deep: Any = ["text", "BM25", "fox"]
    for _ in range(70):
        deep = ["Sum", [deep]]
    with pytest.raises(Refusal, match="nested deeper"):
        library.query(rank_by=deep)
