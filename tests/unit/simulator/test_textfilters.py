"""Filters over full text."""

from typing import Any

import pytest

from hevfast.simulator.answers import Refusal

from .conftest import Service


@pytest.fixture
def library(service: Service) -> Service:
    service.write(
        schema={
            "text": {"type": "string", "full_text_search": {"stemming": True}},
            "words": {"type": "[]string", "full_text_search": {"tokenizer": "pre_tokenized_array"}},
            "name": {"type": "string", "fuzzy": True},
        },
        upsert_rows=[
            {"id": 1, "text": "Walruses are large marine mammals", "words": ["a b", "C"]},
            {"id": 2, "text": "The large walrus", "words": ["C", "a b"], "name": "Odobenus"},
            {"id": 3, "name": "odobenidae of the north"},
        ],
    )
    return service


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["text", "ContainsAllTokens", "walrus large"], [1, 2]),
        (["text", "ContainsAllTokens", ["marine", "walruses"]], [1]),
        (["text", "ContainsAllTokens", "walrus short"], []),
        (["text", "ContainsAllTokens", "walrus mam", {"last_as_prefix": True}], [1]),
        (["text", "ContainsAllTokens", "mammals wal", {"last_as_prefix": True}], [1]),
        (["text", "ContainsAllTokens", ""], []),
        (["text", "ContainsAnyToken", "mammal the"], [1, 2]),
        (["text", "ContainsAnyToken", "mam", {"last_as_prefix": True}], [1]),
        (["text", "ContainsTokenSequence", "large walrus"], [2]),
        (["text", "ContainsTokenSequence", "large marine mammal"], [1]),
        (["words", "ContainsAllTokens", ["C"]], [1, 2]),
        (["words", "ContainsTokenSequence", ["a b", "C"]], [1]),
        (["words", "ContainsAnyToken", "c"], []),
        (["Not", ["text", "ContainsAnyToken", "mammal"]], [2, 3]),
    ],
)
def test_token_filters_match(library: Service, filters: Any, ids: list[int]) -> None:
    assert library.ids(filters) == ids


def fuzzy(query: str, distance: int, **options: Any) -> Any:
    steps = [{"min_query_chars": 3 * (distance + 1), "distance": distance}]
    return ["name", "Fuzzy", query, {"max_edit_distance": steps, **options}]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (fuzzy("odoben", 0), [3]),
        (fuzzy("odoben", 0, case_sensitive=False), [2, 3]),
        (fuzzy("odobun", 1), [3]),
        (fuzzy("oddoben", 1), [3]),
        (fuzzy("odben", 0), []),
        (fuzzy("od", 0), []),
    ],
)
def test_fuzzy_filters_match_parts_within_the_distance(
    library: Service, filters: Any, ids: list[int]
) -> None:
    assert library.ids(filters) == ids


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        (["text", "ContainsAllTokens", 5], "expects string or"),
        (["name", "ContainsAllTokens", "x"], "needs an attribute with full_text_search"),
        (["text", "ContainsTokenSequence", "x", {"last_as_prefix": True}], "unknown field"),
        (["text", "Fuzzy", "x", {"max_edit_distance": []}], "needs an attribute with fuzzy"),
        (["name", "Fuzzy", "odo", {"max_edit_distance": [{"min_query_chars": 3, "distance": 1}]}],
         "at least 3"),
        (["name", "Eq", "x", {"case_sensitive": True}], "not filterable"),
    ],
)  # fmt: skip
def test_text_filters_are_refused(library: Service, filters: Any, text: str) -> None:
    with pytest.raises(Refusal, match=text):
        library.ids(filters)
