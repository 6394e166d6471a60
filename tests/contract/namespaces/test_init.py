"""The marker of a namespace: who may write it, who sees it, and what it does to shards."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.contract.namespaces.calling import LOOK_S, MARKER_ID, WAIT_S, Caller, refused
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Upstream, answer
from tests.oracle.xxh64 import xxh64

SHARD = "_hevlayer_shard"


def ready(caller: Caller) -> dict[str, object]:
    """Wait until every row has its shard; give what `layer` says then."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        layer: dict[str, object] = caller.ask("GET", "/metadata").json["layer"]
        if layer["init_state"] == "ready":
            return layer
        time.sleep(LOOK_S)
    raise AssertionError(f"it was not ready: {layer}")


def shards_of(caller: Caller) -> dict[str, int]:
    return {name: row[SHARD] for name, row in caller.rows().items() if name != MARKER_ID}


def expected(names: list[str], count: int) -> dict[str, int]:
    return {name: xxh64(name.encode()) % count for name in names}


def test_marker_is_written_once_and_told(caller: Caller) -> None:
    caller.write({"id": "a", "n": 1})
    reply = caller.ask("POST", "/init", {"shard_count": 8, "schema_version": 3})
    assert reply.status == 200
    assert reply.json["namespace"] == caller.namespace
    layer = ready(caller)
    assert (layer["shard_count"], layer["schema_version"]) == (8, 3)
    assert (layer["shard_state"], layer["shard_lag_rows"]) == ("ready", 0)
    assert caller.rows()[MARKER_ID]["_hevlayer_shard_count"] == 8
    assert caller.ask("POST", "/init", {"shard_count": 8}).status == 200
    refused(caller.ask("POST", "/init", {"shard_count": 9}), 409, "conflict")
    assert caller.rows()[MARKER_ID]["_hevlayer_schema_version"] == 3


def test_marker_overrides_the_usual_count_for_old_rows_and_new(caller: Caller) -> None:
    """Rows that were stamped for another count, rows that were not stamped, and rows to come."""
    old = [f"old-{n}" for n in range(30)]
    caller.write(*({"id": name} for name in old))
    assert shards_of(caller) == expected(old, 16)
    caller.ask("POST", "/init", {"shard_count": 5})
    new = ["doc-1", "asin-B08N5WRWNW"]
    caller.write(*({"id": name} for name in new))
    ready(caller)
    assert shards_of(caller) == expected(old + new, 5)


def test_rows_written_around_the_gateway_get_shards(caller: Caller, simulator_url: str) -> None:
    port = int(simulator_url.rsplit(":", 1)[1])
    direct = Caller(RunningGateway(caller.gateway.process, port, caller.gateway._log))
    direct.path, names = caller.path, ["a", "b", "c"]
    direct.write(*({"id": name, "n": 1} for name in names))
    caller.ask("POST", "/init", {"shard_count": 4})
    assert ready(caller)["shard_lag_rows"] == 0
    assert shards_of(caller) == expected(names, 4)
    assert all(row["n"] == 1 for name, row in caller.rows().items() if name != MARKER_ID)


def test_marker_where_every_row_needs_a_vector(caller: Caller) -> None:
    caller.write({"id": "a", "vector": [0.5, 2.0]}, distance_metric="cosine_distance")
    assert caller.ask("POST", "/init", {"shard_count": 2}).status == 200
    assert ready(caller)["shard_count"] == 2


def test_cached_rows_are_those_with_their_shard(caller: Caller) -> None:
    caller.write({"id": "a", "n": 1})
    caller.ask("POST", "/init", {"shard_count": 3})
    ready(caller)
    attributes = caller.ask("GET", "/documents/a").json["attributes"]
    assert attributes == {name: value for name, value in caller.rows()["a"].items() if name != "id"}
    assert attributes[SHARD] == xxh64(b"a") % 3


def test_marker_is_hidden_and_clients_cannot_touch_it(caller: Caller) -> None:
    caller.write({"id": "a", "n": 1})
    caller.ask("POST", "/init", {"shard_count": 4})
    ready(caller)
    refused(caller.ask("GET", f"/documents/{MARKER_ID}"), 404, "not_found")
    reply = caller.ask("POST", "/documents", {"ids": [MARKER_ID, "a"]}).json
    assert [document["id"] for document in reply["documents"]] == ["a"]
    assert reply["missing"] == [MARKER_ID]
    reply = caller.ask("POST", "/documents", {"ids": [MARKER_ID]}).json
    assert reply == {"documents": [], "missing": [MARKER_ID]}
    for body in (
        {"upsert_rows": [{"id": MARKER_ID, "n": 2}]},
        {"patch_rows": [{"id": MARKER_ID, "n": 2}]},
        {"upsert_columns": {"id": ["b", MARKER_ID]}},
        {"deletes": [MARKER_ID]},
    ):
        refused(caller.ask("POST", "", body), 422, "validation_error")
    assert caller.rows()[MARKER_ID]["_hevlayer_shard_count"] == 4


def test_marker_survives_deletes_and_patches_by_filter(caller: Caller) -> None:
    caller.write({"id": "a", "n": 1}, {"id": "b", "n": 2})
    caller.ask("POST", "/init", {"shard_count": 4})
    before = ready(caller)
    patch = {"filters": ["n", "NotEq", 1], "patch": {"m": 3}}
    assert caller.ask("POST", "", {"patch_by_filter": patch}).status == 200
    assert caller.rows()[MARKER_ID]["m"] == 3
    assert caller.ask("GET", "/metadata").json["layer"] == before
    assert caller.ask("POST", "", {"delete_by_filter": ["n", "NotEq", 1]}).status == 200
    assert set(caller.rows()) == {"a", MARKER_ID}
    assert caller.ask("GET", "/metadata").json["layer"] == before


def test_deleted_namespace_has_the_usual_count_again(caller: Caller) -> None:
    caller.write({"id": "a"})
    caller.ask("POST", "/init", {"shard_count": 4})
    ready(caller)
    caller.ask("DELETE", "")
    caller.write({"id": "doc-1"})
    assert shards_of(caller) == expected(["doc-1"], 16)
    assert caller.ask("GET", "/metadata").json["layer"]["shard_state"] == "unsharded"


def test_init_without_a_count_writes_nothing(caller: Caller) -> None:
    caller.write({"id": "a"})
    for body in (None, b"", b" ", {}, {"schema_version": 2}):
        reply = caller.ask("POST", "/init", body)
        assert reply.json["layer"]["shard_state"] == "unsharded"
    assert set(caller.rows()) == {"a"}


def test_init_of_what_does_not_exist_is_upstreams_404(caller: Caller) -> None:
    for body in ({}, {"shard_count": 4}):
        reply = caller.ask("POST", "/init", body)
        assert reply.status == 404
        assert reply.json["status"] == "error"


@pytest.mark.parametrize("name", [7, "0b9c3c6e-97a1-4c55-8d0e-1f6a0d5c7a11"])
def test_namespaces_whose_ids_are_no_strings_have_no_marker(caller: Caller, name: object) -> None:
    more = {} if isinstance(name, int) else {"schema": {"id": "uuid"}}
    caller.write({"id": name}, **more)
    refused(caller.ask("POST", "/init", {"shard_count": 4}), 422, "validation_error")
    assert set(caller.rows()) == {name}
    assert caller.ask("POST", "/init", {}).json["layer"]["shard_state"] == "unsharded"


@pytest.mark.parametrize(
    "body",
    [
        {"shard_count": 0},
        {"shard_count": -1},
        {"shard_count": 65_537},
        {"shard_count": "8"},
        {"shard_count": 1.5},
        {"schema_version": 0},
        [],
        3,
    ],
)
def test_init_of_the_wrong_shape_is_refused(
    gateway: RunningGateway, upstream: Upstream, body: object
) -> None:
    reply = gateway.ask("POST", "/v2/namespaces/n/init", json.dumps(body).encode())
    refused(reply, 422, "validation_error")
    assert upstream.requests == []


def test_init_that_is_no_json_is_refused(gateway: RunningGateway, upstream: Upstream) -> None:
    refused(gateway.ask("POST", "/v2/namespaces/n/init", b"{"), 400, "bad_request")
    assert upstream.requests == []


# HEVFAST_SHARD_STAMP


@pytest.fixture(scope="module")
def initialised(simulator_url: str) -> Iterator[RunningGateway]:
    with running_gateway(simulator_url, HEVFAST_SHARD_STAMP="initialised") as running:
        yield running


def test_initialised_stamps_only_where_there_is_a_marker(
    initialised: RunningGateway, live: RunningGateway
) -> None:
    caller = Caller(initialised)
    caller.write({"id": "a"})
    assert SHARD not in caller.rows()["a"]
    assert caller.ask("POST", "/init", {"shard_count": 6}).status == 200
    caller.write({"id": "b"})
    ready(caller)
    assert shards_of(caller) == expected(["a", "b"], 6)
    # Another gateway's marker counts from the first write on.
    theirs = Caller(live)
    theirs.write({"id": "a"})
    theirs.ask("POST", "/init", {"shard_count": 7})
    ready(theirs)
    ours = Caller(initialised)
    ours.path = theirs.path
    ours.write({"id": "doc-1"})
    assert shards_of(ours) == expected(["a", "doc-1"], 7)


def test_initialised_heeds_the_marker_that_came_with_a_copy(initialised: RunningGateway) -> None:
    source, copy = Caller(initialised), Caller(initialised)
    source.write({"id": "a"})
    source.ask("POST", "/init", {"shard_count": 6})
    ready(source)
    copy.write({"id": "before"})
    assert copy.ask("POST", "", {"deletes": ["before"]}).status == 200
    copied = {"copy_from_namespace": source.namespace}
    assert copy.ask("POST", "", copied).status == 200
    copy.write({"id": "doc-1"})
    assert shards_of(copy) == expected(["a", "doc-1"], 6)


def test_initialised_asks_once_and_a_failure_never_fails_the_write(upstream: Upstream) -> None:
    with running_gateway(upstream.url, HEVFAST_SHARD_STAMP="initialised") as gateway:
        upstream.script(answer(500, b"{}"), answer(), answer(404, b"{}"), answer(), answer())
        for asked in (2, 4, 5):
            assert gateway.write(b'{"upsert_rows":[{"id":"a"}]}').status == 200
            assert len(upstream.requests) == asked
        assert all(SHARD.encode() not in request.body for request in upstream.requests)


def test_gateways_that_stamp_no_shards_or_cannot_agree_refuse_markers(upstream: Upstream) -> None:
    with running_gateway(upstream.url, HEVFAST_SHARD_STAMP="never") as gateway:
        refused(
            gateway.ask("POST", "/v2/namespaces/n/init", b'{"shard_count":4}'),
            422,
            "validation_error",
        )
    with running_gateway(upstream.url, HEVFAST_WORKERS="2") as gateway:
        refused(
            gateway.ask("POST", "/v2/namespaces/n/init", b'{"shard_count":4}'),
            422,
            "validation_error",
        )
    assert upstream.requests == []
