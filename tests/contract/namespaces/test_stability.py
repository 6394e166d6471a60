"""What the watermark knows shows in metadata, scans and federated queries, which are cut at it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.query.test_cut import QUICK, until, write
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.lagging import STAMP, Lagging
from tests.fakes.upstream import Upstream, running_upstream

PATH = "/v2/namespaces/ns"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def lagging(upstream: Upstream) -> Lagging:
    return Lagging(upstream)


@pytest.fixture
def gateway(upstream: Upstream) -> Iterator[RunningGateway]:
    with running_gateway(upstream.url, **QUICK) as running:
        yield running


def layer(gateway: RunningGateway) -> Any:
    return gateway.ask("GET", f"{PATH}/metadata").json["layer"]


def federated(gateway: RunningGateway, **more: Any) -> Any:
    body = {"namespaces": ["ns"], "vector": [1.0, 2.0], "top_k": 100, **more}
    return gateway.ask("POST", "/v2/query", json.dumps(body).encode())


def indexed_then_lagging(gateway: RunningGateway, lagging: Lagging) -> int:
    """Write and index row 1, then write row 2, and wait until the gateway knows; give the mark."""
    write(gateway, 1)
    lagging.index()
    until(lambda: (layer(gateway)["stable_as_of"] or 0) >= lagging.rows[1][STAMP])
    write(gateway, 2)
    until(lambda: not layer(gateway)["is_stable"])
    moment: int = layer(gateway)["stable_as_of"]
    assert lagging.rows[1][STAMP] <= moment < lagging.rows[2][STAMP]
    return moment


def test_metadata_say_as_of_when_the_index_is_whole(
    gateway: RunningGateway, lagging: Lagging
) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    told = layer(gateway)
    assert (told["stable_as_of"], told["is_stable"], told["indexed"]) == (moment, False, False)
    lagging.index()
    until(lambda: layer(gateway)["is_stable"])
    assert layer(gateway)["stable_as_of"] >= lagging.rows[2][STAMP] > moment


def test_reading_metadata_is_enough_to_be_watched(
    gateway: RunningGateway, lagging: Lagging
) -> None:
    """Of a namespace that nobody has written to here."""
    assert layer(gateway)["stable_as_of"] is None
    until(lambda: layer(gateway)["stable_as_of"])


def test_federated_query_is_cut_while_the_index_lags(
    gateway: RunningGateway, lagging: Lagging
) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    reply = federated(gateway)
    assert [row["id"] for row in reply.json["rows"]] == [1]
    assert reply.json["namespaces"] == [{"namespace": "ns", "stable_as_of": moment, "matched": 1}]
    assert lagging.queries[-1]["filters"] == [STAMP, "Lte", moment]
    lagging.index()
    until(lambda: layer(gateway)["is_stable"])
    assert [row["id"] for row in federated(gateway).json["rows"]] == [1, 2]
    assert "filters" not in lagging.queries[-1]


def test_federated_query_refused_for_the_lag_is_repeated_with_the_cut(
    gateway: RunningGateway, lagging: Lagging
) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    federated(gateway)
    # Unknown, so not cut at first.
    lagging.status, lagging.unindexed_max = "rebuilding", 0
    until(lambda: federated(gateway) and "filters" not in lagging.queries[-2])
    reply = federated(gateway)
    assert (reply.status, [row["id"] for row in reply.json["rows"]]) == (200, [1])
    assert lagging.queries[-1]["filters"] == [STAMP, "Lte", moment]


def test_scan_says_as_of_when_it_can_be_trusted(gateway: RunningGateway, lagging: Lagging) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    job = gateway.ask("POST", f"{PATH}/scans", b"{}").json
    assert job["stable_as_of"] == moment
