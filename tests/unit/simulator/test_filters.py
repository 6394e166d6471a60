"""The filter grammar: what each operator matches, nulls above all."""

from typing import Any

import pytest

from hevfast.simulator.answers import Refusal

from .conftest import Service

SCHEMA = {
    "at": "datetime",
    "key": "uuid",
    "f": "float",
    "pattern": {"type": "string", "regex": True, "filterable": True},
    "hidden": {"type": "string", "filterable": False},
    "dates": "[]datetime",
}
KEY = "0B9C3C6E-97A1-4C55-8D0E-1F6A0D5C7A11"
# Row 4 has nothing but its id.
ROWS: list[dict[str, Any]] = [
    {"id": 1, "n": 1, "s": "apple", "tags": ["red", "fruit"], "at": "2026-01-01", "f": 0.5},
    {"id": 2, "n": 2, "s": "Apricot", "tags": ["fruit"], "at": "2026-02-01", "key": KEY, "b": True},
    {"id": 3, "n": 3, "s": "banana", "tags": [], "sizes": [1, 9], "dates": ["2026-01-01", None]},
    {"id": 4},
    {"id": 5, "n": -5, "pattern": "ab12", "hidden": "x", "sizes": [5, None]},
]


@pytest.fixture
def filled(service: Service) -> Service:
    service.write(schema=SCHEMA, upsert_rows=ROWS)
    return service


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["n", "Eq", 2], [2]),
        (["n", "Eq", None], [4]),
        (["n", "NotEq", None], [1, 2, 3, 5]),
        (["n", "NotEq", 2], [1, 3, 4, 5]),
        (["n", "In", [1, 3, 99]], [1, 3]),
        (["n", "In", [None, 1]], [1, 4]),
        (["n", "In", []], []),
        (["n", "NotIn", [1, 3]], [2, 4, 5]),
        (["n", "Lt", 1], [4, 5]),
        (["n", "Lte", 1], [1, 4, 5]),
        (["n", "Gt", 1], [2, 3]),
        (["n", "Gte", 1], [1, 2, 3]),
        (["f", "Lte", 1], [1, 2, 3, 4, 5]),
        (["f", "Gt", 0], [1]),
        (["s", "Lt", "apple"], [2, 4, 5]),
        (["s", "Gt", "apple"], [3]),
        (["b", "Eq", True], [2]),
        (["key", "Eq", KEY], [2]),
        (["at", "Gte", "2026-01-15T00:00:00Z"], [2]),
        (["at", "Eq", "2026-01-01T01:00:00+01:00"], [1]),
        (["id", "Gt", 3], [4, 5]),
        (["id", "In", [1, 5, 7]], [1, 5]),
        (["id", "Eq", None], []),
        (["tags", "Contains", "red"], [1]),
        (["tags", "NotContains", "red"], [2, 3, 4, 5]),
        (["tags", "ContainsAny", ["red", "fruit"]], [1, 2]),
        (["tags", "NotContainsAny", ["red"]], [2, 3, 4, 5]),
        (["tags", "In", ["fruit"]], [1, 2]),
        (["tags", "In", "red"], [1]),
        (["tags", "NotIn", ["fruit"]], [3, 4, 5]),
        (["tags", "Eq", ["fruit"]], [2]),
        (["tags", "Eq", None], [4, 5]),
        (["sizes", "AnyLt", 2], [3]),
        (["sizes", "AnyLte", 5], [3, 5]),
        (["sizes", "AnyGt", 5], [3]),
        (["sizes", "AnyGte", 5], [3, 5]),
        (["dates", "AnyGt", "2025-12-31"], [3]),
        (["s", "Glob", "ap*"], [1]),
        (["s", "NotGlob", "ap*"], [2, 3, 4, 5]),
        (["s", "IGlob", "AP*"], [1, 2]),
        (["s", "NotIGlob", "AP*"], [3, 4, 5]),
        (["s", "Glob", "b?nan[a-c]"], [3]),
        (["tags", "Glob", "fr*"], [1, 2]),
        (["pattern", "Regex", "[0-9]+$"], [5]),
        (["And", [["n", "Gt", 0], ["tags", "Contains", "fruit"]]], [1, 2]),
        (["Or", [["n", "Eq", 3], ["And", [["n", "Lt", 0], ["n", "NotEq", None]]]]], [3, 5]),
        (["Not", ["n", "Eq", 2]], [1, 3, 4, 5]),
        (["Not", ["Or", [["n", "Gte", 1], ["n", "Eq", None]]]], [5]),
        (["And", []], [1, 2, 3, 4, 5]),
        (["Or", []], []),
    ],
)
def test_filter_matches(filled: Service, filters: list[Any], ids: list[int]) -> None:
    assert filled.ids(filters) == ids


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        (["nope", "Eq", 1], "filter error in key `nope`: attribute not found"),
        (
            ["tags", "ContainsAny", "red"],
            "type mismatch, ContainsAny expects []string, but got string",
        ),
        (["tags", "ContainsAny", [1]], "ContainsAny expects []string, but got []int"),
        (["n", "Eq", "1"], "Eq expects int, but got string"),
        (["n", "Eq", 1.5], "Eq expects int, but got float"),
        (["n", "In", 1], "In expects []int, but got int"),
        (["s", "Contains", "a"], "Contains needs an array attribute"),
        (["tags", "Lt", "a"], "Lt needs a scalar attribute"),
        (["sizes", "AnyLt", None], "AnyLt expects int, but got null"),
        (["hidden", "Eq", "x"], "attribute is not filterable"),
        (["s", "Regex", "a"], "attribute is not regex"),
        (["pattern", "Regex", "("], "invalid regular expression"),
        (["pattern", "Regex", "(?<=a)b"], "look-around"),
        (["pattern", "Regex", "a" * 1025], "at most 1024 characters"),
        (["n", "Like", 1], "unknown operator Like"),
        (["n", "Eq", {"$ref_new": "n"}], "conditions only"),
        (["s", "ContainsAllTokens", "a"], "needs an attribute with full_text_search"),
        (["n"], "expected [attribute, operator, value]"),
        ([], "expected [attribute, operator, value]"),
        (["Not", "n"], "expected [attribute, operator, value]"),
        ([["n", "Eq", 1]], "expected [attribute, operator, value]"),
    ],
)
def test_filter_is_refused_with_400(filled: Service, filters: list[Any], text: str) -> None:
    with pytest.raises(Refusal) as refused:
        filled.ids(filters)
    assert refused.value.status == 400
    assert text in refused.value.text


def test_filter_that_is_no_array_is_422(filled: Service) -> None:
    with pytest.raises(Refusal, match="invalid type: map, expected a sequence") as refused:
        filled.ids({"n": 1})
    assert refused.value.status == 422


def test_filters_nest_to_a_bound(filled: Service) -> None:
    nested: list[Any] = ["n", "Eq", 2]
    for _ in range(63):
        nested = ["Not", nested]
    assert filled.ids(nested) == [1, 3, 4, 5]
    with pytest.raises(Refusal, match="nested deeper than 64"):
        filled.ids(["Not", nested])


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (["n", "Eq", {"$ref_new": "s"}], "Eq expects int, but got string"),
        (["n", "In", {"$ref_new": "n"}], "In does not take $ref_new"),
        (["n", "Eq", {"$ref_new": "nope"}], "filter error in key `nope`: attribute not found"),
    ],
)
def test_impossible_reference_is_400(filled: Service, condition: list[Any], text: str) -> None:
    with pytest.raises(Refusal) as refused:
        filled.write(upsert_rows=[{"id": 1, "n": 1}], upsert_condition=condition)
    assert refused.value.status == 400
    assert text in refused.value.text


@pytest.mark.parametrize(
    ("op", "stored_null", "stored_value"),
    [("Lt", False, False), ("Lte", True, False), ("Gt", False, True), ("Gte", True, True)],
)
def test_null_new_value_is_the_least_value(
    service: Service, op: str, stored_null: bool, stored_value: bool
) -> None:
    service.write(upsert_rows=[{"id": 1}, {"id": 2, "a": 0}])
    answer = service.write(
        patch_rows=[{"id": 1, "b": 1}, {"id": 2, "b": 1}],
        patch_condition=["a", op, {"$ref_new": "a"}],
        return_affected_ids=True,
    )
    passed = [id_ for id_, holds in ((1, stored_null), (2, stored_value)) if holds]
    assert answer.get("patched_ids", []) == passed
