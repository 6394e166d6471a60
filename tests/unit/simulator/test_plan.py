"""Writes: every kind of operation, their order, and all or nothing."""

from typing import Any

import pytest

from hevfast.simulator.answers import Refusal

from .conftest import Service

COUNTS = ("rows_affected", "rows_upserted", "rows_patched", "rows_deleted", "rows_remaining")


def counts(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in COUNTS if name in answer}


def test_rows_and_columns_store_the_same(service: Service) -> None:
    service.write(
        distance_metric="cosine_distance",
        upsert_rows=[{"id": 1, "vector": [0.7, 0.7], "a": "x"}, {"id": 2, "vector": [2, 2]}],
        upsert_columns={"id": [3, 4], "vector": [[0.7, 0.7], "AACAPwAAAD8="], "a": ["x", None]},
    )
    assert service.rows() == [
        {"id": 1, "vector": [0.7, 0.7], "a": "x"},
        {"id": 2, "vector": [2.0, 2.0]},
        {"id": 3, "vector": [0.7, 0.7], "a": "x"},
        {"id": 4, "vector": [1.0, 0.5]},
    ]


def test_upsert_replaces_the_whole_document(service: Service) -> None:
    service.write(
        upsert_rows=[{"id": 1, "vector": [1, 1], "a": "x", "b": 1}],
        distance_metric="cosine_distance",
    )
    service.write(upsert_rows=[{"id": 1, "vector": [2, 2], "b": None}])
    assert service.rows() == [{"id": 1, "vector": [2.0, 2.0]}]


def test_patch_sets_given_attributes_clears_nulls_and_skips_missing_ids(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": "x", "b": 1}, {"id": 2, "a": "y", "b": 2}])
    answer = service.write(
        patch_rows=[{"id": 1, "a": "z"}, {"id": 9, "a": "never"}],
        patch_columns={"id": [2], "b": [None], "c": [7]},
    )
    assert counts(answer) == {"rows_affected": 2, "rows_patched": 2}
    assert service.rows() == [{"id": 1, "a": "z", "b": 1}, {"id": 2, "a": "y", "c": 7}]


@pytest.mark.parametrize(
    "write",
    [
        {"patch_rows": [{"id": 1, "vector": [1, 1]}]},
        {"patch_columns": {"id": [1], "vector": [None]}},
        {"patch_by_filter": {"filters": ["id", "Eq", 1], "patch": {"vector": [1, 1]}}},
        {"patch_by_filter": {"filters": ["id", "Eq", 7], "patch": {"id": 3}}},
    ],
)
def test_vectors_and_ids_cannot_be_patched(service: Service, write: dict[str, Any]) -> None:
    service.write(upsert_rows=[{"id": 1, "vector": [1, 1]}], distance_metric="cosine_distance")
    with pytest.raises(Refusal, match="cannot be patched"):
        service.write(**write)


def test_delete_by_id_counts_missing_ids_unless_conditional(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1}, {"id": 2}])
    assert counts(service.write(deletes=[1, 9])) == {"rows_affected": 2, "rows_deleted": 2}
    conditional = service.write(deletes=[2, 9], delete_condition=["id", "Gt", 0])
    assert counts(conditional) == {"rows_affected": 1, "rows_deleted": 1}
    assert service.rows() == []


def test_three_steps_apply_in_order(service: Service) -> None:
    """The worked example: delete by filter, then patch by filter, then the rest."""
    attic = [{"id": number, "shelf": "attic", "price": 500} for number in (1, 2, 3)]
    dear = [{"id": number, "shelf": "B2", "price": 200} for number in (4, 5)]
    service.write(upsert_rows=[*attic, *dear, {"id": 20, "shelf": "C", "price": 1}])
    answer = service.write(
        delete_by_filter=["shelf", "Eq", "attic"],
        patch_by_filter={"filters": ["price", "Gt", 100], "patch": {"tier": "rare"}},
        patch_rows=[{"id": 20, "shelf": "A1"}, {"id": 999, "shelf": "A2"}],
    )
    assert counts(answer) == {"rows_affected": 6, "rows_patched": 3, "rows_deleted": 3}
    assert service.rows() == [
        {"id": 4, "shelf": "B2", "price": 200, "tier": "rare"},
        {"id": 5, "shelf": "B2", "price": 200, "tier": "rare"},
        {"id": 20, "shelf": "A1", "price": 1},
    ]


def test_upsert_after_delete_by_filter_inserts_anew(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": 1, "b": 1}])
    answer = service.write(
        delete_by_filter=["a", "Eq", 1],
        upsert_rows=[{"id": 1, "a": 1}],
        # The document is gone by now, so the condition is not asked.
        upsert_condition=["a", "Eq", 5],
    )
    assert counts(answer) == {"rows_affected": 2, "rows_upserted": 1, "rows_deleted": 1}
    assert service.rows() == [{"id": 1, "a": 1}]


def test_condition_sees_the_rows_as_patched_by_filter(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": 1}])
    service.write(
        patch_by_filter={"filters": ["id", "Eq", 1], "patch": {"a": 2}},
        deletes=[1],
        delete_condition=["a", "Eq", 2],
    )
    assert service.rows() == []


BROKEN: list[dict[str, Any]] = [
    {"upsert_rows": [{"id": 5, "a": 1}, {"id": 6, "a": "wrong"}]},
    {"upsert_rows": [{"id": 5}], "deletes": [5]},
    {"upsert_rows": [{"id": 5}], "patch_rows": [{"id": 5, "a": 2}]},
    {"upsert_rows": [{"id": 5}, {"id": 5}]},
    {"upsert_columns": {"id": [5, 5]}},
    {"deletes": [1, 1]},
    {"delete_by_filter": ["a", "Eq", 1], "upsert_rows": [{"id": "text"}]},
    {"delete_by_filter": ["nope", "Eq", 1]},
    {"patch_by_filter": {"filters": ["a", "Eq", 1], "patch": {"a": "wrong"}}},
    {"deletes": [1], "schema": {"a": "string"}},
    {"deletes": [1], "patch_rows": [{"id": 2, "b": 1.5}], "schema": {"b": "int"}},
    {"deletes": [1], "upsert_columns": {"id": [5, 6], "a": [1]}},
    {"deletes": [1], "upsert_columns": {"a": [1]}},
    {"deletes": [1], "upsert_rows": [{"a": 1}]},
    {"deletes": [1], "upsert_rows": [{"id": 5}], "upsert_condition": ["nope", "Eq", 1]},
    {"deletes": [-1]},
    {"deletes": [2**64]},
    {"deletes": [1.0]},
]


@pytest.mark.parametrize("write", BROKEN)
def test_refused_write_changes_nothing(service: Service, write: dict[str, Any]) -> None:
    service.write(upsert_rows=[{"id": 1, "a": 1}, {"id": 2, "a": 2}])
    namespace = service.catalogue.find("books")
    before = (dict(namespace.schema), dict(namespace.documents), namespace.logical_bytes)
    with pytest.raises(Refusal) as refused:
        service.write(**write)
    assert refused.value.status == 400
    assert (namespace.schema, namespace.documents, namespace.logical_bytes) == before


def test_insert_if_absent(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": "old"}])
    answer = service.write(
        upsert_rows=[{"id": 1, "a": "new"}, {"id": 2, "a": "new"}],
        upsert_condition=["id", "Eq", None],
        return_affected_ids=True,
    )
    assert counts(answer) == {"rows_affected": 1, "rows_upserted": 1}
    assert answer["upserted_ids"] == [2]
    assert service.rows() == [{"id": 1, "a": "old"}, {"id": 2, "a": "new"}]


def test_version_guard_compares_stored_with_new(service: Service) -> None:
    service.write(upsert_rows=[{"id": "a", "rev": 9}, {"id": "b", "rev": 3}, {"id": "c"}])
    guard = ["Or", [["rev", "Lt", {"$ref_new": "rev"}], ["rev", "Eq", None]]]
    answer = service.write(
        upsert_rows=[{"id": key, "rev": 7} for key in ("a", "b", "c", "new")],
        upsert_condition=guard,
    )
    assert answer["rows_affected"] == 3
    assert answer["billing"]["query"] == {
        "billable_logical_bytes_queried": 256_000_000,
        "billable_logical_bytes_returned": 0,
    }
    assert {row["id"]: row["rev"] for row in service.rows()} == {"a": 9, "b": 7, "c": 7, "new": 7}
    service.write(patch_columns={"id": ["a", "b"], "rev": [8, 8]}, patch_condition=guard)
    assert {row["id"]: row["rev"] for row in service.rows()} == {"a": 9, "b": 8, "c": 7, "new": 7}


def test_version_guard_works_on_datetimes(service: Service) -> None:
    schema = {"at": "datetime"}
    service.write(schema=schema, upsert_rows=[{"id": 1, "at": "2026-01-02"}])
    for moment, written in (("2026-01-01", 0), ("2026-01-02T00:00:00.001Z", 1)):
        answer = service.write(
            upsert_rows=[{"id": 1, "at": moment}],
            upsert_condition=["at", "Lt", {"$ref_new": "at"}],
        )
        assert answer["rows_affected"] == written


def test_new_values_read_as_null_in_a_delete_condition(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": 1}, {"id": 2, "b": 1}])
    service.write(deletes=[1, 2], delete_condition=["a", "Eq", {"$ref_new": "a"}])
    assert service.ids() == [1]


def test_condition_does_not_govern_the_other_kinds(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1, "a": 1}, {"id": 2, "a": 1}, {"id": 3, "a": 1}])
    answer = service.write(
        upsert_rows=[{"id": 1, "a": 2}],
        patch_rows=[{"id": 2, "a": 2}],
        deletes=[3],
        upsert_condition=["a", "Eq", 99],
    )
    assert counts(answer) == {
        "rows_affected": 2,
        "rows_upserted": 0,
        "rows_patched": 1,
        "rows_deleted": 1,
    }


def test_delete_by_filter_stops_at_its_cap(limited: Service) -> None:
    limited.write(upsert_columns={"id": list(range(10)), "a": [1] * 10})
    everything = ["a", "Eq", 1]
    with pytest.raises(Refusal, match="more than 3 documents") as refused:
        limited.write(delete_by_filter=everything)
    assert refused.value.status == 400
    partial = {"delete_by_filter": everything, "delete_by_filter_allow_partial": True}
    remaining = [limited.write(**partial).get("rows_remaining") for _ in range(4)]
    assert remaining == [True, True, True, None]
    assert limited.rows() == []


def test_patch_by_filter_stops_at_its_cap(limited: Service) -> None:
    limited.write(upsert_columns={"id": [1, 2, 3], "a": [1, 1, 1]})
    patch = {"filters": ["a", "Eq", 1], "patch": {"a": 2}}
    with pytest.raises(Refusal, match="more than 2 documents"):
        limited.write(patch_by_filter=patch)
    answer = limited.write(patch_by_filter=patch, patch_by_filter_allow_partial=True)
    assert counts(answer) == {"rows_affected": 2, "rows_patched": 2, "rows_remaining": True}
    answer = limited.write(patch_by_filter=patch, patch_by_filter_allow_partial=True)
    assert counts(answer) == {"rows_affected": 1, "rows_patched": 1}


def test_affected_ids_appear_only_on_request_and_for_kinds_with_rows(service: Service) -> None:
    assert "upserted_ids" not in service.write(upsert_rows=[{"id": 1}, {"id": 2}, {"id": 3}])
    answer = service.write(
        upsert_columns={"id": [20, 21]},
        patch_rows=[{"id": 99, "a": 1}],
        delete_by_filter=["id", "Lt", 2],
        deletes=[3],
        return_affected_ids=True,
    )
    assert answer["upserted_ids"] == [20, 21]
    assert answer["deleted_ids"] == [1, 3]
    assert "patched_ids" not in answer


def test_unsigned_64_bit_ids_stay_exact_and_ordered(service: Service) -> None:
    ids = [2**64 - 1, 2**53 + 1, 2**53, 0]
    service.write(upsert_rows=[{"id": id_} for id_ in ids])
    assert service.ids() == sorted(ids)


def test_uuid_ids_come_back_in_lower_case_and_are_one_id_in_any_case(service: Service) -> None:
    upper = "0B9C3C6E-97A1-4C55-8D0E-1F6A0D5C7A11"
    service.write(schema={"id": "uuid"}, upsert_rows=[{"id": upper}])
    assert service.ids(["id", "Eq", upper]) == [upper.lower()]
    with pytest.raises(Refusal, match="duplicate document id"):
        service.write(upsert_rows=[{"id": upper}], deletes=[upper.lower()])
    service.write(deletes=[upper.lower()])
    assert service.ids() == []


def test_string_ids_are_bounded_and_ordered_by_bytes(service: Service) -> None:
    service.write(upsert_rows=[{"id": id_} for id_ in ("é", "b", "a" * 64, "B")])
    assert service.ids() == ["B", "a" * 64, "b", "é"]
    for id_ in ("", "a" * 65, "é" * 33):
        with pytest.raises(Refusal, match="1 to 64 bytes"):
            service.write(upsert_rows=[{"id": id_}])


def test_matrix_rows_are_reused_after_deletes(service: Service) -> None:
    rows = [{"id": number, "vector": [number, 1.5]} for number in range(50)]
    service.write(upsert_rows=rows, distance_metric="euclidean_squared")
    namespace = service.catalogue.find("books")
    capacity = len(namespace.columns["vector"].matrix)
    for _ in range(5):
        service.write(deletes=list(range(0, 50, 2)))
        service.write(upsert_rows=rows)
    # One write's rows stand beside those that they replace, and never more.
    assert len(namespace.columns["vector"].matrix) <= 2 * capacity
    assert [row["vector"] for row in service.rows()] == [[number, 1.5] for number in range(50)]


def test_logical_bytes_follow_the_stored_documents(service: Service) -> None:
    service.write(
        upsert_rows=[{"id": 1, "vector": [1, 1], "a": "abc", "b": 1}],
        distance_metric="cosine_distance",
    )
    namespace = service.catalogue.find("books")
    assert namespace.logical_bytes == 8 + 8 + 3 + 8
    service.write(patch_rows=[{"id": 1, "a": "é"}])
    assert namespace.logical_bytes == 8 + 8 + 2 + 8
    service.write(schema={"b": {"drop": True}})
    assert namespace.logical_bytes == 8 + 8 + 2
    service.write(deletes=[1])
    assert namespace.logical_bytes == 0
