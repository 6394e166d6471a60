"""What a cached document costs: processor time a request, beside a bare answer of the same bytes.

    python -m bench.request.fetch_cost [--connections 64] [--seconds 2] [--rounds 5] [--rows 1 100]
                                       [--free]

Real processes over loopback: a client and a Turbopuffer in C (`peers.c`) on one processor, a
gateway with its cache on LMDB on another. "bare" is an application that answers with the very
headers and bytes that the gateway answered with, on the same server with the same options. Both are
measured in alternation within one run; the ratio is that of neighbouring rounds.

With `--free` the two servers may use every processor. The loop and the server's own thread then
take the interpreter's lock from each other wherever it is let go of, and LMDB's library lets go of
it for each look: that costs more than all else about a hit.
"""

import argparse
import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.request.processes import GRANIAN, HEADERS, compiled, drive, pin, processor_s, started
from tests.fakes.client import Client, Reply, request_bytes
from tests.fakes.upstream import unused_port

_PATH = "/v2/namespaces/bench"
# What an official client sends with every request, a body's type left out.
_HEADERS = [pair for pair in HEADERS if pair[0] != b"Content-Type"]
_TEXT = "A forest of kelp grows half a metre a day. " * 4


@dataclasses.dataclass
class Measured:
    """Microseconds of processor time a request of each round, of the gateway and of a bare answer.

    The first round of each is not counted: it warms up.
    """

    hit_us: list[float] = dataclasses.field(default_factory=list)
    bare_us: list[float] = dataclasses.field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [hit / bare for hit, bare in zip(self.hit_us, self.bare_us, strict=True)]

    def line(self) -> str:
        parts = [
            f"{name} {statistics.median(each):.2f} [{min(each):.2f}..{max(each):.2f}]"
            for name, each in (("hit", self.hit_us), ("bare", self.bare_us), ("ratio", self.ratios))
        ]
        return "  ".join(parts)


def asked_for(rows: int) -> tuple[str, str, bytes | None]:
    """Give method, target and body of a fetch: of one document, or of several at once."""
    if rows == 1:
        return "GET", f"{_PATH}/documents/doc-0", None
    body = json.dumps({"ids": [f"doc-{n}" for n in range(rows)]}).encode()
    return "POST", f"{_PATH}/documents", body


def hit(client: Client, rows: int) -> Reply:
    """Fetch, and make sure that it is a hit with all rows in it."""
    reply = client.ask(*asked_for(rows), _HEADERS)
    assert (reply.status, reply.value(b"x-layer-cache")) == (200, b"hit"), reply
    assert reply.body.count(_TEXT.encode()) == rows, reply
    return reply


@contextlib.contextmanager
def gateway(folder: Path, peers: str, rows: int, pinned: bool) -> Iterator[tuple[Client, int]]:
    """Start a gateway that has documents in its cache; give a client for it and its process."""
    upstream, port = unused_port(), unused_port()
    settings = {
        "PORT": str(port),
        "TPUF_URL": f"http://127.0.0.1:{upstream}",
        "HEVFAST_CACHE": "lmdb",
        "HEVFAST_DATA_DIR": str(folder),
    }
    words = [sys.executable, "-m", "hevfast", "serve"]
    with (
        started([peers, "stub", str(upstream)], upstream, folder) as stub,
        started(words, port, folder, **settings) as process,
    ):
        pin(stub, 1)
        if pinned:
            pin(process, 0)
        written = [{"id": f"doc-{n}", "n": n, "text": _TEXT} for n in range(rows)]
        client = Client(port)
        body = json.dumps({"upsert_rows": written}).encode()
        assert client.ask("POST", _PATH, body, _HEADERS).status == 200
        yield client, process


@contextlib.contextmanager
def bare(folder: Path, reply: Reply, pinned: bool) -> Iterator[tuple[Client, int]]:
    """Start an application that always gives this answer."""
    # The server puts the date in front of every answer.
    headers = [(n.decode(), v.decode()) for n, v in reply.headers if n != b"date"]
    answer = folder / "answer"
    answer.write_text(json.dumps({"headers": headers, "body": reply.body.decode()}))
    port = unused_port()
    words = [sys.executable, "-m", "granian", *GRANIAN, "--port", str(port)]
    words.append("bench.request.same_answer:app")
    with started(words, port, folder, BENCH_ANSWER=str(answer)) as process:
        if pinned:
            pin(process, 0)
        yield Client(port), process


def measure(
    rows: int, connections: int, seconds: float, rounds: int, *, pinned: bool = True
) -> Measured:
    """Give the cost of a fetch of so many documents, all of them cached."""
    measured = Measured()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        peers = compiled(folder)
        request = folder / "request"
        method, target, body = asked_for(rows)
        request.write_bytes(request_bytes(method, target, body, _HEADERS))
        client, process = stack.enter_context(gateway(folder, peers, rows, pinned))
        reply = hit(client, rows)
        stand_in, bare_process = stack.enter_context(bare(folder, reply, pinned))
        assert stand_in.ask(method, target, body, _HEADERS).body == reply.body
        sides = (
            (client.port, process, measured.hit_us),
            (stand_in.port, bare_process, measured.bare_us),
        )
        for number in range(rounds + 1):
            for port, server, costs in sides:
                before = processor_s(server)
                answers = drive(peers, port, connections, seconds, request).answers
                if number:
                    costs.append((processor_s(server) - before) / answers * 1e6)
        assert hit(client, rows).body == reply.body
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--free", action="store_true", help="do not keep a server on one processor")
    given = parser.parse_args()
    print(f"{given.connections} connections, {given.rounds} rounds of {given.seconds:g} s; us")
    for rows in given.rows:
        measured = measure(
            rows, given.connections, given.seconds, given.rounds, pinned=not given.free
        )
        print(f"{rows:4} documents  {measured.line()}")


if __name__ == "__main__":
    main()
