"""Two gateways' stores on one cluster."""

from collections.abc import AsyncIterator

import pytest

from hevfast.cache.aerospike_store import AerospikeStore
from tests.unit.cache.aerospike_stage import Host, opened


@pytest.fixture(autouse=True)
def patient(patience: None) -> None:
    """What happens when time is up is tested with faults."""


@pytest.fixture
async def store(hosts: list[Host], set_prefix: str) -> AsyncIterator[AerospikeStore]:
    async with opened(hosts, set_prefix) as first:
        yield first


@pytest.fixture
async def other(hosts: list[Host], set_prefix: str) -> AsyncIterator[AerospikeStore]:
    async with opened(hosts, set_prefix) as second:
        yield second
