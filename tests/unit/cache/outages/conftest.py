"""Two gateways' stores on one cluster, which each test breaks in its own way."""

from collections.abc import AsyncIterator, Iterator

import pytest

from hevfast.cache import aerospike_store, breaker
from hevfast.cache.aerospike_store import AerospikeStore
from tests.fakes.aerospike import FakeAerospike
from tests.unit.cache.aerospike_stage import REAL, opened

# A real server can't be made to fail.
collect_ignore_glob = ["test_*.py"] if REAL else []


@pytest.fixture
def node() -> Iterator[FakeAerospike]:
    with FakeAerospike() as running:
        yield running


@pytest.fixture(autouse=True)
def soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "_OPEN_S", 0.05)
    monkeypatch.setattr(aerospike_store, "_PAY_S", 0.02)


@pytest.fixture
async def store(node: FakeAerospike, set_prefix: str) -> AsyncIterator[AerospikeStore]:
    async with opened(node.hosts, set_prefix) as first:
        yield first


@pytest.fixture
async def other(node: FakeAerospike, set_prefix: str) -> AsyncIterator[AerospikeStore]:
    async with opened(node.hosts, set_prefix) as second:
        yield second
