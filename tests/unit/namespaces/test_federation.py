"""Rows of many namespaces in one order, against sorting all of them at once."""

import json
import random
from typing import Any

import msgspec
import pytest

from hevfast.core.errors import GatewayError
from hevfast.namespaces.federation import Merge, query_body, read_federated

decode = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


def asked(**members: Any) -> Any:
    body = {"namespaces": ["a"], "vector": [1.0], **members}
    return read_federated(json.dumps(body).encode(), 512)


def given(rows: object) -> list[dict[str, msgspec.Raw]]:
    return decode(json.dumps(rows).encode())


def merged(asked: Any, found: dict[str, list[dict[str, Any]]], order: list[str]) -> list[Any]:
    """Merge, the namespaces taken in this order; give what each row is and where it is from."""
    merge = Merge(asked)
    places = {name: place for place, name in enumerate(found)}
    for name in order:
        merge.take(places[name], name, given(found[name]))
    rows = json.loads(msgspec.json.encode(merge.rows()))
    return [(row["$namespace"], row["id"]) for row in rows]


@pytest.mark.parametrize("seed", range(30))
def test_any_order_of_answers_gives_what_sorting_all_gives(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"n{n}" for n in range(rng.randint(1, 6))]
    found = {}
    for name in names:
        # Few distances, so that many are equal.
        distances = sorted(rng.randint(0, 4) / 2 for _ in range(rng.randint(0, 8)))
        found[name] = [{"id": n, "$dist": distance} for n, distance in enumerate(distances)]
    fusion = rng.choice([{}, {"fusion": {"rank_constant": rng.randint(1, 60)}}])
    wanted = asked(top_k=rng.randint(1, 12), **fusion)
    keys = []
    for place, name in enumerate(names):
        for rank, row in enumerate(found[name][: wanted.rows_each], start=1):
            key = -1 / (wanted.rank_constant + rank) if fusion else row["$dist"]
            keys.append((key, place, rank, name, row["id"]))
    expected = [(name, row) for _, _, _, name, row in sorted(keys)[: wanted.rows_wanted]]
    for _ in range(4):
        rng.shuffle(names)
        assert merged(wanted, found, names) == expected


def test_the_marker_takes_nobodys_place() -> None:
    rows = [{"id": "_hevlayer:namespace_meta", "$dist": 0.0}]
    rows += [{"id": n, "$dist": float(n)} for n in range(3)]
    assert merged(asked(top_k=3), {"a": rows}, ["a"]) == [("a", 0), ("a", 1), ("a", 2)]


@pytest.mark.parametrize("distance", [{}, {"$dist": None}, {"$dist": "near"}])
def test_a_row_without_distance_is_upstreams_fault(distance: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as caught:
        Merge(asked()).take(0, "a", given([{"id": 1, **distance}]))
    assert caught.value.code == "upstream_error"


def test_one_cut_and_the_callers_filters_are_joined() -> None:
    sent = json.loads(query_body(asked(filters=["n", "Eq", 1], as_of=5), 7))
    stamp = "_hevlayer_upserted_at"
    assert sent["filters"] == ["And", [["n", "Eq", 1], [stamp, "Lte", 5], [stamp, "Lte", 7]]]
    assert sent["consistency"] == {"level": "eventual"}
    assert sent["rank_by"] == ["vector", "ANN", [1.0]]
    assert "filters" not in json.loads(query_body(asked(), None))
