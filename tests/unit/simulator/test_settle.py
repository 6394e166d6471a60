"""The schema of a write: inference, conflicts, changes in place."""

from typing import Any

import pytest

from hevfast.simulator.answers import Refusal

from .conftest import Service


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("2026-01-01T00:00:00Z", "string"),
        ("0b9c3c6e-97a1-4c55-8d0e-1f6a0d5c7a11", "string"),
        (2, "int"),
        (2.0, "float"),
        (True, "bool"),
        (["a"], "[]string"),
        ([None, 1], "[]int"),
        ([False], "[]bool"),
        ([1.5], "[]float"),
    ],
)
def test_first_value_decides_the_type(service: Service, value: object, type_: str) -> None:
    service.write(upsert_rows=[{"id": 1, "a": None}, {"id": 2, "a": value}])
    assert service.type_of("a") == type_


@pytest.mark.parametrize(
    ("id_", "type_"),
    [(2**64 - 1, "uint"), ("x", "string"), ("0b9c3c6e-97a1-4c55-8d0e-1f6a0d5c7a11", "string")],
)
def test_first_id_decides_the_id_type(service: Service, id_: object, type_: str) -> None:
    service.write(upsert_rows=[{"id": id_}])
    assert service.type_of("id") == type_


def test_null_and_empty_array_leave_an_attribute_unknown(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": None, "b": []}])
    for name in ("a", "b"):
        with pytest.raises(Refusal, match="attribute not found"):
            service.ids([name, "Eq", None])


@pytest.mark.parametrize("value", [9.99, 2.0, 2**63, -(2**63) - 1])
def test_number_that_is_no_int64_is_refused_with_the_confirmed_text(
    service: Service, value: float
) -> None:
    service.write(upsert_rows=[{"id": 1, "price": 2}])
    text = "number cannot be represented as signed 64-bit integer"
    with pytest.raises(Refusal, match=text) as refused:
        service.write(upsert_rows=[{"id": 2, "price": value}])
    assert refused.value.status == 400
    assert service.rows() == [{"id": 1, "price": 2}]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("string", 1),
        ("int", "1"),
        ("int", True),
        ("uint", -1),
        ("uint", 1.0),
        ("float", "1"),
        ("bool", 1),
        ("uuid", "no"),
        ("datetime", "yesterday"),
        ("datetime", 1_700_000_000),
        ("[]string", "a"),
        ("[]int", [1, "b"]),
        ("bytes", "***"),
        ("{}f16", [1]),
        ("[][2]f32", [[1, 2], [3]]),
        ("string", {"a": 1}),
    ],
)
def test_value_of_another_type_is_400(service: Service, type_: str, value: object) -> None:
    with pytest.raises(Refusal) as refused:
        service.write(schema={"a": type_}, upsert_rows=[{"id": 1, "a": value}])
    assert refused.value.status == 400
    assert "`a`" in refused.value.text
    with pytest.raises(Refusal, match="was not found"):
        service.rows()


@pytest.mark.parametrize(
    ("type_", "sent", "back"),
    [
        ("uuid", "0B9C3C6E-97A1-4C55-8D0E-1F6A0D5C7A11", "0b9c3c6e-97a1-4c55-8d0e-1f6a0d5c7a11"),
        ("datetime", "2026-03-01", "2026-03-01T00:00:00.000000000Z"),
        ("datetime", "2026-03-01T12:30:00.123+02:00", "2026-03-01T10:30:00.123000000Z"),
        ("[]datetime", ["2026-03-01", None], ["2026-03-01T00:00:00.000000000Z", None]),
        ("float", 2, 2.0),
        ("uint", 2**64 - 1, 2**64 - 1),
        ("int", -(2**63), -(2**63)),
        ("bytes", "AAEC", "AAEC"),
        ("{}f16", {"7": 0.5}, {"7": 0.5}),
        ("[][2]f32", [[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_declared_value_comes_back_canonical(
    service: Service, type_: str, sent: object, back: object
) -> None:
    service.write(schema={"a": type_}, upsert_rows=[{"id": 1, "a": sent}])
    assert service.rows() == [{"id": 1, "a": back}]


def test_type_cannot_change_and_the_same_entry_again_is_free(service: Service) -> None:
    service.write(schema={"a": "string"}, upsert_rows=[{"id": 1, "a": "x"}])
    service.write(schema={"a": {"type": "string"}})
    with pytest.raises(Refusal, match="type cannot be changed from string to int"):
        service.write(schema={"a": "int"})


def test_filterable_is_on_unless_text_search_of_some_kind_is(service: Service) -> None:
    kinds = ("full_text_search", "regex", "glob", "fuzzy")
    schema: dict[str, Any] = {kind: {"type": "string", kind: True} for kind in kinds}
    schema["both"] = {"type": "string", "regex": True, "filterable": True}
    service.write(schema=schema | {"plain": "string"}, upsert_rows=[{"id": 1}])
    stored = service.catalogue.find("books").schema
    assert {name for name, entry in stored.items() if entry.filterable} == {"id", "both", "plain"}


def test_repeated_declaration_keeps_what_it_does_not_mention(service: Service) -> None:
    service.write(schema={"a": {"type": "string", "filterable": False}}, upsert_rows=[{"id": 1}])
    service.write(schema={"a": "string"})
    with pytest.raises(Refusal, match="not filterable"):
        service.ids(["a", "Eq", "x"])
    service.write(schema={"a": {"type": "string", "filterable": True}})
    assert service.ids(["a", "Eq", None]) == [1]


def test_drop_removes_the_attribute_from_schema_and_rows(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": "x", "b": 1}, {"id": 2, "a": "y"}])
    service.write(schema={"a": {"drop": True}})
    assert service.rows() == [{"id": 1, "b": 1}, {"id": 2}]
    # The name is free again, for another type.
    service.write(upsert_rows=[{"id": 3, "a": 5}])
    assert service.rows(filters=["a", "NotEq", None]) == [{"id": 3, "a": 5}]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"a": "varchar"}, "unknown attribute type"),
        ({"a": "[0]f32"}, "1 to 10752"),
        ({"a": "[10753]f32"}, "1 to 10752"),
        ({"$a": "string"}, r"must not begin with `\$`"),
        ({"a" * 129: "string"}, "1 to 128 bytes"),
        ({"id": "int"}, "uint, uuid or string"),
        ({"a": {"type": "[2]f32", "filterable": True}}, "cannot be filterable"),
        ({"a": {"type": "string", "embed": "model"}}, "not simulated"),
        ({f"v{number}": "[1]f32" for number in range(9)}, "at most 8"),
        ({f"a{number}": "int" for number in range(1025)}, "at most 1024"),
    ],
)
def test_impossible_schema_is_400(service: Service, schema: dict[str, object], text: str) -> None:
    with pytest.raises(Refusal, match=text) as refused:
        service.write(schema=schema, upsert_rows=[{"id": 1}], distance_metric="cosine_distance")
    assert refused.value.status == 400


@pytest.mark.parametrize("entry", [1, {"filterable": True}, {"type": "string", "bogus": 1}])
def test_schema_entry_of_wrong_shape_is_422(service: Service, entry: object) -> None:
    with pytest.raises(Refusal) as refused:
        service.write(schema={"a": entry}, upsert_rows=[{"id": 1}])
    assert refused.value.status == 422


def test_vectors_need_a_metric_which_then_stays(service: Service) -> None:
    rows = [{"id": 1, "vector": [1, 0]}]
    with pytest.raises(Refusal, match="distance_metric is required"):
        service.write(upsert_rows=rows)
    service.write(upsert_rows=rows, distance_metric="cosine_distance")
    service.write(upsert_rows=rows)
    service.write(upsert_rows=rows, distance_metric="cosine_distance")
    with pytest.raises(Refusal, match="cannot be changed"):
        service.write(upsert_rows=rows, distance_metric="euclidean_squared")


def test_vector_columns_are_fixed_by_the_first_write(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1}])
    with pytest.raises(Refusal, match="fixed when the namespace is created"):
        service.write(upsert_rows=[{"id": 2, "vector": [1, 0]}], distance_metric="cosine_distance")


def test_second_vector_column_with_its_own_metric(service: Service) -> None:
    near = {"type": "[2]f32", "ann": {"distance_metric": "euclidean_squared"}}
    service.write(
        schema={"near": near},
        upsert_rows=[{"id": 1, "vector": [1, 0], "near": "AACAPwAAAD8="}],
        distance_metric="cosine_distance",
    )
    (row,) = service.rows(rank_by=["near", "ANN", [1.0, 1.5]])
    assert row == {"id": 1, "$dist": 1.0, "vector": [1.0, 0.0], "near": [1.0, 0.5]}


def test_every_document_carries_every_vector_column(service: Service) -> None:
    with pytest.raises(Refusal, match="missing vector attribute `vector`"):
        service.write(
            upsert_rows=[{"id": 1, "vector": [1, 0]}, {"id": 2}], distance_metric="cosine_distance"
        )
    service.write(upsert_rows=[{"id": 1, "vector": [1, 0]}], distance_metric="cosine_distance")
    with pytest.raises(Refusal, match="missing vector attribute `vector`"):
        service.write(upsert_rows=[{"id": 2}])


def test_filterable_values_are_bounded_and_others_are_not(service: Service) -> None:
    long = "x" * 4097
    with pytest.raises(Refusal, match="at most 4096 bytes"):
        service.write(upsert_rows=[{"id": 1, "a": long}])
    service.write(
        schema={"a": {"type": "string", "filterable": False}}, upsert_rows=[{"id": 1, "a": long}]
    )
    assert service.rows() == [{"id": 1, "a": long}]
