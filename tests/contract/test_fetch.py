"""Fetches: what the cache serves, what it must not, and what upstream is asked."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.aerospike import FakeAerospike
from tests.fakes.client import AUTH, Reply
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Step, Upstream, answer, raw, silence

OTHER = (b"Authorization", b"Bearer key-2")
STAMPS = {"_hevlayer_upserted_at", "_hevlayer_shard"}


@pytest.fixture(scope="module", params=["lmdb", "memory", "aerospike"])
def gateway_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Each store in turn."""
    settings = {
        "HEVFAST_CACHE": request.param,
        "HEVFAST_DOUBT_MS": "100",
        "HEVFAST_UPSTREAM_READ_TIMEOUT_MS": "300",
        "HEVFAST_UPSTREAM_TOTAL_TIMEOUT_MS": "1000",
    }
    if request.param != "aerospike":
        yield settings
        return
    with FakeAerospike() as node:
        hosts = ",".join(f"{host}:{port}" for host, port in node.hosts)
        registry = {"HEVFAST_AEROSPIKE_REGISTRY_NAMESPACE": "hevlayer_registry"}
        yield settings | registry | {"AEROSPIKE_HOSTS": hosts}


_numbers = itertools.count()


@pytest.fixture
def ns() -> str:
    """A namespace of the test's own: the gateway and its cache are shared by the file."""
    return f"fetch-{next(_numbers)}"


def says(status: int, body: object) -> Step:
    return answer(status, json.dumps(body).encode(), [(b"Content-Type", b"application/json")])


def applied(**fields: object) -> Step:
    return says(200, {"status": "OK", "message": "ok", "rows_affected": 1, "billing": {}, **fields})


def rows(*found: dict[str, Any]) -> Step:
    return says(200, {"rows": list(found), "billing": {}, "performance": {}})


class Caller:
    """Writes to and fetches from one namespace, with what upstream says scripted for each."""

    def __init__(self, gateway: RunningGateway, upstream: Upstream, ns: str) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.path = f"/v2/namespaces/{ns}"

    def write(self, body: object, *steps: Step) -> Reply:
        self.upstream.script(*(steps or (applied(),)))
        return self.gateway.ask("POST", self.path, json.dumps(body).encode())

    def fetch(self, text: object, *steps: Step, key: tuple[bytes, bytes] = AUTH) -> Reply:
        self.upstream.script(*steps)
        return self.gateway.ask("GET", f"{self.path}/documents/{text}", None, [key])

    def batch(self, body: object, *steps: Step) -> Reply:
        self.upstream.script(*steps)
        return self.gateway.ask("POST", f"{self.path}/documents", json.dumps(body).encode())

    @property
    def asked(self) -> int:
        return len(self.upstream.requests)


@pytest.fixture
def caller(gateway: RunningGateway, upstream: Upstream, ns: str) -> Caller:
    return Caller(gateway, upstream, ns)


def served(reply: Reply) -> tuple[int, str, Any]:
    """Give status, `x-layer-cache` and the attributes without the stamps."""
    cache = (reply.value(b"x-layer-cache") or b"").decode()
    attributes = reply.json.get("attributes")
    if attributes is not None:
        attributes = {name: value for name, value in attributes.items() if name not in STAMPS}
    return reply.status, cache, attributes


def test_written_row_is_a_hit_and_upstream_is_not_asked(caller: Caller) -> None:
    row = {"id": 1, "vector": [0.5, 1], "title": "Kelp", "n": 2**64 - 1, "none": None}
    assert caller.write({"upsert_rows": [row]}).status == 200
    reply = caller.fetch(1)
    assert served(reply) == (200, "hit", {"title": "Kelp", "n": 2**64 - 1})
    assert reply.json["id"] == "1"
    assert reply.json["attributes"]["_hevlayer_shard"] == 4
    assert reply.json["attributes"]["_hevlayer_upserted_at"] > 1_700_000_000_000
    assert caller.asked == 0


def test_columns_are_hits_row_by_row(caller: Caller) -> None:
    caller.write({"upsert_columns": {"id": ["a", "b"], "t": ["x", None], "vector": [[1], [2]]}})
    assert served(caller.fetch("a")) == (200, "hit", {"t": "x"})
    assert served(caller.fetch("b")) == (200, "hit", {})


def test_patch_of_a_cached_row_is_a_merged_hit_with_the_new_stamp(caller: Caller) -> None:
    """In Aerospike only once the namespace's registry has matured, seconds after its birth."""
    deadline = time.monotonic() + 20
    cache = b"miss"
    while cache != b"hit" and time.monotonic() < deadline:
        caller.write({"upsert_rows": [{"id": 1, "a": 1, "b": 2}]})
        # Upstream has what was written, should the cache not have it.
        row = caller.fetch(1, rows({"id": 1, "a": 1, "b": 2})).json["attributes"]
        before = row.get("_hevlayer_upserted_at", 0)
        caller.write({"patch_rows": [{"id": 1, "b": 3}]})
        reply = caller.fetch(1, rows({"id": 1, "a": 1, "b": 3, "_hevlayer_upserted_at": before}))
        cache = reply.value(b"x-layer-cache")
    assert served(reply) == (200, "hit", {"a": 1, "b": 3})
    assert reply.json["attributes"]["_hevlayer_upserted_at"] >= before


def test_patch_of_an_uncached_row_is_fetched_whole_and_then_a_hit(caller: Caller) -> None:
    caller.write({"patch_rows": [{"id": 1, "b": 3}]})
    whole = {"id": 1, "a": 1, "b": 3}
    assert served(caller.fetch(1, rows(whole))) == (200, "miss", {"a": 1, "b": 3})
    assert caller.asked == 1
    assert served(caller.fetch(1)) == (200, "hit", {"a": 1, "b": 3})
    assert caller.asked == 0


@pytest.mark.parametrize("status", [400, 401, 404, 409, 412, 422, 429])
def test_rejected_write_leaves_the_cache_as_it_was(caller: Caller, status: int) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    assert caller.write({"upsert_rows": [{"id": 1, "a": 2}]}, says(status, {})).status == status
    assert served(caller.fetch(1)) == (200, "hit", {"a": 1})


@pytest.mark.parametrize(
    "fault", [says(500, {}), says(503, {}), raw(b"", reset=True), raw(b"", close=True), silence()]
)
def test_write_in_doubt_never_shows_from_the_cache(caller: Caller, fault: Step) -> None:
    """Upstream may have it or not: until the doubt has lapsed and after, upstream is asked."""
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    assert caller.write({"upsert_rows": [{"id": 1, "a": 2}]}, fault).status in (500, 502, 503)
    assert served(caller.fetch(1, rows({"id": 1, "a": 1}))) == (200, "miss", {"a": 1})
    # Filled while in doubt: upstream applies the write after all, and the doubt lapses.
    found = served(caller.fetch(1, rows({"id": 1, "a": 2})))
    while found[1] == "hit":
        found = served(caller.fetch(1, rows({"id": 1, "a": 2})))
    assert found == (200, "miss", {"a": 2})


def test_deleted_row_is_looked_for_upstream(caller: Caller) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    caller.write({"deletes": [1]})
    reply = caller.fetch(1, rows())
    assert (reply.status, reply.json["error"]) == (404, "not_found")
    assert caller.asked == 1


def test_conditional_write_keeps_only_what_upstream_names(caller: Caller) -> None:
    body = {
        "upsert_rows": [{"id": 1, "a": 1}, {"id": 2, "a": 2}],
        "upsert_condition": ["a", "Lt", {"$ref_new": "a"}],
    }
    reply = caller.write(body, applied(upserted_ids=[1]))
    assert b'"return_affected_ids":true' in caller.upstream.only.body
    assert reply.status == 200
    assert "upserted_ids" not in reply.json
    assert served(caller.fetch(1)) == (200, "hit", {"a": 1})
    assert served(caller.fetch(2, rows({"id": 2, "a": 9}))) == (200, "miss", {"a": 9})


def test_caller_who_asks_for_affected_ids_gets_them(caller: Caller) -> None:
    body = {"deletes": [1], "delete_condition": ["a", "Eq", 1], "return_affected_ids": True}
    assert caller.write(body, applied(deleted_ids=[1])).json["deleted_ids"] == [1]


def test_conditional_write_whose_answer_names_nothing_keeps_nothing(caller: Caller) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    body = {"upsert_rows": [{"id": 1, "a": 2}], "upsert_condition": ["a", "Eq", 1]}
    caller.write(body, applied())
    assert served(caller.fetch(1, rows({"id": 1, "a": 2})))[1] == "miss"


@pytest.mark.parametrize(
    "body",
    [
        {"delete_by_filter": ["a", "Eq", 1]},
        {"patch_by_filter": {"filters": ["a", "Eq", 1], "patch": {"a": 2}}},
        {"copy_from_namespace": "other"},
        {"branch_from_namespace": "other"},
        {"schema": {"a": {"drop": True}}},
    ],
)
def test_write_to_rows_that_only_upstream_knows_voids_the_namespace(
    caller: Caller, body: object
) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    caller.write(body, applied(rows_remaining=True))
    assert served(caller.fetch(1, rows({"id": 1, "a": 2}))) == (200, "miss", {"a": 2})


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", ""), ("POST", "/schema"), ("PATCH", "/metadata"), ("POST", "/anything_new")],
)
def test_other_changes_of_a_namespace_void_it(caller: Caller, method: str, path: str) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    caller.upstream.script(says(200, {"status": "OK"}))
    target = caller.path if not path else caller.path.replace("v2", "v1") + path
    assert caller.gateway.ask(method, target, b"{}").status == 200
    assert served(caller.fetch(1, rows({"id": 1, "a": 2})))[1] == "miss"


def test_queries_void_nothing(caller: Caller) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    for path in ("/query", "/explain_query", "/_debug/recall"):
        caller.upstream.script(rows())
        caller.gateway.ask("POST", caller.path + path, b"{}")
    assert served(caller.fetch(1))[1] == "hit"


def test_missing_document_is_404_and_so_is_a_missing_namespace(caller: Caller) -> None:
    assert caller.fetch("a", rows()).json["error"] == "not_found"
    assert caller.fetch("a", says(404, {"status": "error", "error": "none"})).status == 404


def test_fetch_asks_upstream_once_and_strongly(caller: Caller) -> None:
    caller.fetch("doc-1", rows({"id": "doc-1", "a": 1, "$dist": 0.5, "vector": [1]}))
    request = caller.upstream.only
    assert request.target.endswith(b"/query")
    assert json.loads(request.body) == {
        "rank_by": ["id", "asc"],
        "top_k": 1,
        "filters": ["id", "In", ["doc-1"]],
        "exclude_attributes": ["vector", "vectors"],
    }
    assert served(caller.fetch("doc-1")) == (200, "hit", {"a": 1})


@pytest.mark.parametrize("text", ["18446744073709551615", "0"])
def test_number_ids_are_asked_for_as_numbers_and_then_as_strings(caller: Caller, text: str) -> None:
    mismatch = says(400, {"status": "error", "error": "type mismatch"})
    reply = caller.fetch(text, mismatch, rows({"id": text, "a": 1}))
    assert served(reply) == (200, "miss", {"a": 1})
    first, second = (json.loads(each.body)["filters"][2] for each in caller.upstream.requests)
    assert (first, second) == ([int(text)], [text])


def test_id_with_escapes_in_the_path_is_decoded_once(caller: Caller) -> None:
    caller.write({"upsert_rows": [{"id": "a/b %41é", "n": 1}]})
    assert served(caller.fetch("a%2Fb%20%2541%C3%A9")) == (200, "hit", {"n": 1})
    assert served(caller.fetch("a/b%20%2541%C3%A9")) == (200, "hit", {"n": 1})


def test_attributes_can_be_chosen(caller: Caller) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1.50, "b": 2, "vector": [1]}]})
    reply = caller.fetch("1?include_attributes=a,%20none")
    assert reply.json == {"id": "1", "attributes": {"a": 1.5}}
    assert caller.fetch("1?include_attributes=").json == {"id": "1", "attributes": {}}
    assert caller.fetch("1?include_attributes=vector").value(b"x-layer-warning") == (
        b"vector_attribute_dropped"
    )


def test_batch_keeps_order_repeats_and_names_what_is_missing(caller: Caller) -> None:
    caller.write({"upsert_rows": [{"id": "a", "n": 1}, {"id": "b", "n": 2}]})
    reply = caller.batch({"ids": ["b", "x", "a", "b", "y"]}, rows({"id": "x", "n": 3}))
    assert [document["id"] for document in reply.json["documents"]] == ["b", "x", "a", "b"]
    assert reply.json["missing"] == ["y"]
    assert reply.value(b"x-layer-cache") == b"partial"
    assert json.loads(caller.upstream.only.body)["filters"][2] == ["x", "y"]
    reply = caller.batch({"ids": ["a", "x"]})
    assert reply.value(b"x-layer-cache") == b"hit"
    assert caller.asked == 0


@pytest.mark.parametrize("body", [{"ids": []}, {}, {"ids": [None]}, [], {"ids": ["a"] * 10_001}])
def test_malformed_batches_are_refused(caller: Caller, body: object) -> None:
    reply = caller.batch(body)
    assert (reply.status, reply.json["error"]) == (422, "validation_error")


def test_upstream_refusal_of_a_fetch_is_relayed(caller: Caller) -> None:
    refused = answer(429, b"slow down", [(b"Retry-After", b"3")])
    reply = caller.fetch("a", refused)
    assert (reply.status, reply.body, reply.value(b"retry-after")) == (429, b"slow down", b"3")
    reply = caller.fetch("a", says(500, {}))
    assert (reply.status, reply.json["error"]) == (502, "upstream_error")


def test_key_that_upstream_has_not_let_in_gets_no_hit(caller: Caller) -> None:
    caller.write({"upsert_rows": [{"id": 1, "a": 1}]})
    refused = says(401, {"status": "error", "error": "bad key"})
    assert caller.fetch(1, refused, key=OTHER).status == 401
    assert caller.fetch(1, rows({"id": 1, "a": 1}), key=OTHER).status == 200
    assert served(caller.fetch(1, key=OTHER)) == (200, "hit", {"a": 1})


def test_fetch_needs_a_key(caller: Caller) -> None:
    assert caller.gateway.ask("GET", f"{caller.path}/documents/1", None, []).status == 401
