"""What staging costs the gateway: processor time a document, one at a time and in batches.

    python -m bench.request.stage_cost [--connections 64] [--seconds 2] [--rounds 4] [--chunks 4]

Real processes over loopback: a client in C (`peers.c`) on one processor, the gateway with its
embedded store on another. Each document staged singly has an id of its own; batches stage the same
documents anew. "floor" is an application that reads the body and answers, served the same way.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path

from bench.request.processes import (
    GRANIAN,
    Measured,
    compiled,
    drive,
    pin,
    processor_s,
    started,
)
from tests.fakes.client import Client, request_bytes
from tests.fakes.upstream import unused_port

_KEY = "bench"
_HEADERS = [
    (b"Authorization", b"Bearer " + _KEY.encode()),
    (b"Content-Type", b"application/json"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
    (b"User-Agent", b"python-httpx/0.28.1"),
]
_PATH = "/v2/pipelines/bench"

# Bytes of the text of a chunk.
_TEXT_BYTES = 2000

WAYS = ("floor", "single", "batch")


def chunks(document: str, count: int) -> list[dict[str, object]]:
    text = ("A forest of kelp grows half a metre a day. " * 100)[:_TEXT_BYTES]
    return [{"id": f"{document}-{n}", "text": text, "metadata": {"page": n}} for n in range(count)]


def request_of(way: str, documents: int, count: int) -> bytes:
    """Give the request that is sent over and over."""
    if way == "batch":
        body = [{"id": f"b-{n}", "chunks": chunks(f"b-{n}", count)} for n in range(documents)]
        plain = json.dumps({"documents": body}).encode()
        return request_bytes("POST", f"{_PATH}/documents", plain, _HEADERS)
    plain = json.dumps({"chunks": chunks("d", count)}).encode()
    return request_bytes("PUT", f"{_PATH}/documents/d-########", plain, _HEADERS)


def measure(
    connections: int, seconds: float, rounds: int, documents: int, count: int
) -> dict[str, Measured]:
    """Give the cost of a document by way; `documents` are those of a batch."""
    result = {way: Measured() for way in WAYS}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        peers = compiled(folder)
        port, floor_port = unused_port(), unused_port()
        settings = {
            "HEVFAST_CACHE": "off",
            "HEVFAST_DATA_DIR": str(folder),
            "PORT": str(port),
            "TURBOPUFFER_API_KEY": _KEY,
        }
        serve = [sys.executable, "-m", "hevfast", "serve"]
        gateway = stack.enter_context(started(serve, port, folder, **settings))
        words = [sys.executable, "-m", "granian", *GRANIAN, "--port", str(floor_port)]
        words.append("bench.floors.bare:app")
        floor = stack.enter_context(started(words, floor_port, folder))
        for process in (gateway, floor):
            pin(process, 0)
        client = Client(port)
        body = json.dumps({"id": "bench", "target_namespace": "bench"}).encode()
        assert client.ask("POST", "/v2/pipelines", body, _HEADERS).status == 201
        for number in range(rounds + 1):
            for way in WAYS:
                request = folder / way
                request.write_bytes(request_of(way, documents, count))
                server, at = (floor, floor_port) if way == "floor" else (gateway, port)
                many = documents if way == "batch" else 1
                some = min(connections, 4) if way == "batch" else connections
                before = processor_s(server)
                staged = drive(peers, at, some, seconds, request).answers * many
                spent = processor_s(server) - before
                if number:
                    result[way].cost_us.append(spent / staged * 1e6)
                    result[way].rate.append(staged / seconds)
        assert client.ask("GET", f"{_PATH}/documents/b-0/chunks", None, _HEADERS).status == 200
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--documents", type=int, default=1000, help="in a batch")
    parser.add_argument("--chunks", type=int, default=4, help="in a document")
    given = parser.parse_args()
    size = given.chunks * _TEXT_BYTES
    print(f"documents of {size} bytes of text; {given.rounds} rounds of {given.seconds:g} s")
    result = measure(given.connections, given.seconds, given.rounds, given.documents, given.chunks)
    for way, measured in result.items():
        print(f"{way:8} {measured.line()}")


if __name__ == "__main__":
    main()
