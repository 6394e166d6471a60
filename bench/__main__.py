"""`python -m bench`: what a write costs beside what people would build, with what must hold.

Each case is one interleaved run of all ways (`bench.request.write_cost`). Prints the ratios, adds
one line of JSON to `bench/results/`, and exits 1 if a ratio is not what it must be.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import bodies
from bench.floors import nginx
from bench.request.processes import Measured
from bench.request.write_cost import measure

RESULTS = Path(__file__).parent / "results" / "writes.jsonl"


class Case(NamedTuple):
    """A body, how many connections send it, and the ways compared."""

    body: str
    connections: int
    ways: tuple[str, ...]


class Goal(NamedTuple):
    """`figure` of a case must be at least, or at most, `bound`."""

    case: int
    name: str
    figure: Callable[[dict[str, Measured]], float]
    at_least: bool
    bound: float


def cost(measured: Measured) -> float:
    return statistics.median(measured.cost_us)


def ratio(of: str, to: str) -> Callable[[dict[str, Measured]], float]:
    """Give the median of the ratios of neighbouring rounds."""
    return lambda ways: statistics.median(
        one / other for one, other in zip(ways[of].cost_us, ways[to].cost_us, strict=True)
    )


CASES = (
    Case("row1_1500b", 64, ("bare", "nginx", "plain", "typed", "off", "lmdb")),
    Case("rows100_dim128_float", 16, ("bare", "nginx", "plain", "typed", "off", "lmdb")),
    Case("rows1000_dim768_float", 1, ("bare", "nginx", "plain", "typed", "off", "lmdb")),
    Case("rows1000_dim768_base64", 1, ("bare", "nginx", "plain", "typed", "off", "lmdb")),
    Case("row1_1500b", 16, ("bare", "plain", "off", "lmdb")),
)
GOALS = (
    Goal(0, "1 row: plain / off", ratio("plain", "off"), True, 3.5),
    Goal(0, "1 row: off / bare", ratio("off", "bare"), False, 1.6),
    Goal(0, "1 row: plain / lmdb", ratio("plain", "lmdb"), True, 2.5),
    Goal(1, "100 rows: plain / off", ratio("plain", "off"), True, 6),
    Goal(2, "1000 rows, text: plain / off", ratio("plain", "off"), True, 9),
    Goal(2, "1000 rows, text: off / nginx", ratio("off", "nginx"), False, 2.5),
    Goal(3, "1000 rows, base64: plain / off", ratio("plain", "off"), True, 2.5),
    Goal(4, "1 row, 16 connections: p99 / p50", lambda ways: ways["off"].tail, False, 2.5),
)


def environment() -> dict[str, Any]:
    """Tell what a result can be compared with."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "processor": model[0] if model else platform.machine(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def run(seconds: float, rounds: int) -> bool:
    """Measure all cases; tell whether every goal that could be measured is met."""
    found = []
    for case in CASES:
        ways = [way for way in case.ways if way != "nginx" or nginx.installed()]
        body = bodies.body(case.body)
        measured = measure(body, [case.connections], seconds, rounds, ways)[case.connections]
        found.append(measured)
        print(f"{case.body}, {len(body)} bytes, {case.connections} connections")
        for way, each in measured.items():
            print(f"  {way:6} {each.line()}")
    figures, good = {}, True
    for goal in GOALS:
        if goal.case == 2 and "nginx" in goal.name and not nginx.installed():
            continue
        figure = goal.figure(found[goal.case])
        met = figure >= goal.bound if goal.at_least else figure <= goal.bound
        good &= met
        sign = ">=" if goal.at_least else "<="
        verdict = "ok" if met else "NOT MET"
        print(f"{goal.name:36} {figure:6.2f}  {sign} {goal.bound:<4g} {verdict}")
        figures[goal.name] = round(figure, 3)
    line = environment() | {
        "seconds": seconds,
        "rounds": rounds,
        "figures": figures,
        "costs_us": [
            {way: [round(us, 1) for us in each.cost_us] for way, each in measured.items()}
            for measured in found
        ],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as lines:
        lines.write(json.dumps(line) + "\n")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    return 0 if run(given.seconds, given.rounds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
