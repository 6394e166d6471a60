"""Warming: jobs that fill the cache, and the hint in both its forms."""

import json

import pytest

from tests.contract.namespaces.calling import Caller, refused
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import OK_BODY, Upstream, answer

JSON = [(b"Content-Type", b"application/json")]
METADATA = b'{"schema":{"id":{"type":"string"}},"approx_row_count":1}'


@pytest.fixture(scope="module")
def other(simulator_url: str) -> RunningGateway:  # type: ignore[misc]
    """Another gateway with a cache of its own: what it writes is not in ours."""
    with running_gateway(simulator_url) as running:
        yield running


def pair(caller: Caller, other: RunningGateway) -> Caller:
    theirs = Caller(other)
    theirs.path = caller.path
    return theirs


@pytest.mark.parametrize("names", [range(25), [f"k-{n}" for n in range(25)]])
def test_warmed_rows_are_hits(caller: Caller, other: RunningGateway, names: list[object]) -> None:
    rows = [{"id": name, "vector": [1.0, 0.5], "n": 1} for name in names]
    pair(caller, other).write(*rows, distance_metric="cosine_distance")
    job = caller.job("/warm?page_size=10")
    assert (job["status"], job["progress"], job["documents_scanned"]) == ("completed", 1.0, 25)
    assert job["namespace"] == caller.namespace
    assert job["completed_at"] >= job["created_at"]
    for name in names:
        reply = caller.ask("GET", f"/documents/{name}")
        assert reply.value(b"x-layer-cache") == b"hit"
        assert reply.json["attributes"]["n"] == 1
    assert caller.ask("GET", "/warm-jobs").json == {"warm_jobs": [job]}


def test_list_says_that_a_warmed_namespace_is_warm(caller: Caller, other: RunningGateway) -> None:
    pair(caller, other).write({"id": "a"})
    caller.job("/warm")
    path = f"/v2/namespaces?prefix={caller.namespace}"
    state = caller.at("GET", path).json["namespaces"][0]["cache_state"]
    assert (state["state"], state["warm_inflight"]) == ("warm", False)
    assert state["warmed_through_ms"] > 1_700_000_000_000
    caller.ask("DELETE", "")
    caller.write({"id": "a"})
    state = caller.at("GET", path).json["namespaces"][0]["cache_state"]
    assert state == {"state": "cold", "warmed_through_ms": None, "warm_inflight": False}


def test_a_row_written_while_it_is_read_is_not_overwritten(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """The job reads `old`; before it keeps that, a write puts `new`."""
    path = "/v2/namespaces/race"
    writing = json.dumps({"upsert_rows": [{"id": "a", "v": "new"}]}).encode()

    def rows(*found: object) -> bytes:
        return json.dumps({"rows": found}).encode()

    late = answer(200, rows({"id": "a", "v": "old"}), JSON)
    ids = answer(200, rows({"id": "a"}), JSON)
    act = late.act

    async def after_the_write(wire):  # type: ignore[no-untyped-def]
        import asyncio

        done = await asyncio.to_thread(gateway.ask, "POST", path, writing)
        assert done.status == 200
        await act(wire)

    late.act = after_the_write
    upstream.script(answer(200, METADATA, JSON), ids, late, answer())
    job = gateway.ask("POST", f"{path}/warm", None).json
    while gateway.ask("GET", f"{path}/warm-jobs/{job['id']}").json["status"] == "running":
        pass
    reply = gateway.ask("GET", f"{path}/documents/a")
    assert reply.value(b"x-layer-cache") == b"hit"
    assert reply.json["attributes"]["v"] == "new"


def test_warming_of_what_does_not_exist_is_upstreams_404(caller: Caller) -> None:
    reply = caller.ask("POST", "/warm")
    assert (reply.status, reply.json["status"]) == (404, "error")


def test_a_job_that_upstream_breaks_off_says_why(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    path = "/v2/namespaces/broken"
    upstream.script(answer(200, METADATA, JSON), answer(429, b'{"error":"slow down"}', JSON))
    job = gateway.ask("POST", f"{path}/warm").json
    while job["status"] == "running":
        job = gateway.ask("GET", f"{path}/warm-jobs/{job['id']}").json
    assert job["status"] == "failed"
    assert "429" in job["error"]
    assert "slow down" in job["error"]


def test_no_cache_no_warming(upstream: Upstream) -> None:
    with running_gateway(upstream.url, HEVFAST_CACHE="off") as gateway:
        reply = gateway.ask("POST", "/v2/namespaces/n/warm")
        refused(reply, 503, "cache_cold")
        assert reply.json["cache_state"] == "cold"
        refused(
            gateway.ask("GET", "/v1/namespaces/n/hint_cache_warm?page_size=1"), 503, "cache_cold"
        )
        reply = gateway.ask("GET", "/v1/namespaces/n/hint_cache_warm?documents=false")
        assert reply.json["documents"] == {"enabled": False, "status": "skipped"}


@pytest.mark.parametrize("job", ["x", "../x", "%2e%2e", "0" * 32, "0" * 33])
def test_unknown_jobs_are_404(caller: Caller, job: str) -> None:
    caller.write({"id": "a"})
    assert caller.ask("GET", f"/warm-jobs/{job}").status == 404


@pytest.mark.parametrize("size", ["0", "10001", "-1", "x", "", "1e3"])
def test_page_sizes_out_of_bounds_are_refused(
    gateway: RunningGateway, upstream: Upstream, size: str
) -> None:
    for method, path in (
        ("POST", f"/v2/namespaces/n/warm?page_size={size}"),
        ("GET", f"/v1/namespaces/n/hint_cache_warm?page_size={size}"),
    ):
        refused(gateway.ask(method, path), 422, "validation_error")
    assert upstream.requests == []


def test_plain_hint_is_relayed(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script(answer(202, OK_BODY, [(b"X-Seen", b"1")]))
    reply = gateway.ask("GET", "/v1/namespaces/n/hint_cache_warm?other=1")
    assert (reply.status, reply.body, reply.value(b"x-seen")) == (202, OK_BODY, b"1")
    assert upstream.only.target == b"/v1/namespaces/n/hint_cache_warm?other=1"


def test_hint_with_steps_warms_here_too(caller: Caller, other: RunningGateway) -> None:
    pair(caller, other).write({"id": "a", "n": 1})
    hint = f"/v1/namespaces/{caller.namespace}/hint_cache_warm"
    told = caller.at("GET", f"{hint}?documents=true").json
    assert told["namespace"] == caller.namespace
    assert told["turbopuffer"] == {"enabled": True, "status": "completed"}
    assert (told["documents"]["enabled"], told["documents"]["status"]) == (True, "started")
    assert told["snapshots"] == {"enabled": True, "status": "no_snapshot"}
    assert told["blobs"]["status"] == "skipped"
    assert caller.ended(f"/warm-jobs/{told['documents']['job']['id']}")["status"] == "completed"
    assert caller.ask("GET", "/documents/a").value(b"x-layer-cache") == b"hit"
    told = caller.at("GET", f"{hint}?documents=false&turbopuffer=0&snapshots=false").json
    assert [told[step]["status"] for step in ("turbopuffer", "documents", "snapshots")] == [
        "skipped"
    ] * 3


@pytest.mark.parametrize("query", ["documents=maybe", "blob_budget_bytes=x"])
def test_hints_of_the_wrong_shape_are_refused(
    gateway: RunningGateway, upstream: Upstream, query: str
) -> None:
    refused(
        gateway.ask("GET", f"/v1/namespaces/n/hint_cache_warm?{query}"), 422, "validation_error"
    )
    assert upstream.requests == []
