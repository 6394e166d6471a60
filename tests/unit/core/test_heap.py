"""Freed memory: kept if it will be needed again at once, given back if it is much."""

import subprocess
import sys

PROGRAM = """
import resource
from hevfast.core.heap import keep_freed_blocks

def faults_of(size, times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        bytes(bytearray(size))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

before = faults_of(400_000, 20)
kept = keep_freed_blocks()
faults_of(400_000, 3)
after = faults_of(400_000, 20)
start = resident()
large = [bytes([1]) * (40 << 20) for _ in range(4)]
peak = resident() - start
del large
print(kept, before, after, peak, resident() - start)
"""


def test_common_bodies_cost_no_page_faults_and_large_ones_are_given_back() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    kept, before, after, peak, left = run.stdout.split()
    if sys.platform == "linux":
        assert kept == "True"
    assert int(before) > 20 * 90
    assert int(after) < 20
    assert int(peak) > 150 << 20
    assert int(left) < 4 << 20
