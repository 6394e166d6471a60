"""Two hosts that share a cluster know the same of an index, and each other's writes in flight."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.query.test_cut import LAYERS, PATH, QUICK, query, stable_as_of, until, write
from tests.fakes.aerospike import FakeAerospike
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.lagging import STAMP, Lagging
from tests.fakes.upstream import Request, Step, Upstream, Wire, answer, running_upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def hosts(upstream: Upstream) -> Iterator[tuple[RunningGateway, RunningGateway]]:
    with ExitStack() as stack:
        node = stack.enter_context(FakeAerospike())
        settings = QUICK | {
            "AEROSPIKE_HOSTS": f"127.0.0.1:{node.port}",
            "HEVFAST_AEROSPIKE_REGISTRY_NAMESPACE": "hevlayer_registry",
            # Together as long as a place for cards is young.
            "HEVFAST_UPSTREAM_TOTAL_TIMEOUT_MS": "2000",
            # Of an index that is up to date nobody asks again but after a write of his own.
            "CONSISTENCY_STABLE_POLL_INTERVAL_MS": "3600000",
        }
        one, other = (
            stack.enter_context(running_gateway(upstream.url, **settings)) for _ in range(2)
        )
        yield one, other


def settled(gateway: RunningGateway, lagging: Lagging) -> int:
    """Write and index, and give the watermark: 0 while the place for cards is young."""
    write(gateway, 1)
    lagging.index()
    return stable_as_of(gateway)


def test_a_host_that_sees_no_writes_knows_as_much(
    upstream: Upstream, hosts: tuple[RunningGateway, RunningGateway]
) -> None:
    lagging = Lagging(upstream)
    one, other = hosts
    until(lambda: settled(one, lagging))
    until(lambda: stable_as_of(other) > 0)
    write(one, 2)
    until(lambda: query(other) and "filters" in lagging.queries[-1])
    cut = lagging.queries[-1]["filters"]
    assert cut[:2] == [STAMP, "Lte"]
    assert cut[2] < lagging.rows[2][STAMP]


def test_a_write_in_flight_on_one_host_holds_the_watermark_of_the_other(
    upstream: Upstream, hosts: tuple[RunningGateway, RunningGateway]
) -> None:
    lagging = Lagging(upstream)
    one, other = hosts
    until(lambda: settled(other, lagging))
    released, arrived = threading.Event(), threading.Event()
    usual = upstream.usual

    def held(request: Request) -> Step:
        if b"slow" not in request.target:
            return usual(request)

        async def act(wire: Wire) -> None:
            arrived.set()
            await asyncio.to_thread(released.wait, 15)
            await usual(request).act(wire)

        return Step(act)

    upstream.usual = held
    body = json.dumps({"upsert_rows": [{"id": 9, "vector": [1.0, 2.0]}]}).encode()
    target = "/v2/namespaces/ns?slow=1"
    slow = threading.Thread(target=lambda: one.ask("POST", target, body))
    slow.start()
    assert arrived.wait(15)
    begun_ms = time.time_ns() // 1_000_000
    ended_s = time.monotonic() + 1.0
    number = 10
    while time.monotonic() < ended_s:
        number += 1
        write(other, number)
        lagging.index()
        assert stable_as_of(other) <= begun_ms
    held_ms = stable_as_of(other)
    released.set()
    slow.join()
    assert held_ms < lagging.rows[9][STAMP]
    until(
        lambda: write(other, 1) or lagging.index() or stable_as_of(other) > lagging.rows[9][STAMP]
    )


def test_queries_go_on_while_the_cluster_is_away(upstream: Upstream) -> None:
    upstream.usual = lambda request: answer(200, b'{"rows":[]}')
    settings = QUICK | {"AEROSPIKE_HOSTS": "127.0.0.1:1"}
    with running_gateway(upstream.url, **settings) as alone:
        assert query(alone).status == 200
        assert alone.ask("POST", PATH, json.dumps(LAYERS).encode()).status == 200
        assert query(alone).value(b"x-layer-stable-as-of") is None
