"""What a write costs the gateway: processor time a request, beside others that do less or worse.

    python -m bench.request.write_cost [--ways WAY ...] [--connections 64 8] [--seconds 2]
                                       [--rounds 4] [--body NAME]

Real processes over loopback: a client and a Turbopuffer in C (`peers.c`) on one processor, one
server after the other on another. Ways are measured in alternation, and compared within one run:

- bare: an application that reads the body and answers, on the gateway's own server
- nginx: a reverse proxy and nothing else, if it is installed
- plain, typed: gateways as one writes them in an afternoon, and in a second one (`bench/floors`)
- off, lmdb: the gateway, without a cache and with that of one host
- session: the gateway without a cache, by aiohttp's own client
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import bodies
from bench.floors import nginx
from bench.request.processes import (
    GRANIAN,
    HEADERS,
    Measured,
    compiled,
    drive,
    pin,
    processor_s,
    started,
)
from tests.fakes.client import request_bytes
from tests.fakes.upstream import unused_port

WAYS = ("bare", "nginx", "plain", "typed", "off", "lmdb", "session")

# Port and process of each way's server.
Running = dict[str, tuple[int, int]]


def command(way: str, folder: Path, port: int, upstream: int) -> tuple[list[str], dict[str, str]]:
    """Give the words that start the server of a way, and its environment."""
    settings = {"TPUF_URL": f"http://127.0.0.1:{upstream}"}
    if way == "nginx":
        return nginx.command(folder, port, upstream), settings
    if way in ("bare", "plain", "typed"):
        words = [sys.executable, "-m", "granian", *GRANIAN, "--port", str(port)]
        return [*words, f"bench.floors.{way}:app"], settings
    settings |= {"PORT": str(port), "HEVFAST_DATA_DIR": str(folder)}
    settings["HEVFAST_CACHE"] = "lmdb" if way == "lmdb" else "off"
    settings["HEVFAST_UPSTREAM_CLIENT"] = "session" if way == "session" else "direct"
    return [sys.executable, "-m", "hevfast", "serve"], settings


@contextlib.contextmanager
def servers(folder: Path, peers: str, ways: Sequence[str]) -> Iterator[Running]:
    """Start the stub and one server a way."""
    with contextlib.ExitStack() as stack:
        upstream = unused_port()
        stub = stack.enter_context(started([peers, "stub", str(upstream)], upstream, folder))
        pin(stub, 1)
        running = {}
        for way in ways:
            port = unused_port()
            words, settings = command(way, folder, port, upstream)
            process = stack.enter_context(started(words, port, folder, **settings))
            pin(process, 0)
            running[way] = (port, process)
        yield running


def measure(
    body: bytes,
    connections: Sequence[int],
    seconds: float,
    rounds: int,
    ways: Sequence[str],
) -> dict[int, dict[str, Measured]]:
    """Give the cost of a write of `body` by number of connections and way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        request = folder / "request"
        # Each time another document: writes of the same one would wait for each other in the cache.
        body = body.replace(b"doc-1", b"########", 1)
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
                        load = drive(peers, port, count, seconds, request)
                        spent = processor_s(process) - before
                        result[count][way].add(spent, seconds, load)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["bare", "off", "session"])
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 8])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--body", choices=sorted(bodies.SHAPES), default="row1_1500b")
    given = parser.parse_args()
    body = bodies.body(given.body)
    print(f"{given.body}, {len(body)} bytes; {given.rounds} rounds of {given.seconds:g} s")
    result = measure(body, given.connections, given.seconds, given.rounds, given.ways)
    for count, ways in result.items():
        for way, measured in ways.items():
            print(f"{count:4} connections  {way:8} {measured.line()}")


if __name__ == "__main__":
    main()
