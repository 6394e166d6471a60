"""Turbopuffer's own clients, unmodified: every call of them, against the simulator."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.namespaces.conftest import simulator_url
from tests.fakes.gateway import RunningGateway, clean_environment, running_gateway

pytest.importorskip("turbopuffer", reason="the client is not installed")

__all__ = ["simulator_url"]

ROOT = Path(__file__).parents[3]
# Where `make build` puts the earlier major version, beside the environment's own packages.
EARLIER = ROOT / ".venv" / "clients" / "turbopuffer-2.8"
SCRIPT = Path(__file__).with_name("turbopuffer_calls.py")


@pytest.fixture(scope="module")
def live(simulator_url: str) -> Iterator[RunningGateway]:
    with running_gateway(simulator_url) as running:
        yield running


@pytest.mark.parametrize(("version", "path"), [("3.1", None), ("2.8", EARLIER)])
def test_every_call_of_the_client_does_what_it_should(
    live: RunningGateway, version: str, path: Path | None
) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), f"http://127.0.0.1:{live.port}"],
        env=clean_environment(**({"PYTHONPATH": str(path)} if path else {})),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"turbopuffer {version}")
