"""Error statuses and the texts that official tests compare."""

from typing import Any

import pytest
import turbopuffer
from turbopuffer.lib.namespace import Namespace

from .conftest import Wire

ONE: dict[str, Any] = {
    "upsert_rows": [{"id": 1, "vector": [1, 1], "n": 1, "tags": ["a"]}],
    "distance_metric": "cosine_distance",
}
ERRORS: list[tuple[str, dict[str, Any], int, str]] = [
    ("", {"upsert_rows": {"id": 1}}, 422, "upsert_rows: invalid type: map, expected a sequence"),
    ("", {"patch_rows": {"id": 1}}, 422, "patch_rows: invalid type: map, expected a sequence"),
    ("", {"upsert_columns": []}, 422, "upsert_columns: invalid type: sequence, expected a map"),
    ("", {"upsert_rows": [1]}, 422, "invalid type: integer `1`, expected a map"),
    ("", {"deletes": 5}, 422, "deletes: invalid type: integer `5`, expected a sequence"),
    ("", {"patch_rows": [{"id": 1, "n": 2}], "deletes": [1]}, 400, "duplicate document id 1"),
    ("", {"patch_rows": [{"id": 1, "n": 9.99}]}, 400,
     "number cannot be represented as signed 64-bit integer"),
    ("", {"upsert_rows": [{"id": 2, "vector": [1, 1, 1]}]}, 400, "expected 2, got 3"),
    ("", {"upsert_rows": [{"id": "x", "vector": [1, 1]}]}, 400, "invalid document id"),
    ("", {"upsert_rows": [], "encryption": {"mode": "customer-managed", "key_name": "mykey"}}, 400,
     "Malformed Cloud KMS crypto key: mykey"),
    ("", {"distance_metric": "manhattan"}, 422, "unknown variant `manhattan`"),
    ("/query", {"rank_by": ["id", "asc"], "consistency": "eventual"}, 422,
     'invalid type: string "eventual", expected struct Consistency'),
    ("/query", {"rank_by": ["id", "asc"], "consistency": {"level": "x"}}, 422,
     "unknown variant `x`, expected `strong` or `eventual`"),
    ("/query", {"rank_by": ["id", "asc"], "include_attributes": ["x"]}, 400,
     '💔 attribute "x" not found in schema, cannot be part of `include_attributes`'),
    ("/query", {"rank_by": ["id", "asc"], "filters": ["x", "Eq", 1]}, 400, "attribute not found"),
    ("/query", {"rank_by": ["id", "asc"], "filters": ["tags", "ContainsAny", "a"]}, 400,
     "filter error in key `tags`: type mismatch, ContainsAny expects []string, but got"),
    ("/query", {"queries": []}, 400, "expected 1 to 16"),
    ("/query", {"queries": [{"rank_by": ["id", "asc"]}] * 17}, 400, "found 17, expected 1 to 16"),
    ("/query", {"queries": [{"rank_by": ["id", "asc"]}], "limit": 5}, 400,
     "need rerank_by"),
]  # fmt: skip


@pytest.fixture
def path(wire: Wire, name: str) -> str:
    assert wire.call("POST", f"/v2/namespaces/{name}", ONE)[0] == 200
    return f"/v2/namespaces/{name}"


@pytest.mark.parametrize(("suffix", "body", "status", "text"), ERRORS)
def test_error_has_its_status_and_text_and_changes_nothing(
    wire: Wire, path: str, suffix: str, body: dict[str, Any], status: int, text: str
) -> None:
    found, message = wire.error("POST", path + suffix, body)
    assert (found, text in message, message[:2]) == (status, True, "💔 ")
    _, _, rows = wire.call(
        "POST", f"{path}/query", {"rank_by": ["id", "asc"], "include_attributes": True}
    )
    assert rows.startswith(b'{"rows":[{"id":1,"n":1,"tags":["a"],"vector":[1.0,1.0]}],"billing":')


@pytest.mark.parametrize(
    ("method", "prefix", "suffix"),
    [
        ("POST", "v2", "/query"),
        ("POST", "v2", "/explain_query"),
        ("GET", "v2", "/metadata"),
        ("GET", "v1", "/metadata"),
        ("PATCH", "v1", "/metadata"),
        ("GET", "v1", "/schema"),
        ("POST", "v1", "/schema"),
        ("GET", "v1", "/hint_cache_warm"),
        ("POST", "v1", "/_debug/recall"),
        ("DELETE", "v2", ""),
    ],
)
def test_missing_namespace_is_404_and_named(
    wire: Wire, name: str, method: str, prefix: str, suffix: str
) -> None:
    status, text = wire.error(method, f"/{prefix}/namespaces/{name}{suffix}", {})
    assert status == 404
    assert f"'{name}' was not found" in text


def test_client_maps_each_status_to_its_class(
    ns: Namespace, wire: Wire, name: str, path: str
) -> None:
    with pytest.raises(turbopuffer.UnprocessableEntityError, match="invalid type: map"):
        ns.write(upsert_rows={"id": 1})  # type: ignore[arg-type]  # the shape under test
    with pytest.raises(turbopuffer.BadRequestError, match="attribute not found"):
        ns.query(rank_by=["id", "asc"], top_k=1, filters=["x", "Eq", 1])
    status, _, body = wire.call("GET", "/v1/namespaces", None, {"Authorization": "none"})
    assert (status, b'"status":"error"' in body) == (401, True)
