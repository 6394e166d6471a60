"""Queries are cut at the watermark while the index lags behind, and say as of when they are."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.client import Reply, request_bytes
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.lagging import STAMP, Lagging
from tests.fakes.upstream import (
    Step,
    Upstream,
    answer,
    running_upstream,
    silence,
)

PATH = "/v2/namespaces/ns/query"
LAYERS = {"vector": [1.0, 2.0], "top_k": 1000, "include_attributes": True}
NATIVE = {"rank_by": ["vector", "ANN", [1.0, 2.0]], "limit": 10}
WAIT_S = 15.0

QUICK = {
    "CONSISTENCY_POLL_INTERVAL_MS": "20",
    "CONSISTENCY_STABLE_POLL_INTERVAL_MS": "40",
    "CONSISTENCY_SAFETY_MARGIN_MS": "5",
    "HEVFAST_DOUBT_MS": "1500",
}


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come about")


def query(gateway: RunningGateway, body: Any = LAYERS, path: str = PATH) -> Reply:
    return gateway.ask("POST", path, json.dumps(body).encode())


def write(gateway: RunningGateway, *ids: int, **more: Any) -> None:
    rows = [{"id": number, "vector": [1.0, 2.0], **more} for number in ids]
    assert gateway.write(json.dumps({"upsert_rows": rows}).encode()).status == 200


def stable_as_of(gateway: RunningGateway) -> int:
    return int(query(gateway).value(b"x-layer-stable-as-of") or 0)


def queries_are_answered(upstream: Upstream, step: Step) -> None:
    """Have all queries answered so, all else as before; forget what was asked."""
    usual = upstream.usual
    upstream.usual = lambda request: step if request.target.endswith(b"/query") else usual(request)
    upstream.script()


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


def indexed_then_lagging(gateway: RunningGateway, lagging: Lagging) -> int:
    """Write and index row 1, then write row 2, and wait until the gateway knows; give the mark."""
    write(gateway, 1)
    lagging.index()
    until(lambda: stable_as_of(gateway) >= lagging.rows[1][STAMP])
    write(gateway, 2)
    until(lambda: query(gateway) and "filters" in lagging.queries[-1])
    return stable_as_of(gateway)


def test_nothing_is_cut_and_nothing_claimed_before_anything_is_known(
    gateway: RunningGateway, lagging: Lagging
) -> None:
    write(gateway, 1)
    reply = query(gateway)
    assert reply.status == 200
    assert reply.value(b"x-layer-stable-as-of") is None
    assert "filters" not in lagging.queries[-1]
    assert lagging.queries[-1]["consistency"] == {"level": "eventual"}


def test_up_to_date_is_not_cut_and_says_as_of_when_it_is(
    gateway: RunningGateway, lagging: Lagging
) -> None:
    write(gateway, 1)
    lagging.index()
    until(lambda: stable_as_of(gateway) >= lagging.rows[1][STAMP])
    assert "filters" not in lagging.queries[-1]


def test_updating_is_cut_beside_the_filter_of_the_client(
    gateway: RunningGateway, lagging: Lagging
) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    assert lagging.rows[1][STAMP] <= moment < lagging.rows[2][STAMP]
    assert lagging.queries[-1]["filters"] == [STAMP, "Lte", moment]
    query(gateway, LAYERS | {"filters": ["a", "Eq", 1]})
    assert lagging.queries[-1]["filters"] == ["And", [["a", "Eq", 1], [STAMP, "Lte", moment]]]


def test_what_is_unknown_is_never_caught_up(gateway: RunningGateway, lagging: Lagging) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    lagging.status = "rebuilding"
    polls = lagging.polls
    until(lambda: lagging.polls > polls + 3)
    assert stable_as_of(gateway) == moment
    assert "filters" not in lagging.queries[-1]


def test_a_poll_that_fails_changes_nothing(
    gateway: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    usual = upstream.usual
    upstream.usual = lambda request: (
        answer(500) if request.target.endswith(b"/metadata") else usual(request)
    )
    upstream.script()
    until(lambda: any(one.target.endswith(b"/metadata") for one in upstream.requests))
    assert stable_as_of(gateway) == moment
    assert lagging.queries[-1]["filters"] == [STAMP, "Lte", moment]


def test_429_is_repeated_once_with_the_cut(gateway: RunningGateway, lagging: Lagging) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    # Unknown, so not cut at first.
    lagging.status, lagging.unindexed_max = "rebuilding", 0
    until(lambda: query(gateway) and "filters" not in lagging.queries[-2])
    reply = query(gateway)
    assert reply.status == 200
    assert reply.value(b"x-layer-stable-as-of") == b"%d" % moment
    assert "filters" not in lagging.queries[-2]
    assert lagging.queries[-1]["filters"] == [STAMP, "Lte", moment]


def test_second_429_is_relayed(
    gateway: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    indexed_then_lagging(gateway, lagging)
    lagging.index()
    until(lambda: query(gateway) and "filters" not in lagging.queries[-1])
    busy = answer(429, b'{"status":"error","error":"busy"}', [(b"Retry-After", b"7")])
    queries_are_answered(upstream, busy)
    reply = query(gateway)
    assert (reply.status, reply.body) == (429, b'{"status":"error","error":"busy"}')
    assert reply.value(b"retry-after") == b"7"
    asked = [one for one in upstream.requests if one.target.endswith(b"/query")]
    assert len(asked) == 2


def test_429_without_a_watermark_is_relayed_at_once(upstream: Upstream) -> None:
    with running_gateway(upstream.url) as quiet:
        upstream.script(answer(429, b"{}"))
        assert query(quiet).status == 429
        assert len(upstream.requests) == 1


def test_one_cut_for_all_legs(
    gateway: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    moment = indexed_then_lagging(gateway, lagging)
    queries_are_answered(upstream, answer(200, b'{"results":[]}'))
    leg = {"rank_by": ["id", "asc"], "limit": 3}
    legs = [leg, leg | {"filters": ["a", "Eq", 1]}]
    reply = query(gateway, {"queries": legs, "as_of": 77})
    assert reply.value(b"x-layer-stable-as-of") == b"%d" % moment
    (asked,) = [one for one in upstream.requests if one.target.endswith(b"/query")]
    window, cut = [STAMP, "Lte", 77], [STAMP, "Lte", moment]
    assert json.loads(asked.body)["queries"] == [
        leg | {"filters": ["And", [window, cut]]},
        leg | {"filters": ["And", [["a", "Eq", 1], window, cut]]},
    ]


def test_a_namespace_that_does_not_know_the_stamp_is_asked_without_the_cut(
    gateway: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    indexed_then_lagging(gateway, lagging)
    rows = b'{"rows":[]}'
    usual = upstream.usual

    def strict(request: Any) -> Any:
        if not request.target.endswith(b"/query"):
            return usual(request)
        seen.append(request)
        return answer(400, b"{}") if len(seen) == 1 else answer(200, rows)

    seen: list[Any] = []
    upstream.usual = strict
    reply = query(gateway)
    assert (reply.status, reply.body) == (200, rows)
    assert reply.value(b"x-layer-warning") == b"not_cut"
    assert [b"Lte" in request.body for request in seen] == [True, False]


def test_native_is_never_cut_unless_that_is_asked_for(
    gateway: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    indexed_then_lagging(gateway, lagging)
    queries_are_answered(upstream, answer(200, b'{"rows":[]}'))
    reply = query(gateway, NATIVE)
    (asked,) = [one for one in upstream.requests if one.target.endswith(b"/query")]
    assert asked.body == json.dumps(NATIVE).encode()
    assert not [name for name, _ in reply.headers if name.startswith(b"x-layer")]


def test_native_is_cut_if_that_is_asked_for(upstream: Upstream, lagging: Lagging) -> None:
    with running_gateway(upstream.url, **QUICK, HEVFAST_NATIVE_QUERY_CUT="on") as gateway:
        moment = indexed_then_lagging(gateway, lagging)
        queries_are_answered(upstream, answer(200, b'{"rows":[]}'))
        reply = query(gateway, NATIVE)
        query(gateway, {"queries": [NATIVE, NATIVE]})
        asked = [one.body for one in upstream.requests if one.target.endswith(b"/query")]
    assert reply.value(b"x-layer-stable-as-of") == b"%d" % moment
    cut = NATIVE | {"filters": [STAMP, "Lte", moment]}
    assert [json.loads(body) for body in asked] == [cut, {"queries": [cut, cut]}]


def test_a_lost_write_holds_the_watermark_until_its_doubt_lapses(
    gateway: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    write(gateway, 1)
    lagging.index()
    usual, begun_ms = upstream.usual, time.time_ns() // 1_000_000
    upstream.usual = lambda request: (
        answer(503, b"{}") if request.target == b"/v2/namespaces/ns" else usual(request)
    )
    assert gateway.write(b'{"upsert_rows":[{"id":9}]}').status == 503
    lost_ms = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 < lost_ms + 200:
        assert stable_as_of(gateway) <= lost_ms
    until(lambda: stable_as_of(gateway) > lost_ms)
    assert begun_ms <= lost_ms


@pytest.fixture
def doubting(upstream: Upstream) -> Iterator[RunningGateway]:
    """A gateway for which a lost write stays in doubt beyond the test."""
    with running_gateway(upstream.url, **(QUICK | {"HEVFAST_DOUBT_MS": "3600000"})) as running:
        yield running


def writes_are_answered(upstream: Upstream, step: Step) -> None:
    usual = upstream.usual
    upstream.usual = lambda request: (
        step if request.target == b"/v2/namespaces/ns" else usual(request)
    )
    upstream.script()


def test_a_refused_write_does_not_hold_the_watermark(
    doubting: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    write(doubting, 1)
    lagging.index()
    writes_are_answered(upstream, answer(400, b"{}"))
    assert doubting.write(b'{"upsert_rows":[{"id":9}]}').status == 400
    refused_ms = time.time_ns() // 1_000_000
    until(lambda: stable_as_of(doubting) > refused_ms)


def test_a_write_whose_client_left_holds_it_as_a_lost_one_does(
    doubting: RunningGateway, lagging: Lagging, upstream: Upstream
) -> None:
    write(doubting, 1)
    lagging.index()
    writes_are_answered(upstream, silence())
    with doubting.connect() as connection:
        body = b'{"upsert_rows":[{"id":9}]}'
        connection.send(request_bytes("POST", "/v2/namespaces/ns", body))
        until(lambda: any(b'"id":9' in request.body for request in upstream.requests))
    left_ms = time.time_ns() // 1_000_000
    until(lambda: time.time_ns() // 1_000_000 > left_ms + 100)
    polls = lagging.polls
    until(lambda: query(doubting) and lagging.polls > polls + 5)
    assert 0 < stable_as_of(doubting) <= left_ms


def test_watermark_outlives_a_restart(upstream: Upstream, lagging: Lagging, tmp_path: Any) -> None:
    folder = {"HEVFAST_DATA_DIR": str(tmp_path)}
    with running_gateway(upstream.url, **(QUICK | folder)) as gateway:
        moment = indexed_then_lagging(gateway, lagging)
    with running_gateway(upstream.url, **folder) as again:
        # It does not poll, so what it knows was handed down.
        assert stable_as_of(again) >= moment
        assert lagging.queries[-1]["filters"][:2] == [STAMP, "Lte"]
