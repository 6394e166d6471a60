"""The list of namespaces, the metadata and the deletion of one."""

import itertools
import json
from collections.abc import Iterator

import pytest

from tests.contract.namespaces.calling import Caller, refused
from tests.fakes.client import AUTH
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Step, Upstream, answer, raw

OTHER = (b"Authorization", b"Bearer key-2")
JSON = [(b"Content-Type", b"application/json")]

_numbers = itertools.count()


@pytest.fixture
def ns() -> str:
    return f"name-{next(_numbers)}"


def says(body: object, status: int = 200) -> Step:
    return answer(status, json.dumps(body).encode(), JSON)


def metadata(**more: object) -> Step:
    usual = {
        "schema": {"id": {"type": "string"}, "vector": {"type": "[3]f32"}, "a": "string"},
        "approx_logical_bytes": 90,
        "approx_row_count": 9,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        "last_write_at": "1970-01-01T00:00:01.500Z",
        "index": {"status": "up-to-date"},
    }
    return says(usual | more)


# Metadata


def test_metadata_are_upstreams_with_id_and_layer(
    gateway: RunningGateway, upstream: Upstream, ns: str
) -> None:
    odd = b'{"approx_row_count":18446744073709551615,"x":1e-7,"index":{"status":"up-to-date"}}'
    upstream.script(answer(200, odd, JSON))
    reply = gateway.ask("GET", f"/v2/namespaces/{ns}/metadata")
    assert reply.body.startswith(odd[:-1] + b',"id":"' + ns.encode() + b'","layer":{')
    assert reply.json["layer"] == {
        "stable_as_of": None,
        "is_stable": False,
        "indexed": True,
        "index_lag_rows": 0,
        "shard_state": "unsharded",
        "scatter_gather_active": False,
    }
    assert upstream.only.target == f"/v2/namespaces/{ns}/metadata".encode()


def test_rows_that_are_not_indexed_are_told(
    gateway: RunningGateway, upstream: Upstream, ns: str
) -> None:
    upstream.script(
        metadata(index={"status": "updating", "unindexed_bytes": 8, "unindexed_rows": 3})
    )
    layer = gateway.ask("GET", f"/v2/namespaces/{ns}/metadata").json["layer"]
    assert (layer["indexed"], layer["index_lag_rows"]) == (False, 3)
    upstream.script(metadata(index={"status": "updating", "unindexed_bytes": 8}))
    layer = gateway.ask("GET", f"/v2/namespaces/{ns}/metadata").json["layer"]
    assert layer["indexed"] is False
    assert "index_lag_rows" not in layer


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_metadata_refused_upstream_are_refused_in_its_words(
    gateway: RunningGateway, upstream: Upstream, ns: str, status: int
) -> None:
    body = b'{"status":"error","error":"no"}'
    upstream.script(answer(status, body, [*JSON, (b"Retry-After", b"3")]))
    reply = gateway.ask("GET", f"/v2/namespaces/{ns}/metadata")
    assert (reply.status, reply.body, reply.value(b"retry-after")) == (status, body, b"3")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"schema":3}'])
def test_metadata_that_cannot_be_read_are_a_fault_of_upstreams(
    gateway: RunningGateway, upstream: Upstream, ns: str, body: bytes
) -> None:
    upstream.script(answer(200, body, JSON))
    refused(gateway.ask("GET", f"/v2/namespaces/{ns}/metadata"), 502, "upstream_error")


# The list


def test_list_has_an_entry_for_each_namespace(
    gateway: RunningGateway, upstream: Upstream, ns: str
) -> None:
    upstream.script(says({"namespaces": [{"id": ns}], "next_cursor": "c+/="}), metadata())
    reply = gateway.ask("GET", f"/v2/namespaces?prefix={ns}&page_size=7&cursor=a%2B&other=1")
    assert reply.json["next_cursor"] == "c+/="
    (entry,) = reply.json["namespaces"]
    assert (entry["id"], entry["name"]) == (ns, ns)
    assert (entry["row_count"], entry["size_bytes"], entry["last_write_ms"]) == (9, 90, 1500)
    assert entry["schema_summary"] == {"vector_dim": 3, "fields": ["id", "vector", "a"]}
    assert entry["index"] == {"status": "up-to-date", "unindexed_bytes": 0}
    cold = {"state": "cold", "warmed_through_ms": None, "warm_inflight": False}
    assert entry["cache_state"] == cold
    asked = upstream.wait(2)
    assert asked[0].target == f"/v1/namespaces?prefix={ns}&page_size=7&cursor=a%2B".encode()
    assert asked[1].target == f"/v2/namespaces/{ns}/metadata".encode()


def test_a_page_is_served_again_to_the_same_key_alone(
    gateway: RunningGateway, upstream: Upstream, ns: str
) -> None:
    path = f"/v2/namespaces?prefix={ns}"
    upstream.script(says({"namespaces": [{"id": ns}]}), metadata())
    first = gateway.ask("GET", path)
    assert gateway.ask("GET", path).body == first.body
    assert len(upstream.requests) == 2
    upstream.script(says({"status": "error", "error": "no"}, 403))
    assert gateway.ask("GET", path, None, [OTHER]).status == 403


def test_a_namespace_whose_metadata_fail_is_listed_with_the_reason(
    gateway: RunningGateway, upstream: Upstream, ns: str
) -> None:
    for fault, reason in ((says({"error": "gone"}, 404), "404"), (raw(b"", close=True), "failed")):
        upstream.script(says({"namespaces": [{"id": ns}]}), fault)
        (entry,) = gateway.ask("GET", f"/v2/namespaces?prefix={ns}{reason}").json["namespaces"]
        assert entry["name"] == ns
        assert reason in entry["metadata_error"]


def test_a_long_list_is_described_whole(caller: Caller) -> None:
    """More namespaces than are asked about at once."""
    names = [f"{caller.namespace}-{n:02}" for n in range(40)]
    for name in names:
        caller.at("POST", f"/v2/namespaces/{name}", {"upsert_rows": [{"id": 1, "a": 1}]})
    listed = caller.at("GET", f"/v2/namespaces?prefix={caller.namespace}-").json["namespaces"]
    assert [entry["id"] for entry in listed] == names
    # Counts are approximate, and may be behind.
    assert all(entry["row_count"] in (0, 1) for entry in listed)


# The deletion


def test_deleted_namespace_leaves_nothing_in_the_cache(caller: Caller) -> None:
    caller.write({"id": "a", "t": 1})
    assert caller.ask("GET", "/documents/a").value(b"x-layer-cache") == b"hit"
    reply = caller.ask("DELETE", "")
    assert (reply.status, reply.json["status"]) == (200, "OK")
    refused(caller.ask("GET", "/documents/a"), 404, "not_found")
    caller.write({"id": "b", "t": 2})
    refused(caller.ask("GET", "/documents/a"), 404, "not_found")


def test_what_upstream_has_no_more_is_deleted_from_the_cache(
    gateway: RunningGateway, upstream: Upstream, ns: str
) -> None:
    """Somebody deleted it around the gateway."""
    path = f"/v2/namespaces/{ns}"
    gateway.ask("POST", path, b'{"upsert_rows":[{"id":"a"}]}')
    assert gateway.ask("GET", f"{path}/documents/a").value(b"x-layer-cache") == b"hit"
    upstream.script(says({"status": "error", "error": "not found"}, 404))
    assert gateway.ask("DELETE", path).json["status"] == "OK"
    upstream.script(says({"rows": []}))
    refused(gateway.ask("GET", f"{path}/documents/a"), 404, "not_found")


@pytest.mark.parametrize("status", [401, 403, 429])
def test_deletion_refused_upstream_is_refused_in_its_words(
    gateway: RunningGateway, upstream: Upstream, ns: str, status: int
) -> None:
    path = f"/v2/namespaces/{ns}"
    gateway.ask("POST", path, b'{"upsert_rows":[{"id":"a"}]}')
    body = b'{"status":"error","error":"no"}'
    upstream.script(answer(status, body, [*JSON, (b"Retry-After", b"3")]))
    reply = gateway.ask("DELETE", path)
    assert (reply.status, reply.body, reply.value(b"retry-after")) == (status, body, b"3")
    assert gateway.ask("GET", f"{path}/documents/a").value(b"x-layer-cache") == b"hit"


def test_deletion_whose_answer_is_lost_is_502_and_voids_the_cache(
    gateway: RunningGateway, upstream: Upstream, ns: str
) -> None:
    path = f"/v2/namespaces/{ns}"
    gateway.ask("POST", path, b'{"upsert_rows":[{"id":"a"}]}')
    upstream.script(raw(b"", close=True))
    refused(gateway.ask("DELETE", path), 502, "upstream_error")
    upstream.script(says({"rows": []}))
    refused(gateway.ask("GET", f"{path}/documents/a"), 404, "not_found")


@pytest.fixture(scope="module")
def keyed(shared_upstream: Upstream) -> Iterator[RunningGateway]:
    with running_gateway(shared_upstream.url, TURBOPUFFER_API_KEY="key-1") as running:
        yield running


def test_another_key_than_the_configured_one_reads_and_deletes_nothing(
    keyed: RunningGateway, upstream: Upstream, ns: str
) -> None:
    for method, path in (
        ("GET", "/v2/namespaces"),
        ("GET", f"/v2/namespaces/{ns}/metadata"),
        ("DELETE", f"/v2/namespaces/{ns}"),
    ):
        refused(keyed.ask(method, path, None, [OTHER]), 403, "forbidden")
        assert upstream.requests == []
        upstream.script(metadata(namespaces=[]))
        assert keyed.ask(method, path, None, [AUTH]).status == 200
        upstream.script()
