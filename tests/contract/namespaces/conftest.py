"""A gateway in front of a simulator, for what needs more than one scripted answer."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.contract.namespaces.calling import Caller
from tests.fakes.gateway import (
    RunningGateway,
    clean_environment,
    running_gateway,
    wait_until_listening,
)
from tests.fakes.upstream import unused_port


@pytest.fixture(scope="session")
def simulator_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = unused_port()
    log = tmp_path_factory.mktemp("simulator") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "hevfast", "simulate", "--port", str(port)],
            env=clean_environment(),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_listening(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def live(simulator_url: str, gateway_settings: dict[str, str]) -> Iterator[RunningGateway]:
    """A gateway with a simulator behind it."""
    with running_gateway(simulator_url, **gateway_settings) as running:
        yield running


@pytest.fixture
def caller(live: RunningGateway) -> Caller:
    return Caller(live)
