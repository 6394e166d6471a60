"""The settings that change how writes are stamped."""

import json

import pytest

from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream


@pytest.fixture(scope="module")
def gateway_settings() -> dict[str, str]:
    return {
        "HEVFAST_RESERVED_STAMPS": "overwrite",
        "HEVFAST_SHARD_STAMP": "never",
        "LAYER_SHARD_COUNT": "8",
    }


def test_own_stamps_of_the_client_are_replaced(gateway: RunningGateway, upstream: Upstream) -> None:
    row = {"_hevlayer_upserted_at": 1, "id": 1, "_hevlayer_shard": 99, "a": 2}
    assert gateway.write(json.dumps({"upsert_rows": [row]}).encode()).status == 200
    text = upstream.only.body
    assert text.count(b"_hevlayer_upserted_at") == 1
    got = json.loads(text)["upsert_rows"][0]
    assert got["_hevlayer_upserted_at"] > 1_700_000_000_000
    assert got["a"] == 2


def test_no_shard_is_stamped(gateway: RunningGateway, upstream: Upstream) -> None:
    assert gateway.write(b'{"upsert_rows":[{"id":1}]}').status == 200
    assert list(json.loads(upstream.only.body)["upsert_rows"][0]) == ["_hevlayer_upserted_at", "id"]


def test_other_reserved_names_are_refused_all_the_same(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    assert gateway.write(b'{"upsert_rows":[{"id":1,"_hevlayer_x":1}]}').status == 422
    assert upstream.requests == []
