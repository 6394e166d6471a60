"""Servers and clients as processes of their own, and the processor time that each takes.

The servers under measurement share one processor, the client and the Turbopuffer of `peers.c` the
other.
"""

import contextlib
import dataclasses
import os
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.fakes.client import AUTH
from tests.fakes.gateway import clean_environment, wait_until_listening

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


class Load(NamedTuple):
    """What a client saw: how many answers, all of them 200, and how long it waited for them."""

    answers: int
    p50_us: float
    p99_us: float
    p999_us: float


@dataclasses.dataclass
class Measured:
    """Of each round: microseconds of processor time a request, requests a second, and latency."""

    cost_us: list[float] = dataclasses.field(default_factory=list)
    rate: list[float] = dataclasses.field(default_factory=list)
    loads: list[Load] = dataclasses.field(default_factory=list)

    def add(self, spent_s: float, seconds: float, load: Load) -> None:
        self.cost_us.append(spent_s / load.answers * 1e6)
        self.rate.append(load.answers / seconds)
        self.loads.append(load)

    @property
    def tail(self) -> float:
        """How many times the median the 99th percentile is, in the best round.

        The machine's other programs can only lengthen it.
        """
        return min(load.p99_us / load.p50_us for load in self.loads)

    def line(self) -> str:
        cost, low, high = statistics.median(self.cost_us), min(self.cost_us), max(self.cost_us)
        line = f"{cost:8.1f} [{low:.1f}..{high:.1f}] us  {statistics.median(self.rate):8.0f} req/s"
        return f"{line}  p99/p50 {self.tail:.2f}" if self.loads else line


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


def drive(peers: str, port: int, connections: int, seconds: float, request: Path) -> Load:
    """Keep the connections busy."""
    words = [peers, "drive", str(port), str(connections), str(seconds), str(request)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    pin(process.pid, 1)
    output, _ = process.communicate(timeout=seconds + 30)
    if process.returncode:
        raise RuntimeError(f"a load of {connections} connections failed")
    numbers = output.split()[1::2]
    return Load(int(numbers[0]), *map(float, numbers[1:]))
