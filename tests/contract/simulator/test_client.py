"""The official Python client against a running simulator."""

import gzip
import json
from typing import Any

import pytest
import turbopuffer
from turbopuffer.lib.namespace import Namespace

from .conftest import KEY, Wire, plain

EVERYTHING: Any = {"rank_by": ["id", "asc"], "top_k": 100, "include_attributes": True}


def all_rows(ns: Namespace) -> list[dict[str, Any]]:
    return plain(ns.query(**EVERYTHING).rows)


@pytest.fixture
def filled(ns: Namespace) -> Namespace:
    """Five rows, of which two are equally far from [0, 0.2] and two more from elsewhere."""
    ns.write(
        distance_metric="euclidean_squared",
        upsert_rows=[
            {"id": 3, "vector": [0.7, 0.7], "hello": "world", "n": 3},
            {"id": 6, "vector": [0.7, 0.7], "hello": "world", "n": 6},
            {"id": 1, "vector": [0.1, 0.1], "hello": "world", "tags": ["a", "b"]},
            {"id": 2, "vector": [2, 2], "n": 2, "tags": ["b"]},
            {"id": 9, "vector": [1.1, -1.1]},
        ],
    )
    return ns


def test_namespace_exists_after_its_first_write_only(ns: Namespace) -> None:
    assert not ns.exists()
    ns.write(upsert_rows=[{"id": 1}])
    assert ns.exists()


def test_rows_come_back_with_exactly_their_attributes(filled: Namespace) -> None:
    assert all_rows(filled) == [
        {"id": 1, "vector": [0.1, 0.1], "hello": "world", "tags": ["a", "b"]},
        {"id": 2, "vector": [2.0, 2.0], "n": 2, "tags": ["b"]},
        {"id": 3, "vector": [0.7, 0.7], "hello": "world", "n": 3},
        {"id": 6, "vector": [0.7, 0.7], "hello": "world", "n": 6},
        {"id": 9, "vector": [1.1, -1.1]},
    ]


def test_columns_patches_and_deletes(filled: Namespace) -> None:
    answer = filled.write(
        upsert_columns={"id": [20, 21], "vector": [[1.5, 1.5], [1, 1]], "hello": ["x", None]},
        patch_rows=[{"id": 9, "a": 1}, {"id": 404, "a": 1}],
        patch_columns={"id": [2], "b": [2]},
        deletes=[1, 3, 6],
        return_affected_ids=True,
    )
    assert (
        answer.rows_affected,
        answer.rows_upserted,
        answer.rows_patched,
        answer.rows_deleted,
    ) == (
        7,
        2,
        2,
        3,
    )
    assert (answer.upserted_ids, answer.patched_ids, answer.deleted_ids) == (
        [20, 21],
        [9, 2],
        [1, 3, 6],
    )
    rows = plain(filled.query(rank_by=["id", "asc"], top_k=10, include_attributes=["a", "b"]).rows)
    assert rows == [{"id": 2, "b": 2}, {"id": 9, "a": 1}, {"id": 20}, {"id": 21}]


def test_billing_of_five_rows_with_a_vector_and_one_string(filled: Namespace) -> None:
    filled.write(upsert_rows=[{"id": 5, "vector": [0.2, 0.3]}], deletes=[3, 6])
    filled.write(upsert_columns={"id": [7], "vector": [[3, 3]]})
    answer = filled.query(
        rank_by=["vector", "ANN", [0.1, 0.1]], top_k=5, include_attributes=["hello", "vector"]
    )
    assert answer.billing.model_dump() == {
        "billable_logical_bytes_queried": 256_000_000,
        "billable_logical_bytes_returned": 105,
    }


def test_nearest_neighbours_are_exact_and_tie_by_id(filled: Namespace) -> None:
    rows = plain(filled.query(rank_by=["vector", "ANN", [0.7, 0.6]], top_k=3).rows)
    assert [row["id"] for row in rows] == [3, 6, 1]
    for row, expected in zip(rows, [0.01, 0.01, 0.61], strict=True):
        assert row["$dist"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["id", "In", [1, 2]], [1, 2]),
        (["And", [["hello", "Eq", "world"], ["n", "Gt", 3]]], [6]),
        (["tags", "In", ["a"]], [1]),
        (["tags", "In", "b"], [1, 2]),
        (["hello", "NotEq", "world"], [2, 9]),
    ],
)
def test_filters(filled: Namespace, filters: Any, ids: list[int]) -> None:
    rows = filled.query(rank_by=["id", "asc"], top_k=10, filters=filters).rows
    assert [row.id for row in rows or []] == ids


def test_performance_counts_every_row_before_filtering(
    ns: Namespace, wire: Wire, name: str
) -> None:
    ns.write(
        distance_metric="cosine_distance",
        upsert_rows=[
            {"id": 1, "vector": [0.1, 0.1], "hello": "world"},
            {"id": 2, "vector": [1, 1]},
        ],
    )
    asked: Any = {"rank_by": ["vector", "ANN", [1, 1]], "filters": ["hello", "Eq", "world"]}
    answer = ns.query(**asked, top_k=5)
    assert [row.id for row in answer.rows or []] == [1]
    assert answer.performance.exhaustive_search_count == 2
    assert answer.performance.cache_temperature in ("hot", "warm", "cold")
    assert answer.performance.server_total_ms > 0
    assert answer.performance.query_execution_ms > 0
    # The client would accept an integer; the wire carries a float.
    _, _, body = wire.call("POST", f"/v2/namespaces/{name}/query", asked)
    assert b'"cache_hit_ratio":1.0' in body


def test_delete_by_filter_counts_what_it_deleted(filled: Namespace) -> None:
    deleted = [
        filled.write(delete_by_filter=filters).rows_affected
        for filters in (["n", "Eq", 99], ["tags", "Contains", "b"], ["hello", "Eq", "world"])
    ]
    assert deleted == [0, 2, 2]


def test_patch_by_filter(filled: Namespace) -> None:
    answer = filled.write(patch_by_filter={"filters": ["tags", "Contains", "b"], "patch": {"n": 7}})
    assert answer.rows_patched == 2
    rows = filled.query(rank_by=["id", "asc"], top_k=10, filters=["n", "Eq", 7]).rows
    assert [row.id for row in rows or []] == [1, 2]


def test_condition_that_fails_is_a_success_with_lower_counts(filled: Namespace) -> None:
    answer = filled.write(
        upsert_rows=[
            {"id": 3, "vector": [9.5, 9.5], "n": 1},
            {"id": 30, "vector": [1.5, 1], "n": 1},
        ],
        upsert_condition=["n", "Lt", {"$ref_new": "n"}],
    )
    assert answer.rows_affected == 1
    assert answer.billing.query is not None


def test_vectors_agree_in_both_encodings(filled: Namespace) -> None:
    by_float = filled.query(**EVERYTHING, vector_encoding="float").rows
    by_base64 = filled.query(**EVERYTHING, vector_encoding="base64").rows
    assert by_float is not None
    assert by_base64 is not None
    assert by_base64[2].vector == "MzMzPzMzMz8="
    assert [row.vector for row in by_float][2] == [0.7, 0.7]


def test_multi_query_and_aggregates(filled: Namespace) -> None:
    answer = filled.multi_query(
        queries=[
            {"rank_by": ["vector", "ANN", [2, 2]], "top_k": 1},
            {"aggregate_by": {"n": ["Count"], "total": ["Sum", "n"]}},
            {"aggregate_by": {"n": ["Count"]}, "group_by": ["hello"], "top_k": 10},
        ]
    )
    assert [row.id for row in answer.results[0].rows or []] == [2]
    assert answer.results[1].aggregations == {"n": 5, "total": 11}
    assert answer.results[2].aggregation_groups == [
        {"hello": None, "n": 2},
        {"hello": "world", "n": 3},
    ]


def test_metadata_and_schema_in_both_versions(filled: Namespace, wire: Wire, name: str) -> None:
    metadata = filled.metadata()
    # So little is not indexed, and only the index knows how much there is.
    assert (metadata.approx_row_count, metadata.approx_logical_bytes) == (0, 0)
    assert metadata.index.status == "up-to-date"
    _, _, second = wire.call("GET", f"/v2/namespaces/{name}/metadata")
    assert json.loads(second)["schema"] == {
        "id": {"type": "uint"},
        "vector": {"type": "[2]f32", "ann": {"distance_metric": "euclidean_squared"}},
        "hello": {"type": "string", "filterable": True},
        "n": {"type": "int", "filterable": True},
        "tags": {"type": "[]string", "filterable": True},
    }
    assert json.loads(second)["encryption"] == {"mode": "default"}
    _, _, first = wire.call("GET", f"/v1/namespaces/{name}/metadata")
    _, _, schema = wire.call("GET", f"/v1/namespaces/{name}/schema")
    assert json.loads(first)["encryption"] == {"sse": True}
    assert json.loads(first)["schema"] == json.loads(schema)
    nothing = {"filterable": None, "full_text_search": None}
    assert json.loads(schema)["id"] == {"type": "uint"} | nothing
    assert json.loads(schema)["vector"] == {"type": "[2]f32", "ann": True} | nothing
    assert json.loads(schema)["n"] == {"type": "int", "filterable": True, "full_text_search": None}


def test_schema_update_switches_filtering_off(filled: Namespace) -> None:
    before = filled.schema()
    assert before["hello"].filterable
    assert before["hello"].full_text_search is None
    after = filled.update_schema(schema={"hello": {"type": "string", "filterable": False}})
    assert after["hello"].filterable is False
    with pytest.raises(turbopuffer.APIStatusError):
        filled.query(rank_by=["id", "asc"], top_k=1, filters=["hello", "Eq", "world"])


def test_full_text_settings_are_kept_and_searched_by(
    ns: Namespace,
) -> None:
    ns.write(
        schema={"text": {"type": "string", "full_text_search": True}},
        upsert_rows=[{"id": 1, "text": "fox"}],
    )
    settings = ns.schema()["text"].full_text_search
    assert settings is not None
    assert not isinstance(settings, bool)
    assert (settings.k1, settings.b, settings.language) == (1.2, 0.75, "english")
    assert [row.id for row in ns.query(rank_by=["text", "BM25", "fox"], top_k=1).rows] == [1]


def test_copy_and_branch_through_the_client(
    client: turbopuffer.Turbopuffer, filled: Namespace, name: str
) -> None:
    copied, branched = client.namespace(f"{name}-copy"), client.namespace(f"{name}-branch")
    assert copied.copy_from(source_namespace=name).rows_affected == 5
    branched.branch_from(source_namespace=name)
    query: Any = {"rank_by": ["vector", "ANN", [2, 2]], "top_k": 4}
    for twin in (copied, branched):
        assert plain(twin.query(**query).rows) == plain(filled.query(**query).rows)
        with pytest.raises(
            turbopuffer.BadRequestError, match="destination namespace already exists"
        ):
            twin.copy_from(source_namespace=name)


def test_copy_from_a_bare_string(
    client: turbopuffer.Turbopuffer, filled: Namespace, name: str
) -> None:
    copied = client.namespace(f"{name}-copy")
    copied.write(copy_from_namespace=name)
    assert len(all_rows(copied)) == 5


def test_started_copy_can_be_polled(
    client: turbopuffer.Turbopuffer, filled: Namespace, name: str
) -> None:
    twin = client.namespace(f"{name}-copy")
    started = twin.start_copy_from(source_namespace=name)
    assert twin.poll_copy_from(token=started.token).status == "finished"
    assert len(all_rows(twin)) == 5


def test_list_pages_by_prefix(client: turbopuffer.Turbopuffer, name: str) -> None:
    names = [f"{name}-list-{number}" for number in range(5)]
    for each in names:
        client.namespace(each).write(upsert_rows=[{"id": 1}])
    listed = client.namespaces(prefix=f"{name}-list-", page_size=2)
    assert [entry.id for entry in listed] == names


def test_deleted_namespace_is_gone_and_its_name_free(filled: Namespace) -> None:
    assert filled.delete_all().status == "OK"
    assert not filled.exists()
    with pytest.raises(turbopuffer.NotFoundError, match="not found"):
        filled.delete_all()
    # Another id type is allowed, since nothing of the old namespace is left.
    filled.write(upsert_rows=[{"id": "text"}])
    assert all_rows(filled) == [{"id": "text"}]


def test_emptied_namespace_answers_no_rows(filled: Namespace) -> None:
    filled.write(deletes=[1, 2, 3, 6, 9])
    assert filled.query(**EVERYTHING).rows == []


def test_read_only_and_pinning(filled: Namespace) -> None:
    shown = filled.update_metadata(read_only=True, pinning={"replicas": 2})
    assert shown.read_only is True
    assert shown.pinning is not None
    assert shown.pinning.replicas == 2
    with pytest.raises(turbopuffer.APIStatusError, match="read-only"):
        filled.write(deletes=[1])
    shown = filled.update_metadata(read_only=False, pinning=None)
    assert (shown.read_only, shown.pinning) == (None, None)


def test_recall_warm_and_explain(filled: Namespace) -> None:
    recall = filled.recall()
    assert (recall.avg_recall, recall.avg_exhaustive_count, recall.avg_ann_count) == (1.0, 5.0, 5.0)
    truth = filled.recall(num=1, top_k=2, include_ground_truth=True).ground_truth
    assert truth is not None
    assert truth[0].query_vector == [0.1, 0.1]
    warmed = filled.hint_cache_warm()
    assert warmed.status in ("ACCEPTED", "OK")
    assert warmed.message
    assert "exhaustive" in (filled.explain_query(**EVERYTHING).plan_text or "")


def test_string_ids_order_by_bytes_and_filter(ns: Namespace) -> None:
    ids = ["b5c1", "0a77", "Zz", "zz"]
    ns.write(
        distance_metric="cosine_distance",
        upsert_rows=[{"id": id_, "vector": [0.5, float(place)]} for place, id_ in enumerate(ids)],
    )
    assert [row["id"] for row in all_rows(ns)] == sorted(ids)
    ns.write(deletes=["Zz"])
    rows = ns.query(
        rank_by=["vector", "ANN", [0, 1]], top_k=5, filters=["id", "In", ["zz", "Zz", "0a77"]]
    ).rows
    assert [row.id for row in rows or []] == ["zz", "0a77"]


def test_unsigned_64_bit_ids_survive_the_wire(wire: Wire, name: str) -> None:
    body = b'{"upsert_rows":[{"id":18446744073709551615},{"id":9007199254740993}]}'
    assert wire.call("POST", f"/v2/namespaces/{name}", body)[0] == 200
    _, _, answer = wire.call("POST", f"/v2/namespaces/{name}/query", {"rank_by": ["id", "asc"]})
    assert answer.startswith(b'{"rows":[{"id":9007199254740993},{"id":18446744073709551615}]')


def test_compressing_client_sends_and_receives_gzip(port: int, name: str) -> None:
    url = f"http://127.0.0.1:{port}"
    with turbopuffer.Turbopuffer(base_url=url, api_key=KEY, compression=True) as compressing:
        ns = compressing.namespace(name)
        vectors = [[float(place % 7) for place in range(4096)] for _ in range(3)]
        ns.write(
            distance_metric="cosine_distance",
            upsert_rows=[{"id": place, "vector": vector} for place, vector in enumerate(vectors)],
        )
        raw = ns.with_raw_response.query(**EVERYTHING)
        assert raw.headers["content-encoding"] == "gzip"
        assert [row["vector"] for row in all_rows(ns)] == vectors


def test_answer_is_compressed_only_if_large_and_accepted(wire: Wire, name: str) -> None:
    path = f"/v2/namespaces/{name}"
    rows = {"upsert_rows": [{"id": 1, "a": "x" * 3000}]}
    packed = gzip.compress(json.dumps(rows).encode())
    assert wire.call("POST", path, packed, {"Content-Encoding": "gzip"})[0] == 200
    large = {"rank_by": ["id", "asc"], "include_attributes": True}
    for asked, accepted, encoding in (
        (large, "gzip", "gzip"),
        (large, "identity", None),
        ({"rank_by": ["id", "asc"]}, "gzip", None),
    ):
        _, headers, body = wire.call("POST", f"{path}/query", asked, {"Accept-Encoding": accepted})
        assert headers.get("content-encoding") == encoding
        parsed = json.loads(gzip.decompress(body) if encoding else body)
        assert parsed["rows"][0]["id"] == 1


def test_query_string_and_prefer_have_no_effect(wire: Wire, name: str) -> None:
    status, headers, _ = wire.call(
        "POST",
        f"/v2/namespaces/{name}?stainless_overload=copyFrom",
        {"upsert_rows": [{"id": 1}], "unknown_field": 1},
        {"Prefer": "respond-async"},
    )
    assert status == 200
    assert "preference-applied" not in headers
