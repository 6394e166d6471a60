"""Ids that upstream would refuse do no harm, even if it does not."""

import json

import pytest

from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream


@pytest.mark.parametrize("size", [1025, 65_535, 65_536, 100_000])
@pytest.mark.parametrize("key", ["upsert_rows", "patch_rows", "deletes"])
def test_a_write_with_a_long_id_is_answered(
    gateway: RunningGateway, upstream: Upstream, key: str, size: int
) -> None:
    one = "x" * size
    body = json.dumps({key: [one if key == "deletes" else {"id": one, "t": 1}]}).encode()
    assert gateway.write(body).status == 200
