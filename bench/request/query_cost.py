"""What a query costs the gateway, beside a write of as many bytes: processor time a request.

    python -m bench.request.query_cost [--connections 64] [--seconds 1] [--rounds 5]

As `write_cost`, with one gateway, its cache off. The queries: in Turbopuffer's own form, passed on
as it is; and in Layer's, put together anew. Of each a small one and one of 1536 numbers.
"""

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path

from bench import bodies
from bench.request.processes import HEADERS, Measured, compiled, drive, processor_s
from bench.request.write_cost import servers
from tests.fakes.client import request_bytes

SHAPES = ("write", "native", "layer", "write 1536", "native 1536", "layer 1536")


def requests() -> dict[str, bytes]:
    """Give the bodies; those of one size have about as many bytes."""
    chance = random.Random(1)
    made = {"write": bodies.body("row1_1500b")}
    for name, count in (("", 64), (" 1536", 1536)):
        vector = [round(chance.uniform(-1, 1), 17) for _ in range(count)]
        filters = ["And", [["shop", "Eq", "north"], ["price", "Lt", 40]]]
        rest = {"filters": filters, "include_attributes": ["title"]}
        native = {"rank_by": ["vector", "ANN", vector], "limit": 10, **rest}
        made[f"native{name}"] = json.dumps(native).encode()
        made[f"layer{name}"] = json.dumps({"vector": vector, "top_k": 10, **rest}).encode()
        row = {"id": 1, "vector": vector, "title": "Tide tables", "price": 40, "shop": "north"}
        made.setdefault(f"write{name}", json.dumps({"upsert_rows": [row]}).encode())
    return made


def measure(connections: int, seconds: float, rounds: int) -> dict[str, Measured]:
    """Give the cost of each request by its shape."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = compiled(folder)
        files = {}
        for number, (shape, body) in enumerate(requests().items()):
            path = "/v2/namespaces/bench" + ("" if shape.startswith("write") else "/query")
            files[shape] = folder / f"request-{number}"
            files[shape].write_bytes(request_bytes("POST", path, body, HEADERS))
        result = {shape: Measured() for shape in SHAPES}
        with servers(folder, peers, ("off",)) as running:
            port, process = running["off"]
            drive(peers, port, connections, min(seconds, 0.5), files["write"])
            for _ in range(rounds):
                for shape in SHAPES:
                    before = processor_s(process)
                    load = drive(peers, port, connections, seconds, files[shape])
                    result[shape].add(processor_s(process) - before, seconds, load)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    result = measure(given.connections, given.seconds, given.rounds)
    for shape, measured in result.items():
        write = result["write 1536" if shape.endswith("1536") else "write"]
        times = statistics.median(measured.cost_us) / statistics.median(write.cost_us)
        print(f"{shape:12} {measured.line()}  {times:.2f} of a write")


if __name__ == "__main__":
    main()
