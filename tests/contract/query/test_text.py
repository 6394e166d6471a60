"""Queries by text: their legs, how their ranks are fused, and which way Auto takes."""

import json

import pytest

from tests.contract.query.test_shapes import EVENTUAL, ask, rows, sent
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream, answer


def legs(*each: list[int]) -> bytes:
    results = [
        {"rows": [{"$dist": 1.0, "id": n, "t": f"text {n}"} for n in names]} for names in each
    ]
    return json.dumps({"results": results, "billing": {"b": 1}, "performance": {}}).encode()


def test_hybrid_text_fuses_the_ranks_of_text_and_words(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(200, legs([1, 2], [2, 3], [2])))
    query = {"rank_by": ["t", "HybridText", "Tide, tables; tide"], "top_k": 2, "filters": ["a"]}
    reply = ask(gateway, query | {"include_leg_breakdown": True})
    common = {"top_k": 50, "filters": ["a"]}
    assert sent(upstream) == {
        "queries": [
            common | {"rank_by": ["t", "BM25", text]}
            for text in ("Tide, tables; tide", "tide", "tables")
        ],
        "consistency": EVENTUAL,
    }
    first, second = reply.json["rows"]
    assert (first["id"], first["t"]) == (2, "text 2")
    assert first["$dist"] == pytest.approx(1 / 62 + 1 / 61 + 1 / 61)
    assert [leg["leg"] for leg in first["$legs"]] == [0, 1, 2]
    assert second["id"] == 1
    assert reply.json["hybrid"] == {
        "tokens": ["tide", "tables"],
        "tokens_dropped": 0,
        "fuzziness": 0,
        "rank_constant": 60,
        "legs": 3,
        "per_leg_limit": 50,
    }
    assert reply.json["billing"] == {"b": 1}
    assert "routing" not in reply.json


def test_hybrid_text_has_fifteen_words_and_two_hundred_rows_a_leg_at_most(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(200, legs([1])))
    text = " ".join(f"w{n}" for n in range(20))
    query = {"rank_by": ["t", "HybridText", text, {"fuzziness": "auto"}], "top_k": 100}
    reply = ask(gateway, query)
    asked = sent(upstream)["queries"]
    assert len(asked) == 16
    assert {leg["top_k"] for leg in asked} == {200}
    assert asked[1]["rank_by"][0] == "Sum"
    assert asked[1]["rank_by"][1][1][1] == "Fuzzy"
    assert reply.json["hybrid"]["tokens_dropped"] == 5
    assert reply.value(b"x-layer-warning") == b"tokens_dropped"


@pytest.mark.parametrize(
    ("words", "route", "count", "embeds"),
    [(2, "hybrid_text", 3, False), (3, "fused", 5, True), (8, "semantic", 1, True)],
)
def test_auto_goes_by_the_number_of_words(
    gateway: RunningGateway, upstream: Upstream, words: int, route: str, count: int, embeds: bool
) -> None:
    text = " ".join(f"w{n}" for n in range(words))
    upstream.script(answer(200, legs([1]) if count > 1 else rows((1, 0.5))))
    reply = ask(gateway, {"rank_by": ["t", "Auto", text, {"vector": "v"}], "top_k": 5})
    seen = sent(upstream)
    asked = seen.get("queries", [seen])
    assert len(asked) == count
    assert (["v", "ANN", ["Embed", text]] in [leg["rank_by"] for leg in asked]) is embeds
    assert [row["id"] for row in reply.json["rows"]] == [1]
    assert reply.json["routing"] == {
        "route": route,
        "policy": "tokens",
        "tokens": words,
        "executed": True,
    }
    assert ("hybrid" in reply.json) is (route != "semantic")


def test_answer_to_legs_that_cannot_be_read_is_a_502(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(200, b'{"results":[{"rows":[{}]}]}'))
    reply = ask(gateway, {"rank_by": ["t", "HybridText", "x"], "top_k": 5})
    assert reply.status == 502
    assert reply.json["error"] == "upstream_error"
