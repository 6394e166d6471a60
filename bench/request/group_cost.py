"""What group commit gains behind a slow Turbopuffer, and what it costs in front of a fast one.

    python -m bench.request.group_cost [--connections 64 256] [--seconds 2] [--rounds 5]

Real processes over loopback: client and Turbopuffer on one processor, the gateway on another, its
cache off. Writes of one row each, every one with an id of its own, in one namespace. "gain":
writes a second with commits that take 150 ms, of which 4 are in flight at most; "cost": processor
time a write with a Turbopuffer in C (`peers.c`) that answers at once. In alternation.
"""

import argparse
import contextlib
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import bodies
from bench.request.processes import HEADERS, compiled, drive, pin, processor_s, started
from tests.fakes.client import request_bytes
from tests.fakes.upstream import unused_port

COMMIT_MS = 150
INFLIGHT = 4

WAYS: dict[str, dict[str, str]] = {
    "off": {},
    "on": {"HEVFAST_COALESCE": "on"},
    "on, 4 in flight": {"HEVFAST_COALESCE": "on", "HEVFAST_COALESCE_INFLIGHT": str(INFLIGHT)},
}


@dataclasses.dataclass
class Measured:
    """Of each round: writes a second, and microseconds of processor time a write."""

    rate: list[float] = dataclasses.field(default_factory=list)
    cost_us: list[float] = dataclasses.field(default_factory=list)


def request() -> bytes:
    """A write whose row's id is the number that the driver counts up."""
    body = bodies.body("row1_1500b").replace(b'"doc-1"', b'"########"')
    assert b"########" in body[:100]
    return request_bytes("POST", "/v2/namespaces/bench", body, HEADERS)


@contextlib.contextmanager
def gateways(
    folder: Path, upstream: list[str], port: int, ways: list[str]
) -> Iterator[dict[str, tuple[int, int]]]:
    """Start a Turbopuffer and a gateway a way; give port and process of each."""
    with contextlib.ExitStack() as stack:
        pin(stack.enter_context(started(upstream, port, folder)), 1)
        running = {}
        for way in ways:
            at = unused_port()
            settings = {"HEVFAST_CACHE": "off", "PORT": str(at), **WAYS[way]}
            settings |= {
                "TPUF_URL": f"http://127.0.0.1:{port}",
                "HEVFAST_DATA_DIR": str(folder / str(at)),
                "HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS": "60000",
            }
            words = [sys.executable, "-m", "hevfast", "serve"]
            process = stack.enter_context(started(words, at, folder, **settings))
            pin(process, 0)
            running[way] = (at, process)
        yield running


def measure(
    connections: int, seconds: float, rounds: int, commit_ms: int, ways: list[str]
) -> dict[str, Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = folder / "request"
        asked.write_bytes(request())
        peers, port = compiled(folder), unused_port()
        upstream = [peers, "stub", str(port)]
        if commit_ms:
            slow = "bench.request.slow_upstream"
            upstream = [sys.executable, "-m", slow, str(port), str(commit_ms), str(INFLIGHT)]
        result = {way: Measured() for way in ways}
        with gateways(folder, upstream, port, ways) as running:
            for at, _ in running.values():
                drive(peers, at, connections, 0.1, asked)
            for _ in range(rounds):
                for way, (at, process) in running.items():
                    before, begun_s = processor_s(process), time.monotonic()
                    answers = drive(peers, at, connections, seconds, asked).answers
                    result[way].rate.append(answers / (time.monotonic() - begun_s))
                    spent = processor_s(process) - before
                    result[way].cost_us.append(spent / answers * 1e6)
        return result


def _shown(values: list[float], unit: str) -> str:
    return f"{statistics.median(values):8.1f} [{min(values):.1f}..{max(values):.1f}] {unit}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    for count in given.connections:
        cost = measure(count, given.seconds, given.rounds, 0, ["off", "on"])
        for way, found in cost.items():
            print(f"cost {count:4} connections  {way:16} {_shown(found.cost_us, 'us')}")
        gain = measure(count, 5 * given.seconds, 1, COMMIT_MS, list(WAYS))
        for way, found in gain.items():
            ratio = found.rate[0] / gain["off"].rate[0]
            print(f"gain {count:4} connections  {way:16} {found.rate[0]:8.1f}/s, {ratio:.1f} times")


if __name__ == "__main__":
    main()
