"""Turbopuffer's own clients, unmodified: every call of them, against the simulator."""

import os
import shutil
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
# And that for TypeScript, if there is npm.
TYPESCRIPT = ROOT / ".venv" / "clients" / "turbopuffer-ts"
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


def test_every_call_of_the_typescript_client_does_what_it_should(live: RunningGateway) -> None:
    node = shutil.which("node")
    if node is None or not TYPESCRIPT.exists():
        # Only CI must have it; there is no Node.js on every machine.
        assert "CI" not in os.environ, "the TypeScript client is not installed"
        pytest.skip("there is no Node.js, or `make build` found no npm")
    done = subprocess.run(
        [node, str(SCRIPT.with_suffix(".mjs")), str(TYPESCRIPT), f"http://127.0.0.1:{live.port}"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("turbopuffer 2.8")
