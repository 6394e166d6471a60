"""What a write costs the gateway: processor time a request, each way to Turbopuffer in turn.

    python -m bench.request.write_cost [--connections 64 8] [--seconds 2] [--rounds 4] [--body NAME]

Real processes over loopback: a client and a Turbopuffer in C (`peers.c`) on one processor, the
gateway on another, its cache off. Ways are measured in alternation, and compared within one run.
"floor" is an application that reads the body and answers, served the same way without a gateway.
"""

import argparse
import contextlib
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import bodies
from tests.fakes.client import AUTH, request_bytes
from tests.fakes.gateway import clean_environment, wait_until_listening
from tests.fakes.upstream import unused_port

WAYS = ("floor", "direct", "session")

# What an official client sends, so that there are as many headers to pass on as there would be.
HEADERS = [
    AUTH,
    (b"Content-Type", b"application/json"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
    (b"User-Agent", b"Turbopuffer/Python 3.1.0"),
    (b"X-Stainless-Lang", b"python"),
    (b"X-Stainless-Retry-Count", b"0"),
]

GRANIAN = ("--interface", "asgi", "--loop", "uvloop", "--runtime-mode", "st", "--no-ws")


@dataclasses.dataclass
class Measured:
    """Microseconds of processor time a request, and requests a second, of each round."""

    cost_us: list[float] = dataclasses.field(default_factory=list)
    rate: list[float] = dataclasses.field(default_factory=list)

    def line(self) -> str:
        cost, low, high = statistics.median(self.cost_us), min(self.cost_us), max(self.cost_us)
        return f"{cost:8.1f} [{low:.1f}..{high:.1f}] us  {statistics.median(self.rate):8.0f} req/s"


@contextlib.contextmanager
def started(words: list[str], port: int, folder: Path, **settings: str) -> Iterator[int]:
    """Start a server; give the id of its process."""
    log = folder / f"log-{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, env=clean_environment(**settings), stdout=output, stderr=output
        )
    try:
        wait_until_listening(process, port, log)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def compiled(folder: Path) -> str:
    program = folder / "peers"
    source = Path(__file__).with_name("peers.c")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", program, source], check=True)
    return str(program)


def processor_s(parent: int) -> float:
    """Give the processor time of a process and its children, threads included, in seconds."""
    spent = 0
    for process in [parent, *_children(parent)]:
        for task in Path(f"/proc/{process}/task").iterdir():
            spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


def _children(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def pin(process: int, processor: int) -> None:
    """Keep a process and its children on one processor, if there are several."""
    own = sorted(os.sched_getaffinity(0))
    chosen = {own[processor % len(own)]}
    for each in [process, *_children(process)]:
        for task in Path(f"/proc/{each}/task").iterdir():
            os.sched_setaffinity(int(task.name), chosen)


@contextlib.contextmanager
def servers(
    folder: Path, peers: str, ways: tuple[str, ...]
) -> Iterator[dict[str, tuple[int, int]]]:
    """Start the stub and one server a way; give port and process of each."""
    with contextlib.ExitStack() as stack:
        upstream = unused_port()
        stub = stack.enter_context(started([peers, "stub", str(upstream)], upstream, folder))
        pin(stub, 1)
        running = {}
        for way in ways:
            port = unused_port()
            words = [sys.executable, "-m", "hevfast", "serve"]
            settings = {"HEVFAST_CACHE": "off", "PORT": str(port)}
            settings["TPUF_URL"] = f"http://127.0.0.1:{upstream}"
            if way == "floor":
                words = [sys.executable, "-m", "granian", *GRANIAN, "--port", str(port)]
                words.append("bench.request.floor:app")
            else:
                settings["HEVFAST_UPSTREAM_CLIENT"] = way
            process = stack.enter_context(started(words, port, folder, **settings))
            pin(process, 0)
            running[way] = (port, process)
        yield running


def drive(peers: str, port: int, connections: int, seconds: float, request: Path) -> int:
    """Keep the connections busy; give how many answers came, all of them 200."""
    words = [peers, "drive", str(port), str(connections), str(seconds), str(request)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    pin(process.pid, 1)
    output, _ = process.communicate(timeout=seconds + 30)
    if process.returncode:
        raise RuntimeError(f"a load of {connections} connections failed")
    return int(output.split()[1])


def measure(
    body: bytes,
    connections: list[int],
    seconds: float,
    rounds: int,
    ways: tuple[str, ...] = WAYS,
) -> dict[int, dict[str, Measured]]:
    """Give the cost of a write of `body` by number of connections and way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        request = folder / "request"
        request.write_bytes(request_bytes("POST", "/v2/namespaces/bench", body, HEADERS))
        peers = compiled(folder)
        result = {count: {way: Measured() for way in ways} for count in connections}
        with servers(folder, peers, ways) as running:
            for port, _ in running.values():
                drive(peers, port, max(connections), min(seconds, 0.5), request)
            for _ in range(rounds):
                for count in connections:
                    for way, (port, process) in running.items():
                        before = processor_s(process)
                        answers = drive(peers, port, count, seconds, request)
                        spent = processor_s(process) - before
                        result[count][way].cost_us.append(spent / answers * 1e6)
                        result[count][way].rate.append(answers / seconds)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 8])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--body", choices=sorted(bodies.SHAPES), default="row1_1500b")
    given = parser.parse_args()
    body = bodies.body(given.body)
    print(f"{given.body}, {len(body)} bytes; {given.rounds} rounds of {given.seconds:g} s")
    result = measure(body, given.connections, given.seconds, given.rounds)
    for count, ways in result.items():
        for way, measured in ways.items():
            print(f"{count:4} connections  {way:8} {measured.line()}")


if __name__ == "__main__":
    main()
