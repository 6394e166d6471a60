"""One upstream and one gateway for each file of tests."""

from collections.abc import Iterator

import pytest

from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Upstream, running_upstream


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(shared_upstream: Upstream) -> Upstream:
    """An upstream with nothing recorded and an empty script."""
    shared_upstream.script()
    return shared_upstream


@pytest.fixture(scope="module")
def gateway_settings() -> dict[str, str]:
    """What the file's gateway is started with; a file overrides it for settings of its own."""
    return {}


@pytest.fixture(scope="module")
def gateway(
    shared_upstream: Upstream, gateway_settings: dict[str, str]
) -> Iterator[RunningGateway]:
    with running_gateway(shared_upstream.url, **gateway_settings) as running:
        yield running
