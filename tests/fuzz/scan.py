"""Builds the scanner's fuzzer with sanitizers and runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.native.library import EXT, compiled
from tests.native.plants import PLANTS, planted_headers

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
FLAGS = (
    "-std=gnu11",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover",
)
# The sanitizers' own quarantine would cost more than the scanner: blocks are small and many.
SANITIZERS = "quarantine_size_mb=8:detect_stack_use_after_return=0:allocator_may_return_null=1"
PLANT_NAMES = sorted(PLANTS)


def fuzz_scan(seed: int, *, executions: int, seconds: float, canary: str | None = None) -> int:
    """Run the fuzzer with its output on ours, and return its exit status."""
    headers = planted_headers(PLANTS[canary]) if canary else EXT
    program = compiled(HERE / "scan_fuzz.c", FLAGS, headers, "")
    corpus = sorted(str(path) for path in CORPUS.iterdir())
    environment = {**os.environ, "ASAN_OPTIONS": SANITIZERS}
    command = [str(program), str(seed), str(executions), str(seconds), *corpus]
    status = subprocess.run(command, env=environment, check=False).returncode
    if status and canary:
        print(f"(with --canary {canary}, which is planted in {PLANTS[canary].file})")
    return status
