"""Each form of a query: what goes upstream for it, what comes back, and what is refused."""

import base64
import gzip
import json
import re
from typing import Any

import pytest

from tests.fakes.client import AUTH, Reply
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Request, Step, Upstream, answer

PATH = "/v2/namespaces/ns/query"
STAMP = "_hevlayer_upserted_at"
ROWS = b'{"rows":[],"billing":{"a":1e-7},"performance":{}}'
EVENTUAL = {"level": "eventual"}


def ask(gateway: RunningGateway, body: Any, *headers: Any) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.ask("POST", PATH, raw, [AUTH, *headers])


def sent(upstream: Upstream) -> Any:
    return json.loads(upstream.only.body)


def rows(*pairs: tuple[Any, float], **more: Any) -> bytes:
    each = [{"$dist": distance, "id": name, **more} for name, distance in pairs]
    return json.dumps({"rows": each, "billing": {}, "performance": {}}).encode()


@pytest.fixture(autouse=True)
def _answers(upstream: Upstream) -> None:
    upstream.usual = lambda request: answer(200, ROWS)


def test_vector_becomes_a_ranking_with_the_bytes_of_the_client(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    body = (
        b'{"vector": [1.0, 2e-7,  18446744073709551615], "filters": [ "a", "Eq", 1.50 ],'
        b' "include_attributes": ["b", "\\u0061"], "include_leg_breakdown": false}'
    )
    assert ask(gateway, body).body == ROWS
    seen = upstream.only.body
    assert b'"rank_by":["vector","ANN",[1.0, 2e-7,  18446744073709551615]]' in seen
    assert b'"filters":[ "a", "Eq", 1.50 ]' in seen
    assert b'"include_attributes":["b", "\\u0061"]' in seen
    assert json.loads(seen) == {
        "rank_by": ["vector", "ANN", [1.0, 2e-7, 18446744073709551615]],
        "filters": ["a", "Eq", 1.5],
        "include_attributes": ["b", "a"],
        "top_k": 10,
        "consistency": EVENTUAL,
    }


def test_rank_by_with_top_k_is_eventual_unless_the_client_says_otherwise(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    body = {"rank_by": ["title", "BM25", "x"], "top_k": 3}
    ask(gateway, body)
    assert sent(upstream) == body | {"consistency": EVENTUAL}
    upstream.script()
    body["consistency"] = {"level": "strong"}
    ask(gateway, body)
    assert sent(upstream) == body


@pytest.mark.parametrize(
    ("window", "filters"),
    [
        ({"as_of": 77}, [STAMP, "Lte", 77]),
        ({"between": [5, 77]}, ["And", [[STAMP, "Gt", 5], [STAMP, "Lte", 77]]]),
        (
            {"as_of": 77, "filters": ["a", "Eq", 1]},
            ["And", [["a", "Eq", 1], [STAMP, "Lte", 77]]],
        ),
        ({"as_of": None, "between": None}, None),
    ],
)
def test_a_time_that_is_asked_for_is_a_filter(
    gateway: RunningGateway, upstream: Upstream, window: Any, filters: Any
) -> None:
    ask(gateway, {"vector": [1], **window})
    seen = sent(upstream)
    assert seen.get("filters") == filters
    assert not {"as_of", "between", "vector"} & seen.keys()


NATIVE = [
    b'{"rank_by":["vector","ANN",[1]],"limit": 10}',
    b'{ "rank_by":["id","asc"] }',
    b'{"queries":[{"rank_by":["id","asc"],"top_k":1},{"rank_by":["id","asc"],"top_k":1}]}',
    b'{"aggregate_by":{"n":["Count"]}}',
    b'{"rank_by":["id","asc"],"top_k":10,"exclude_attributes":["a"]}',
    b'{"rank_by":["id","asc"],"top_k":10,"vector_encoding":"base64"}',
    b'{"rank_by":["id","asc"],"top_k":10,"distance_metric":"x","rank_by":1}',
    b"{}",
    b"[]",
    b"not json",
    b"\xff",
    b'{"aggregate_by":{"n":["Count"]},"x":"%b"}' % (b"x" * 300_000),
]


@pytest.mark.parametrize("body", NATIVE, ids=range(len(NATIVE)))
def test_turbopuffers_own_form_passes_as_bytes_without_headers_of_layer(
    gateway: RunningGateway, upstream: Upstream, body: bytes
) -> None:
    reply = ask(gateway, body)
    assert reply.body == ROWS
    assert upstream.only.body == body
    assert upstream.only.target == PATH.encode()
    names = {name for name, _ in reply.headers}
    assert names == {b"content-type", b"content-length", b"server", b"date"}


def test_a_key_is_known_however_it_is_spelled(gateway: RunningGateway, upstream: Upstream) -> None:
    ask(gateway, b'{"\\u0076ector"  :[1.5]}')
    assert sent(upstream)["rank_by"] == ["vector", "ANN", [1.5]]


@pytest.mark.parametrize("body", [NATIVE[0], b'{"vector":[1.5]}'])
def test_v1_goes_to_v2(gateway: RunningGateway, upstream: Upstream, body: bytes) -> None:
    target = "/v1/namespaces/ns/query?stainless_overload=multiQuery&a=b"
    assert gateway.ask("POST", target, body).status == 200
    assert upstream.only.target == b"/v2/namespaces/ns/query?a=b"


def test_gzip_is_read_too(gateway: RunningGateway, upstream: Upstream) -> None:
    packed = gzip.compress(b'{"vector":[1.5]}')
    assert ask(gateway, packed, (b"Content-Encoding", b"gzip")).status == 200
    assert sent(upstream)["rank_by"] == ["vector", "ANN", [1.5]]
    assert upstream.only.values(b"content-encoding") == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"vector": [1], "rank_by": ["id", "asc"]}, "exactly one"),
        ({"vector": [1], "nearest_to_id": ["a"]}, "exactly one"),
        ({"as_of": 5}, "exactly one"),
        ({"vector": "AAAA"}, "vector"),
        ({"vector": [1], "top_k": 0}, "top_k"),
        ({"vector": [1], "top_k": 10_001}, "top_k"),
        ({"vector": [1], "top_k": "5"}, "top_k"),
        ({"vector": [1], "filters": {"a": 1}}, "filters"),
        ({"vector": [1], "as_of": 1, "between": [1, 2]}, "not both"),
        ({"vector": [1], "between": [2, 2]}, "between"),
        ({"vector": [1], "between": [3, 2]}, "between"),
        ({"vector": [1], "between": [3]}, "between"),
        ({"vector": [1], "as_of": -1}, "moment"),
        ({"vector": [1], "as_of": "now"}, "as_of"),
        ({"vector": [1], "as_of": 1.5}, "as_of"),
        ({"vector": [1], "cursor": "***"}, "cursor"),
        ({"vector": [1], "cursor": "e30"}, "cursor"),
        ({"vector": [1], "cursor": "x" * 5000}, "cursor"),
        ({"nearest_to_id": []}, "nearest_to_id"),
        ({"nearest_to_id": list(range(17))}, "nearest_to_id"),
        ({"nearest_to_id": [[1]]}, "nearest_to_id"),
        ({"queries": [{}, {}], "cursor": "e30"}, "cursor"),
        ({"queries": [{}], "as_of": 5}, "legs"),
        ({"queries": [{}] * 17, "as_of": 5}, "legs"),
        ({"queries": [{}, {"as_of": 5}]}, "queries[1]"),
        ({"queries": [{"between": [1, 2]}, {}], "as_of": 5}, "queries[0]"),
        ({"rank_by": ["t", "HybridText", 5], "top_k": 1}, "HybridText"),
        ({"rank_by": ["t", "HybridText", "x", {"fuzziness": 3}], "top_k": 1}, "fuzziness"),
        ({"rank_by": ["t", "HybridText", "x", {"fuzziness": [3]}], "top_k": 1}, "fuzziness"),
        ({"rank_by": ["t", "HybridText", "?!"], "top_k": 1}, "no words"),
    ],
)
def test_what_makes_no_sense_is_refused_and_not_sent(
    gateway: RunningGateway, upstream: Upstream, body: Any, word: str
) -> None:
    reply = ask(gateway, body)
    assert reply.status == 422
    assert reply.json["error"] == "validation_error"
    assert word in reply.json["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 503])
def test_refusals_of_upstream_are_relayed(
    gateway: RunningGateway, upstream: Upstream, status: int
) -> None:
    said = b'{"status":"error","error":"\xf0\x9f\x92\x94 no"}'
    upstream.script(answer(status, said, [(b"Retry-After", b"3")]))
    reply = ask(gateway, {"vector": [1]})
    assert (reply.status, reply.body) == (status, said)
    assert reply.value(b"retry-after") == b"3"
    assert len(upstream.requests) == 1


# Traces


def test_a_trace_is_kept_or_begun(gateway: RunningGateway) -> None:
    given = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert ask(gateway, {"vector": [1]}, (b"Traceparent", given)).value(b"traceparent") == given
    minted = [ask(gateway, {"vector": [1]}).value(b"traceparent") or b"" for _ in range(2)]
    assert all(re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", each) for each in minted)
    assert minted[0] != minted[1]
    assert ask(gateway, {"vector": [1]}, (b"Traceparent", b"x")).value(b"traceparent") != b"x"


# Pages


def pages(gateway: RunningGateway, body: dict[str, Any], count: int) -> list[list[Any]]:
    got: list[list[Any]] = []
    cursor: bytes | None = None
    for _ in range(count):
        more = {"cursor": cursor.decode()} if cursor else {}
        reply = ask(gateway, body | more)
        got.append([row["id"] for row in reply.json["rows"]])
        cursor = reply.value(b"x-layer-next-cursor")
        if cursor is None:
            break
    return got


@pytest.mark.parametrize(
    ("ranking", "sign"),
    [({"vector": [1]}, 1), ({"rank_by": ["t", "BM25", "x"]}, -1)],
    ids=["distance", "score"],
)
def test_pages_give_each_row_once_and_in_order(
    gateway: RunningGateway, upstream: Upstream, ranking: Any, sign: int
) -> None:
    """Ties, too: rows of one distance come in the order of their ids, whatever upstream's was."""
    found = [(n, sign * (n // 4) / 2 + 10.0) for n in (3, 1, 2, 0, 7, 6, 5, 4, 8)]

    def some(request: Request) -> Step:
        async def act(wire: Any) -> None:
            body = rows(*found[: json.loads(request.body)["top_k"]])
            await answer(200, body).act(wire)

        return Step(act)

    upstream.usual = some
    assert pages(gateway, ranking | {"top_k": 4}, 9) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_a_row_keeps_its_bytes_when_rows_are_put_in_order(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    body = (
        b'{"rows":[{"$dist":1.0,"id":18446744073709551615, "x":1e-7},{"$dist":1.0,"id":2}],'
        b'"billing":{"a": 1.50}}'
    )
    upstream.script(answer(200, body))
    reply = ask(gateway, {"vector": [1], "top_k": 2})
    assert reply.body == (
        b'{"rows":[{"$dist":1.0,"id":2},{"$dist":1.0,"id":18446744073709551615, "x":1e-7}],'
        b'"billing":{"a": 1.50}}'
    )


def test_cursor_of_layer_is_the_last_distance_and_id(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(200, rows(("a", 0.5), ("b", 0.75))))
    reply = ask(gateway, {"vector": [1], "top_k": 2})
    text = (reply.value(b"x-layer-next-cursor") or b"").decode()
    cursor = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert cursor == {"d": 0.75, "id": "b", "n": 2}


def test_rows_in_an_order_of_their_own_stay_in_it(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    body = b'{"rows":[{"id":2,"p":9},{"id":1,"p":3}]}'
    upstream.script(answer(200, body))
    reply = ask(gateway, {"rank_by": ["p", "desc"], "top_k": 2})
    assert reply.body == body
    assert reply.value(b"x-layer-next-cursor") is None


def test_a_large_answer_passes_without_a_cursor(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    body = rows(("a", 0.5), ("b", 0.75), text="x" * 300_000)
    upstream.script(answer(200, body), answer(200, body))
    reply = ask(gateway, {"vector": [1], "top_k": 2})
    assert reply.body == body
    assert reply.value(b"x-layer-warning") == b"cursor_unavailable"
    cursor = base64.urlsafe_b64encode(b'{"d":0.1,"id":"c","n":1}').decode()
    later = ask(gateway, {"vector": [1], "top_k": 2, "cursor": cursor})
    assert later.status == 422
    assert "fewer attributes" in later.json["message"]


# Nearest to documents


def test_one_document_is_searched_by_with_the_bytes_of_its_vector(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(200, b'{"rows":[{"id":"a","vector":[1.50, 2e0]}]}'), answer(200, ROWS))
    assert ask(gateway, {"nearest_to_id": ["a"], "top_k": 2}).status == 200
    looked, asked = upstream.requests
    assert json.loads(looked.body) == {
        "rank_by": ["id", "asc"],
        "top_k": 1,
        "filters": ["id", "In", ["a"]],
        "include_attributes": ["vector"],
    }
    assert b'"rank_by":["vector","ANN",[1.50, 2e0]]' in asked.body


def test_several_documents_are_searched_by_their_middle(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    vectors = b'{"rows":[{"id":1,"vector":[1.0,2.0]},{"id":2,"vector":[2.0,4.0]}]}'
    upstream.script(answer(400, b"{}"), answer(200, vectors), answer(200, ROWS))
    assert ask(gateway, {"nearest_to_id": ["1", "2"]}).status == 200
    texts, numbers, asked = [json.loads(one.body) for one in upstream.requests]
    # Ids that look like numbers are tried as what they came as, then as the other.
    assert (texts["filters"][2], numbers["filters"][2]) == (["1", "2"], [1, 2])
    assert asked["rank_by"] == ["vector", "ANN", [1.5, 3.0]]


@pytest.mark.parametrize("found", [b'{"rows":[{"id":"a","vector":[1]}]}', b'{"rows":[]}'])
def test_absent_documents_are_named(
    gateway: RunningGateway, upstream: Upstream, found: bytes
) -> None:
    upstream.script(answer(200, found))
    reply = ask(gateway, {"nearest_to_id": ["a", "b", "c"]})
    assert reply.status == 404
    assert "b, c" in reply.json["message"]
    assert len(upstream.requests) == 1


def test_refusal_of_a_look_at_vectors_is_relayed(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(403, b'{"status":"error","error":"no"}'))
    reply = ask(gateway, {"nearest_to_id": ["a"]})
    assert (reply.status, reply.body) == (403, b'{"status":"error","error":"no"}')
