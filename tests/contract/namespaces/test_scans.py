"""Scans: counts at once, ids and values as jobs with results by page."""

import itertools
import json
from collections import Counter
from typing import Any

import pytest

from tests.contract.namespaces.calling import Caller, refused
from tests.fakes.client import AUTH
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Upstream, answer, silence

JSON = [(b"Content-Type", b"application/json")]
METADATA = b'{"schema":{"id":{"type":"string"}},"approx_row_count":1}'

NAMES = [f"k-{n:03}" for n in range(205)]
ROWS = [
    {"id": name, "n": n, "color": ["red", "blue"][n % 2], "tags": [f"t{n % 3}", "all"]}
    for n, name in enumerate(NAMES)
]


@pytest.fixture(scope="module")
def filled(live: RunningGateway) -> Caller:
    """A namespace of 205 rows and a marker."""
    caller = Caller(live)
    caller.write(*ROWS)
    assert caller.ask("POST", "/init", {"shard_count": 4}).status == 200
    return caller


def paged(caller: Caller, job: Any, limit: int) -> list[Any]:
    """Give all results, read page by page."""
    found: list[Any] = []
    for offset in itertools.count(0, limit):
        page = caller.ask("GET", f"/scans/{job['id']}/results?limit={limit}&offset={offset}").json
        part = page["ids"] if "ids" in page else page["values"]
        found += part
        if len(part) < limit:
            assert page["total"] == len(found)
            return found
    raise AssertionError


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 205),
        ({"filters": ["color", "Eq", "red"]}, 103),
        ({"filters": ["And", [["n", "Lt", 10], ["color", "Eq", "blue"]]]}, 5),
        ({"as_of": 1}, 0),
        ({"between": [0, 4_000_000_000_000]}, 205),
        ({"filters": ["n", "Eq", -1]}, 0),
    ],
)
def test_count_is_exact_and_leaves_out_the_marker(filled: Caller, asked: Any, count: int) -> None:
    reply = filled.ask("POST", "/scans", {"mode": "count", **asked})
    assert reply.status == 200
    assert (reply.json["count"], reply.json["served_by"]) == (count, "origin")
    assert reply.json["elapsed_ms"] >= 0
    assert "id" not in reply.json


@pytest.mark.parametrize("page_size", [1, 50, 205, 10_000])
def test_ids_are_all_there_once_whatever_the_pages(filled: Caller, page_size: int) -> None:
    if page_size == 1:
        job = filled.job("/scans", {"page_size": 1, "filters": ["n", "Lt", 7]})
        names = NAMES[:7]
    else:
        job = filled.job("/scans", {"mode": "ids", "page_size": page_size})
        names = NAMES
    assert (job["status"], job["mode"], job["documents_scanned"]) == (
        "completed",
        "ids",
        len(names),
    )
    for limit in (3, 100, 10_000):
        assert paged(filled, job, limit) == names


def test_number_ids_are_given_as_text(caller: Caller) -> None:
    big = 2**64 - 1
    caller.write({"id": 1}, {"id": big})
    assert paged(caller, caller.job("/scans", {}), 10) == ["1", str(big)]
    assert caller.ask("POST", "/scans", {"mode": "count"}).json["count"] == 2


@pytest.mark.parametrize("field", ["color", "tags", "n", "nothing"])
def test_values_are_counted(filled: Caller, field: str) -> None:
    job = filled.job("/scans", {"mode": "values", "field": field, "page_size": 40})
    if field == "nothing":
        assert job["status"] == "failed"
        assert "nothing" in job["error"]
        return
    counts: Counter[str] = Counter()
    for row in ROWS:
        value = row[field]
        for each in value if isinstance(value, list) else [value]:
            counts[str(each)] += 1
    found = paged(filled, job, 7)
    assert {each["v"]: each["n"] for each in found} == counts
    assert [each["n"] for each in found] == sorted(counts.values(), reverse=True)
    assert job["unique_values"] == len(counts)
    assert job["truncated"] is False


def test_values_of_every_type_are_text(caller: Caller) -> None:
    rows = [{"id": n, "v": value} for n, value in enumerate([True, False, True, None])]
    caller.write(*rows)
    found = paged(caller, caller.job("/scans", {"mode": "values", "field": "v"}), 10)
    assert found == [{"v": "true", "n": 2}, {"v": "false", "n": 1}]


def test_a_radius_bounds_the_rows(caller: Caller) -> None:
    rows = [{"id": f"k{n}", "vector": [float(n), 0.0]} for n in range(10)]
    caller.write(*rows, distance_metric="euclidean_squared")
    asked = {"ann": {"vector": [0.0, 0.0], "radius": 9.0}}
    reply = caller.ask("POST", "/scans", {"mode": "count", **asked}).json
    assert (reply["count"], reply["bounded"], reply["approximate"]) == (4, False, True)
    job = caller.job("/scans", asked)
    assert paged(caller, job, 10) == ["k0", "k1", "k2", "k3"]
    assert job["bounded"] is False
    asked["ann"]["radius"] = -1.0
    assert paged(caller, caller.job("/scans", asked), 10) == []


def test_text_scans_ask_for_any_token(gateway: RunningGateway, upstream: Upstream) -> None:
    for word in ("fts", "hybrid_text"):
        upstream.script(answer(200, METADATA, JSON), answer(200, b'{"aggregations":{"n":3}}', JSON))
        body = {"mode": "count", word: {"field": "t", "query": 'kelp "atlas"'}}
        reply = gateway.ask("POST", "/v2/namespaces/n/scans", json.dumps(body).encode())
        assert reply.json["count"] == 3
        sent = json.loads(upstream.requests[1].body)
        assert sent["filters"] == ["t", "ContainsAnyToken", 'kelp "atlas"']


def test_filters_go_on_as_they_were_spelled(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script(answer(200, METADATA, JSON), answer(200, b'{"aggregations":{"n":3}}', JSON))
    spelled = b'[ "n" , "Eq", 1.0e+2 ]'
    gateway.ask("POST", "/v2/namespaces/n/scans", b'{"mode":"count","filters":%b}' % spelled)
    assert b'"filters":' + spelled in upstream.requests[1].body


def test_jobs_are_listed_and_deleted(caller: Caller) -> None:
    caller.write({"id": "a"})
    first, second = caller.job("/scans", {}), caller.job("/scans", {})
    listed = caller.ask("GET", "/scans").json["scans"]
    assert {job["id"] for job in listed} == {first["id"], second["id"]}
    assert caller.ask("DELETE", f"/scans/{first['id']}").json["status"] == "OK"
    for method, below in (("GET", ""), ("GET", "/results"), ("DELETE", "")):
        refused(caller.ask(method, f"/scans/{first['id']}{below}"), 404, "not_found")
    assert caller.ask("GET", "/scans").json["scans"] == [second]


def test_scans_go_with_their_namespace(caller: Caller) -> None:
    caller.write({"id": "a"})
    job = caller.job("/scans", {})
    caller.ask("DELETE", "")
    refused(caller.ask("GET", f"/scans/{job['id']}/results"), 404, "not_found")
    assert caller.ask("GET", "/scans").json == {"scans": []}


def test_a_scan_that_is_deleted_while_it_runs_leaves_nothing(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    path = "/v2/namespaces/running/scans"
    upstream.script(answer(200, METADATA, JSON), silence())
    job = gateway.ask("POST", path, b'{"timeout_seconds":0.3}').json
    assert gateway.ask("DELETE", f"{path}/{job['id']}").status == 200
    # It ends by its time-out; what it notes then must not bring it back.
    other = gateway.ask("POST", path, b'{"timeout_seconds":0.3}').json
    while other["status"] == "running":
        other = gateway.ask("GET", f"{path}/{other['id']}").json
    assert gateway.ask("GET", path).json["scans"] == [other]


def test_a_scan_of_another_namespace_is_not_found(caller: Caller, live: RunningGateway) -> None:
    caller.write({"id": "a"})
    job = caller.job("/scans", {})
    other = Caller(live)
    other.write({"id": "a"})
    refused(other.ask("GET", f"/scans/{job['id']}"), 404, "not_found")


def test_scans_are_known_to_every_worker(simulator_url: str) -> None:
    """Each request has a connection of its own, so that both workers are met."""
    with running_gateway(simulator_url, HEVFAST_WORKERS="2") as gateway:
        caller = Caller(gateway)
        caller.path = "/v2/namespaces/many-workers"
        caller.write({"id": "a"}, {"id": "b"})
        job = caller.job("/scans", {})
        for _ in range(40):
            assert caller.ask("GET", f"/scans/{job['id']}/results").json["ids"] == ["a", "b"]


def test_results_of_an_unfinished_or_failed_scan_are_refused(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    path = "/v2/namespaces/slow/scans"
    upstream.script(answer(200, METADATA, JSON), silence())
    job = gateway.ask("POST", path, b'{"timeout_seconds":0.2}').json
    assert job["status"] == "running"
    refused(gateway.ask("GET", f"{path}/{job['id']}/results"), 422, "validation_error")
    while job["status"] == "running":
        job = gateway.ask("GET", f"{path}/{job['id']}").json
    assert job["status"] == "failed"
    assert "0.2 seconds" in job["error"]
    refused(gateway.ask("GET", f"{path}/{job['id']}/results"), 422, "validation_error")


def test_a_count_that_takes_too_long_is_504(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script(answer(200, METADATA, JSON), silence())
    body = b'{"mode":"count","timeout_seconds":0.2}'
    refused(gateway.ask("POST", "/v2/namespaces/n/scans", body), 504, "gateway_timeout")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_what_upstream_refuses_is_refused_in_its_words(
    gateway: RunningGateway, upstream: Upstream, status: int
) -> None:
    refusal = answer(status, b'{"status":"error","error":"no"}', JSON)
    for script in ([refusal], [answer(200, METADATA, JSON), refusal]):
        upstream.script(*script)
        reply = gateway.ask("POST", "/v2/namespaces/n/scans", b'{"mode":"count"}')
        assert (reply.status, reply.body) == (status, b'{"status":"error","error":"no"}')


def test_a_key_that_upstream_does_not_take_sees_no_job(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    path = "/v2/namespaces/keys/scans"
    upstream.script(answer(200, METADATA, JSON), answer(200, b'{"rows":[{"id":"a"}]}', JSON))
    job = gateway.ask("POST", path, b"{}").json
    while gateway.ask("GET", f"{path}/{job['id']}", None, [AUTH]).json["status"] == "running":
        pass
    stranger = [(b"Authorization", b"Bearer stranger")]
    for method, below in (("GET", ""), ("GET", "/results"), ("DELETE", "")):
        upstream.script(answer(403, b'{"status":"error","error":"no"}', JSON))
        reply = gateway.ask(method, f"{path}/{job['id']}{below}", None, stranger)
        assert (reply.status, reply.json["error"]) == (403, "no")
    upstream.script(answer(403, b'{"status":"error","error":"no"}', JSON))
    assert gateway.ask("GET", path, None, stranger).status == 403


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "all"},
        {"mode": "values"},
        {"field": "a"},
        {"page_size": 0},
        {"page_size": 10_001},
        {"timeout_seconds": 0},
        {"timeout_seconds": 301},
        {"threads": 0},
        {"threads": 33},
        {"as_of": 1, "between": [1, 2]},
        {"between": [2, 2]},
        {"between": [1]},
        {"fts": {"field": "a"}},
        {"fts": {"field": "a", "query": "b"}, "ann": {"vector": [1], "radius": 1}},
        {"hybrid_text": {"field": "a", "query": "b", "fuzziness": "auto"}},
        [],
        "ids",
    ],
)
def test_scans_of_the_wrong_shape_are_refused(
    gateway: RunningGateway, upstream: Upstream, body: object
) -> None:
    reply = gateway.ask("POST", "/v2/namespaces/n/scans", json.dumps(body).encode())
    refused(reply, 422, "validation_error")
    assert upstream.requests == []


def test_what_is_no_scan_at_all(gateway: RunningGateway, upstream: Upstream) -> None:
    path = "/v2/namespaces/n/scans"
    refused(gateway.ask("POST", path, b"{"), 400, "bad_request")
    refused(gateway.ask("POST", path, b'{"source":"snapshot"}'), 412, "precondition_failed")
    reply = gateway.ask("POST", path, b'{"source":"cache"}')
    refused(reply, 503, "cache_cold")
    assert reply.json["cache_state"] == "cold"
    assert upstream.requests == []


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "offset=-1", "offset=x"])
def test_pages_out_of_bounds_are_refused(filled: Caller, query: str) -> None:
    reply = filled.ask("GET", f"/scans/{'0' * 32}/results?{query}")
    refused(reply, 422, "validation_error")
