"""The official client, unmodified, in both its major versions, does the main job."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.gateway import clean_environment
from tests.integration.test_sdk import base_url

__all__ = ["base_url"]

ROOT = Path(__file__).parents[2]
# Where `make build` puts the earlier major version, beside the environment's own packages.
EARLIER = ROOT / ".venv" / "clients" / "turbopuffer-2.8"
SCRIPT = Path(__file__).with_name("client_life.py")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("version", "path"), [("3.", None), ("2.8.", EARLIER)])
def test_upserts_patches_deletes_and_queries(
    base_url: str, version: str, path: Path | None
) -> None:
    """10,000 rows of 768 floats in rows and in columns form; all read back with their stamps."""
    environment = clean_environment(**({"PYTHONPATH": str(path)} if path else {}))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), base_url],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"turbopuffer {version}")
    assert "good" in done.stdout
