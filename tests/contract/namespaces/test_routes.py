"""Every route is in the table, and answers as the table says."""

import json

import pytest

from hevfast.core.routes import ANY, ROUTES, How, Row, methods, names_in
from tests.contract.namespaces.calling import refused
from tests.fakes.client import AUTH
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import OK_BODY, Upstream, answer

# The routes of layer-api 6.1, written down once more.
LAYERS = """
POST /v2/namespaces/n
GET /v2/namespaces/n/documents/d
POST /v2/namespaces/n/documents
GET /health
GET /ready
GET /metrics
POST /v2/namespaces/n/query
DELETE /v2/namespaces/n
GET /v2/namespaces/n/metadata
GET /v2/namespaces
GET /v1/namespaces
GET /v1/namespaces/n/metadata
PATCH /v1/namespaces/n/metadata
GET /v1/namespaces/n/schema
POST /v1/namespaces/n/schema
POST /v1/namespaces/n/query
POST /v2/namespaces/n/explain_query
POST /v1/namespaces/n/_debug/recall
GET /v1/namespaces/n/hint_cache_warm
POST /v2/namespaces/n/warm
GET /v2/namespaces/n/warm-jobs
GET /v2/namespaces/n/warm-jobs/j
POST /v2/namespaces/n/init
POST /v2/namespaces/n/scans
GET /v2/namespaces/n/scans
GET /v2/namespaces/n/scans/j
DELETE /v2/namespaces/n/scans/j
GET /v2/namespaces/n/scans/j/results
POST /v2/namespaces/n/snapshots
GET /v2/namespaces/n/snapshot-jobs
GET /v2/namespaces/n/snapshot-jobs/j
GET /v2/namespaces/n/snapshot-policy
PUT /v2/namespaces/n/snapshot-policy
POST /v2/query
POST /v2/namespaces/n/search
GET /v2/vectorstores
GET /v2/vectorstores/s
GET /v2/vectorstores/s/capabilities
GET /v2/namespaces/n/capabilities
GET /v2/license
GET /v2/metrics/catalog
GET /v2/metrics/catalog/m
GET /v2/metrics/query
POST /v2/metrics/query
GET /v2/metrics/query_range
GET /v2/metrics/api/v1/query
POST /v2/keys/authenticate
POST /v2/namespaces/n/import
GET /v2/udfs
POST /v2/udfs/u/claim
GET /v2/keys
POST /v2/keys/k/revoke
POST /v2/agents/a/query
GET /v2/warehouses/w
PUT /v1/namespaces/n/blobs
GET /v1/namespaces/n/blobs/b
POST /v1/control/restores
GET /v2/namespaces/n/search-history
GET /v2/namespaces/n/clickstream
POST /v2/namespaces/n/checkpoints
GET /v2/namespaces/n/checkpoints/c
GET /v2/namespaces/n/history
GET /v2/namespaces/n/snapshots/s
POST /v2/namespaces/n/shard/migrate
GET /v2/activity/snapshots
GET /v2/cost
GET /v2/cost/timeseries
POST /v2/pipelines
GET /v2/pipelines
DELETE /v2/pipelines/p
GET /v2/pipelines/p/status
POST /v2/pipelines/p/claim
POST /v2/pipelines/p/documents/heartbeat
POST /v2/pipelines/p/documents/stage
PUT /v2/pipelines/p/documents/d
GET /v2/pipelines/p/documents/d/chunks
PUT /v2/pipelines/p/documents/d/vectors
"""

# What a refusal's status is called.
CODES = {404: {"not_found"}, 422: {"object_store_not_configured", "UnsupportedByStore"}}
CODES[503] = {"service_unavailable"}


def filled(row: Row) -> str:
    """Give a path that a row's template fits."""
    words = ["w" if "{" in word else word for word in row.template.split("/")]
    return "/".join(words).replace("/...", "/w")


def shown(row: Row) -> str:
    return f"{row.method} {row.template}"


def test_the_table_has_every_route_of_layers() -> None:
    for line in LAYERS.split("\n")[1:-1]:
        method, path = line.split(" ")
        rows = methods(path.encode())
        assert method in rows or ANY in rows, line


@pytest.mark.parametrize("row", ROUTES, ids=shown)
def test_each_template_finds_its_own_row(row: Row) -> None:
    path = filled(row).encode()
    assert methods(path)[row.method] is row
    assert set(names_in(path, row.template)) <= {b"w"}


def test_names_are_unique() -> None:
    assert len({row.name for row in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("row", ROUTES, ids=shown)
def test_a_route_needs_a_key_unless_the_table_says_otherwise(
    gateway: RunningGateway, upstream: Upstream, row: Row
) -> None:
    method = "POST" if row.method == ANY else row.method
    reply = gateway.ask(method, filled(row), b"{}", [])
    assert (reply.status == 401) is not row.open, reply
    assert upstream.requests == []


@pytest.mark.parametrize("row", [row for row in ROUTES if row.how is How.RELAYED], ids=shown)
def test_relayed_route_reaches_upstream(
    gateway: RunningGateway, upstream: Upstream, row: Row
) -> None:
    body = b'{ "rank_by" : ["id","asc"], "limit" : 1 }'
    given = None if row.method == "GET" else body
    upstream.script(answer(200, OK_BODY, [(b"X-Seen", b"1")]))
    reply = gateway.ask(row.method, filled(row) + "?a=b", given)
    assert (reply.status, reply.body, reply.value(b"x-seen")) == (200, OK_BODY, b"1")
    assert upstream.only.method == row.method
    assert upstream.only.body == (given or b"")


def test_query_of_the_older_spelling_goes_on_in_the_newer(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    gateway.ask("POST", "/v1/namespaces/n/query?a=b&stainless_overload=multiQuery", b"{}")
    assert upstream.only.target == b"/v2/namespaces/n/query?a=b"


@pytest.mark.parametrize("row", [row for row in ROUTES if row.how is How.REFUSED], ids=shown)
def test_refused_route_says_so(gateway: RunningGateway, upstream: Upstream, row: Row) -> None:
    status = promised(row)
    tried = ["GET", "POST", "PUT", "DELETE"] if row.method == ANY else [row.method]
    for method in tried:
        reply = gateway.ask(method, filled(row), None if method == "GET" else b"{}")
        assert reply.status == status, reply
        assert reply.json["error"] in CODES[status]
        assert reply.json["message"]
    assert upstream.requests == []


def promised(row: Row) -> int:
    """Give the status that the table says, there or in a row before."""
    for before in reversed(ROUTES[: ROUTES.index(row) + 1]):
        if before.purpose[:3].isdigit():
            return int(before.purpose[:3])
    raise AssertionError(row)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v2/namespaces/n/warm", b"POST"),
        ("DELETE", "/v2/namespaces/n/scans", b"GET, HEAD, POST"),
        ("POST", "/v2/license", b"GET, HEAD"),
        ("GET", "/v2/query", b"POST"),
    ],
)
def test_another_method_on_a_path_of_ours_is_405(
    gateway: RunningGateway, upstream: Upstream, method: str, path: str, allowed: bytes
) -> None:
    reply = gateway.ask(method, path)
    refused(reply, 405, "method_not_allowed")
    assert reply.value(b"allow") == allowed
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/nothing", "/v2/vectorstores/a/b", "/v3/x"])
def test_a_path_of_nobodys_is_404(gateway: RunningGateway, upstream: Upstream, path: str) -> None:
    refused(gateway.ask("GET", path), 404, "not_found")
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    ["/v2/namespaces/n/w%61rm", "/v2/namespaces/n%61/warm", "/v2/namespaces/./warm"],
)
def test_another_spelling_of_a_route_never_starts_work(
    gateway: RunningGateway, upstream: Upstream, path: str
) -> None:
    reply = gateway.ask("POST", path, b"{}")
    assert reply.status != 202
    assert all(request.target == path.encode() for request in upstream.requests)


def test_head_is_answered_as_get_without_its_body(gateway: RunningGateway) -> None:
    whole = gateway.ask("GET", "/v2/license")
    head = gateway.ask("HEAD", "/v2/license")
    assert (head.status, head.body) == (200, b"")
    assert head.value(b"content-length") == b"%d" % len(whole.body)


def test_fixed_routes_do_not_ask_upstream(gateway: RunningGateway, upstream: Upstream) -> None:
    for row in ROUTES:
        if row.how is How.FIXED:
            reply = gateway.ask("GET", filled(row), None, [AUTH])
            assert reply.status in (200, 404)
            json.loads(reply.body)
    assert upstream.requests == []
