"""`HEVFAST_CACHE_UNREACHABLE`: what becomes of writes while the cluster is away, and at its end."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.contract.test_fetch import applied, rows
from tests.fakes.aerospike import FakeAerospike
from tests.fakes.client import Reply
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Step, Upstream, Wire, answer

PATH = "/v2/namespaces/books"
ROW = {"upsert_rows": [{"id": 1, "n": 1}]}
WAIT_S = 20.0


@pytest.fixture(scope="module")
def node() -> Iterator[FakeAerospike]:
    with FakeAerospike() as running:
        yield running


@pytest.fixture(scope="module", params=["refuse", "open"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def gateway(shared_upstream: Upstream, node: FakeAerospike, mode: str) -> Iterator[RunningGateway]:
    hosts = ",".join(f"{host}:{port}" for host, port in node.hosts)
    with running_gateway(
        shared_upstream.url,
        AEROSPIKE_HOSTS=hosts,
        HEVFAST_AEROSPIKE_REGISTRY_NAMESPACE="hevlayer_registry",
        HEVFAST_CACHE_UNREACHABLE=mode,
        HEVFAST_DOUBT_MS="100",
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def well(node: FakeAerospike, gateway: RunningGateway, upstream: Upstream) -> Iterator[None]:
    """Begin and end with a cluster that is well, and that the gateway knows to be."""
    deadline_s = time.monotonic() + WAIT_S
    cache = None
    while cache != b"hit":
        assert time.monotonic() < deadline_s, gateway.log[-3000:]
        write(gateway, upstream, applied())
        upstream.script(rows({"id": 1, "n": 1}))
        cache = gateway.ask("GET", f"{PATH}/documents/1").value(b"x-layer-cache")
    upstream.script()
    yield
    node.faults.clear()
    node.thaw()


def write(gateway: RunningGateway, upstream: Upstream, *steps: Step, body: object = ROW) -> Reply:
    upstream.script(*steps)
    return gateway.ask("POST", PATH, json.dumps(body).encode())


def is_refused(reply: Reply) -> bool:
    if reply.status != 503:
        return False
    assert reply.json["error"] == "service_unavailable"
    assert "not sent" in reply.json["message"]
    assert reply.value(b"retry-after") == b"2"
    assert reply.value(b"content-type") == b"application/json"
    return True


@pytest.mark.parametrize("body", [ROW, {"delete_by_filter": ["n", "Eq", 1]}])
def test_write_that_cannot_be_announced_is_refused_unsent_or_goes_on(
    gateway: RunningGateway, upstream: Upstream, node: FakeAerospike, mode: str, body: object
) -> None:
    node.freeze()
    reply = write(gateway, upstream, applied(), body=body)
    if mode == "open":
        assert reply.status == 200
        assert len(upstream.requests) == 1
    else:
        assert is_refused(reply)
        assert not upstream.requests


def test_deletion_of_a_namespace_is_a_write_too(
    gateway: RunningGateway, upstream: Upstream, node: FakeAerospike, mode: str
) -> None:
    node.freeze()
    upstream.script(applied())
    reply = gateway.ask("DELETE", PATH)
    if mode == "open":
        assert reply.status == 200
    else:
        assert is_refused(reply)
        assert not upstream.requests


def test_write_whose_end_cannot_be_told_is_not_answered_as_if_it_were(
    gateway: RunningGateway, upstream: Upstream, node: FakeAerospike, mode: str
) -> None:
    done = applied()

    async def freeze_and_answer(wire: Wire) -> None:
        node.freeze()
        await done.act(wire)

    reply = write(gateway, upstream, Step(freeze_and_answer, early=False))
    assert len(upstream.requests) == 1
    if mode == "open":
        assert reply.status == 200
    else:
        assert reply.status == 502
        assert reply.json["error"] == "upstream_error"
        assert "was applied" in reply.json["message"]


def test_what_upstream_refuses_is_answered_as_ever(
    gateway: RunningGateway, upstream: Upstream, node: FakeAerospike
) -> None:
    reply = write(gateway, upstream, answer(422, b'{"error":"no"}'))
    assert reply.status == 422


def test_full_cluster_refuses_nothing(
    gateway: RunningGateway, upstream: Upstream, node: FakeAerospike
) -> None:
    """Registries can be removed where nothing can be written: that voids what is cached as well."""
    node.fill("hevlayer")
    node.fill("hevlayer_registry")
    try:
        assert write(gateway, upstream, applied()).status == 200
    finally:
        node.make_room("hevlayer")
        node.make_room("hevlayer_registry")
