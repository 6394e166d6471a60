"""Namespaces as a whole: creation, names, pages, copies, branches, read-only."""

from typing import Any

import pytest

from hevfast.simulator.answers import Refusal
from hevfast.simulator.metadata import metadata_v1, metadata_v2, update_metadata

from .conftest import Service


@pytest.mark.parametrize(
    "write",
    [
        {"deletes": [1]},
        {"patch_rows": [{"id": 1, "a": 1}]},
        {"delete_by_filter": ["id", "Eq", 1]},
        {"schema": {"a": "string"}},
        {"upsert_rows": []},
        {"upsert_rows": [{"id": 1}], "create_namespace": False},
        {},
    ],
)
def test_write_without_documents_does_not_create_a_namespace(
    service: Service, write: dict[str, Any]
) -> None:
    with pytest.raises(Refusal, match="'books' was not found") as refused:
        service.write(**write)
    assert refused.value.status == 404


def test_namespace_can_be_created_empty_when_its_id_type_is_declared(service: Service) -> None:
    with pytest.raises(Refusal, match="id type must be declared"):
        service.write(create_namespace=True)
    service.write(
        create_namespace=True,
        schema={"id": "uuid", "vector": "[2]f32"},
        distance_metric="cosine_distance",
    )
    assert service.rows() == []
    assert service.type_of("id") == "uuid"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a" * 129, "a\n"])
def test_illegal_namespace_name_is_400(service: Service, name: str) -> None:
    with pytest.raises(Refusal, match="invalid namespace name") as refused:
        service.write(name, upsert_rows=[{"id": 1}])
    assert refused.value.status == 400


def test_pages_list_every_name_once_in_order(service: Service) -> None:
    names = [f"ns-{number}" for number in range(7)]
    for name in [*reversed(names), "other"]:
        service.write(name, upsert_rows=[{"id": 1}])
    listed, cursor, page_count = [], "", 0
    while page_count == 0 or cursor:
        page: dict[str, Any] = service.catalogue.page("ns-", cursor, "3")
        listed += [entry["id"] for entry in page["namespaces"]]
        cursor, page_count = page.get("next_cursor", ""), page_count + 1
    assert (listed, page_count) == (names, 3)


@pytest.mark.parametrize("size", ["0", "1001", "-1", "x", "9" * 50])
def test_page_size_is_bounded(service: Service, size: str) -> None:
    with pytest.raises(Refusal, match="expected 1 to 1000"):
        service.catalogue.page("", "", size)


def test_foreign_cursor_is_400(service: Service) -> None:
    with pytest.raises(Refusal, match="cursor"):
        service.catalogue.page("", "no cursor!", "")


@pytest.mark.parametrize("form", ["string", "object"])
@pytest.mark.parametrize("field", ["copy_from_namespace", "branch_from_namespace"])
def test_copy_has_the_rows_and_schema_and_then_lives_its_own_life(
    service: Service, field: str, form: str
) -> None:
    rows = [{"id": number, "vector": [number, 1], "a": "x"} for number in range(1, 5)]
    service.write(upsert_rows=rows, distance_metric="cosine_distance")
    service.write(deletes=[2])
    source = "books" if form == "string" else {"source_namespace": "books"}
    answer = service.write("twin", **{field: source})
    assert answer["rows_affected"] == 3
    assert "rows_upserted" not in answer
    before = service.rows("twin")
    assert before == service.rows()
    service.write(upsert_rows=[{"id": 1, "vector": [9, 9]}], deletes=[3])
    service.write("twin", patch_rows=[{"id": 4, "a": "y"}])
    assert service.rows("twin") == [*before[:2], {"id": 4, "vector": [4.0, 1.0], "a": "y"}]
    assert service.rows()[-1]["a"] == "x"
    service.write("twin", upsert_rows=[{"id": 7, "vector": [1, 2]}])
    # The new row has a place of its own in the copied matrix.
    found = [(row["id"], row["vector"]) for row in service.rows("twin")]
    assert found == [(1, [1.0, 1.0]), (3, [3.0, 1.0]), (4, [4.0, 1.0]), (7, [1.0, 2.0])]


@pytest.mark.parametrize("field", ["copy_from_namespace", "branch_from_namespace"])
def test_copy_needs_an_empty_destination_and_a_source(service: Service, field: str) -> None:
    service.write(upsert_rows=[{"id": 1}])
    service.write("full", upsert_rows=[{"id": 2}])
    with pytest.raises(Refusal, match="destination namespace already exists") as refused:
        service.write("full", **{field: "books"})
    assert refused.value.status == 400
    with pytest.raises(Refusal, match="'nowhere' was not found") as refused:
        service.write("fresh", **{field: "nowhere"})
    assert refused.value.status == 404
    with pytest.raises(Refusal, match="exclude documents and schema"):
        service.write("fresh", **{field: "books"}, upsert_rows=[{"id": 1}])
    with pytest.raises(Refusal) as refused:
        service.write("fresh", **{field: {"source": "books"}})
    assert refused.value.status == 422


def test_branch_names_its_parent(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1}])
    service.write("twig", branch_from_namespace="books")
    assert metadata_v2(service.catalogue.find("twig"))["branching"] == {"parent": "books"}


def test_read_only_refuses_writes_until_lifted(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1}])
    namespace = service.catalogue.find("books")
    update_metadata(namespace, {"read_only": True})
    assert metadata_v2(namespace)["read_only"] is True
    with pytest.raises(Refusal, match="read-only"):
        service.write(upsert_rows=[{"id": 2}])
    with pytest.raises(Refusal, match="read-only"):
        service.catalogue.update_schema("books", {"a": "string"})
    update_metadata(namespace, {"read_only": False})
    service.write(upsert_rows=[{"id": 2}])
    assert "read_only" not in metadata_v2(namespace)


@pytest.mark.parametrize(
    ("pinning", "replicas"), [(True, 1), ({"replicas": 3}, 3), (False, None), (None, None)]
)
def test_pinning_forms(service: Service, pinning: object, replicas: int | None) -> None:
    service.write(upsert_rows=[{"id": 1}])
    namespace = service.catalogue.find("books")
    update_metadata(namespace, {"pinning": True})
    update_metadata(namespace, {"pinning": pinning})
    shown: Any = metadata_v1(namespace).get("pinning")
    assert (shown and shown["replicas"]) == replicas


@pytest.mark.parametrize(
    "encryption",
    [
        {"mode": "customer-managed", "key_name": "mykey"},
        {"cmek": {"key_name": "mykey"}},
    ],
)
def test_malformed_key_is_400_with_the_confirmed_text(
    service: Service, encryption: dict[str, Any]
) -> None:
    with pytest.raises(Refusal, match="Malformed Cloud KMS crypto key: mykey") as refused:
        service.write(upsert_rows=[{"id": 1}], encryption=encryption)
    assert refused.value.status == 400


def test_encryption_shows_in_both_forms(service: Service) -> None:
    key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    encryption = {"mode": "customer-managed", "key_name": key}
    service.write(upsert_rows=[{"id": 1}], encryption=encryption)
    namespace = service.catalogue.find("books")
    assert metadata_v2(namespace)["encryption"] == encryption
    assert metadata_v1(namespace)["encryption"] == {"cmek": {"key_name": key}}


def test_sharding_is_chosen_once_and_may_be_repeated(service: Service) -> None:
    service.write(upsert_rows=[{"id": 1}], sharding={"num_shards": 4})
    service.write(upsert_rows=[{"id": 2}], sharding={"num_shards": 4})
    with pytest.raises(Refusal, match="sharding is fixed"):
        service.write(upsert_rows=[{"id": 3}], sharding={"num_shards": 5})
    assert service.ids() == [1, 2]
