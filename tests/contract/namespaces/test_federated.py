"""`POST /v2/query`: one query of many namespaces."""

import json
from typing import Any

import pytest

from tests.contract.namespaces.calling import MARKER_ID, Caller, refused
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream, answer, raw

JSON = [(b"Content-Type", b"application/json")]
METRIC = {"distance_metric": "euclidean_squared"}


@pytest.fixture(scope="module")
def pair(live: RunningGateway) -> tuple[Caller, Caller]:
    """Two namespaces: even numbers in one, whose ids are texts, odd ones in the other."""
    even, odd = Caller(live), Caller(live)
    even.write(*({"id": f"k{n}", "vector": [n, 0.0], "n": n} for n in range(0, 20, 2)), **METRIC)
    odd.write(*({"id": n, "vector": [n, 0.0], "n": n} for n in range(1, 20, 2)), **METRIC)
    assert even.ask("POST", "/init", {"shard_count": 4}).status == 200
    return even, odd


def asked(pair: tuple[Caller, Caller], **more: Any) -> Any:
    names = [caller.namespace for caller in pair]
    body = {"namespaces": names, "vector": [0.0, 0.0], "top_k": 5, **more}
    return pair[0].at("POST", "/v2/query", body)


def test_rows_come_in_the_order_of_one_namespace_with_all_of_them(
    pair: tuple[Caller, Caller],
) -> None:
    reply = asked(pair, include_attributes=["n"])
    assert [row["n"] for row in reply.json["rows"]] == [0, 1, 2, 3, 4]
    assert [row["$dist"] for row in reply.json["rows"]] == [0.0, 1.0, 4.0, 9.0, 16.0]
    even, odd = (caller.namespace for caller in pair)
    assert [row["$namespace"] for row in reply.json["rows"]] == [even, odd, even, odd, even]
    assert reply.json["merge"] == {"method": "distance", "per_namespace_limit": 5}
    assert reply.json["namespaces"] == [
        {"namespace": name, "stable_as_of": None, "matched": 5} for name in (even, odd)
    ]
    assert "errors" not in reply.json
    assert reply.value(b"x-layer-partial") is None


def test_fusion_goes_by_rank(pair: tuple[Caller, Caller]) -> None:
    fusion = {"rank_constant": 7, "per_namespace_limit": 2}
    reply = asked(pair, fusion=fusion, include_attributes=["n"]).json
    assert [row["n"] for row in reply["rows"]] == [0, 1, 2, 3]
    assert reply["merge"] == {"method": "rrf", "rank_constant": 7, "per_namespace_limit": 2}


def test_rank_by_is_passed_on_and_the_marker_left_out(pair: tuple[Caller, Caller]) -> None:
    body = {"rank_by": ["id", "asc"], "vector": None, "include_attributes": ["n"]}
    rows = asked(pair, **body, top_k=6).json["rows"]
    # By their texts k0, k10, k12 come first.
    assert [row["n"] for row in rows] == [0, 1, 10, 3, 12, 5]
    assert MARKER_ID not in {row["id"] for row in rows}
    every = asked(pair, **body, top_k=100).json
    assert len(every["rows"]) == 20
    assert [each["matched"] for each in every["namespaces"]] == [10, 10]


def test_filters_and_windows_hold_in_each(pair: tuple[Caller, Caller]) -> None:
    rows = asked(pair, filters=["n", "Gte", 7], include_attributes=["n"]).json["rows"]
    assert [row["n"] for row in rows] == [7, 8, 9, 10, 11]
    assert asked(pair, as_of=1).json["rows"] == []
    assert len(asked(pair, between=[1, 4_000_000_000_000]).json["rows"]) == 5


def test_one_that_fails_is_named_and_the_rest_is_partial(pair: tuple[Caller, Caller]) -> None:
    names = [pair[0].namespace, "nowhere", pair[1].namespace]
    reply = asked(pair, namespaces=names, top_k=2)
    assert reply.status == 200
    assert reply.value(b"x-layer-partial") == b"true"
    assert len(reply.json["rows"]) == 2
    (error,) = reply.json["errors"]
    assert error["namespace"] == "nowhere"
    assert "404" in error["error"]


@pytest.mark.parametrize("more", [{"strict": True}, {"namespaces": ["nowhere"]}])
def test_strict_or_all_failed_is_upstreams_answer(pair: tuple[Caller, Caller], more: Any) -> None:
    names = [pair[0].namespace, "nowhere"]
    reply = asked(pair, **{"namespaces": names, **more})
    assert (reply.status, reply.json["status"]) == (404, "error")


def test_values_are_as_upstream_spelled_them(gateway: RunningGateway, upstream: Upstream) -> None:
    row = b'{"rows":[{"id":18446744073709551615,"$dist":1e-7,"f":1.50}]}'
    upstream.script(answer(200, row, JSON))
    body = b'{"namespaces":["n"],"vector":[ 0.10, 1e0 ],"filters":[ "a","Eq",1.0]}'
    reply = gateway.ask("POST", "/v2/query", body)
    assert b'{"id":18446744073709551615,"$dist":1e-7,"f":1.50,"$namespace":"n"}' in reply.body
    sent = upstream.only.body
    assert b'"rank_by":["vector","ANN",[ 0.10, 1e0 ]]' in sent
    assert b'"filters":[ "a","Eq",1.0]' in sent


@pytest.mark.parametrize("body", [b'{"rows":[{}]}', b'{"rows":[{"id":1}]}', b"[]", b"{"])
def test_rows_that_cannot_be_read_are_a_fault_of_upstreams(
    gateway: RunningGateway, upstream: Upstream, body: bytes
) -> None:
    upstream.script(answer(200, body, JSON))
    reply = gateway.ask("POST", "/v2/query", b'{"namespaces":["n"],"vector":[1]}')
    refused(reply, 502, "upstream_error")


def test_upstream_out_of_reach_is_502(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.script(raw(b"", close=True))
    reply = gateway.ask("POST", "/v2/query", b'{"namespaces":["n"],"vector":[1]}')
    refused(reply, 502, "upstream_error")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"namespaces": [], "vector": [1]},
        {"namespaces": ["a", "a"], "vector": [1]},
        {"namespaces": ["a/b"], "vector": [1]},
        {"namespaces": [".."], "vector": [1]},
        {"namespaces": ["a?b=c"], "vector": [1]},
        {"namespaces": [f"n{n}" for n in range(513)], "vector": [1]},
        {"namespaces": ["a"]},
        {"namespaces": ["a"], "vector": [1], "rank_by": ["id", "asc"]},
        {"namespaces": ["a"], "vector": [1], "top_k": 0},
        {"namespaces": ["a"], "vector": [1], "top_k": 10_001},
        {"namespaces": ["a"], "vector": [1], "fusion": {"per_namespace_limit": 0}},
        {"namespaces": ["a"], "vector": [1], "fusion": {"rank_constant": 0}},
        {"namespaces": ["a"], "vector": [1], "nearest_to_id": ["x"]},
        {"namespaces": ["a"], "vector": [1], "cursor": "x"},
        {"namespaces": ["a"], "vector": [1], "as_of": 1, "between": [1, 2]},
        {"namespaces": ["a"], "vector": [1], "between": [2, 1]},
        [],
    ],
)
def test_queries_of_the_wrong_shape_are_refused(
    gateway: RunningGateway, upstream: Upstream, body: object
) -> None:
    reply = gateway.ask("POST", "/v2/query", json.dumps(body).encode())
    refused(reply, 422, "validation_error")
    assert upstream.requests == []
