"""The fuzzer finds nothing in a short run, and does find a planted fault."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.native.plants import PLANTS
from tests.oracle import Kind

SEED = 20_260_101
EXECUTIONS = 200_000
# Seen by the sanitizers, by the comparison of the forms, and by the stripping of stamps.
CANARIES = (
    "read one past the end",
    "UTF-8 cut short by the end",
    "number run loses its carry",
    "stamp without its comma",
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", "scan", "--seed", str(SEED)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def test_short_run_meets_every_kind_of_outcome_and_no_failure() -> None:
    done = run("--executions", str(EXECUTIONS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"seed {SEED}\n")
    seen = {int(kind) for kind in re.findall(r" (\d+):\d+", done.stdout)}
    assert seen == {int(kind) for kind in Kind}


@pytest.mark.parametrize("canary", CANARIES)
def test_planted_fault_is_found_and_its_one_command_finds_it_again(canary: str) -> None:
    assert canary in PLANTS
    done = run("--executions", str(EXECUTIONS), "--canary", canary)
    assert done.returncode != 0
    found = re.search(r"repeat: python -m tests.fuzz scan (--seed \d+ --executions 1)", done.stdout)
    assert found, done.stdout + done.stderr
    again = run(*found[1].split(), "--canary", canary)
    assert again.returncode != 0
