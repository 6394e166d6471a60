"""No query at a watermark shows half a write, while the index takes in rows in no order."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.query.test_cut import LAYERS, PATH, QUICK, WAIT_S, write
from tests.fakes.client import Reply, request_bytes
from tests.fakes.gateway import RunningGateway, running_gateway, wait_until_listening
from tests.fakes.lagging import STAMP, Lagging
from tests.fakes.upstream import Upstream, running_upstream, unused_port


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


class Judged:
    """Writers and readers of one namespace, and what the readers saw that must not be.

    Of a write of five rows a cut shows all or none, and no client's watermark goes back.
    """

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.faults: list[str] = []
        self.cut = 0
        self.raised = 0

    def run(self) -> None:
        threads = [threading.Thread(target=self._write, args=(n,)) for n in range(3)]
        threads += [threading.Thread(target=self._query) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self.faults
        assert self.cut > 20
        assert self.raised > 2

    def _write(self, writer: int) -> None:
        for batch in range(40):
            first = writer * 10_000 + batch * 5
            write(self.gateway, *range(first, first + 5), batch=f"{writer}/{batch}")

    def _query(self) -> None:
        last = 0
        with self.gateway.connect() as one, self.gateway.connect() as other:
            for number in range(400):
                connection = (one, other)[number % 2]
                connection.send(request_bytes("POST", PATH, json.dumps(LAYERS).encode()))
                reply = connection.receive()
                moment = int(reply.value(b"x-layer-stable-as-of") or 0)
                if moment < last:
                    self.faults.append(f"from {last} back to {moment}")
                self.raised += moment > last
                last = moment
                self._judge(reply, moment)

    def _judge(self, reply: Reply, moment: int) -> None:
        rows = json.loads(reply.body)["rows"]
        if not moment or any(row[STAMP] > moment for row in rows):
            return
        self.cut += 1
        sizes: dict[str, int] = {}
        for row in rows:
            sizes[row["batch"]] = sizes.get(row["batch"], 0) + 1
        self.faults += [f"{size} rows of {name}" for name, size in sizes.items() if size != 5]


def test_no_cut_shows_half_a_write_and_no_client_sees_it_go_back(upstream: Upstream) -> None:
    """Over two workers, while rows are written, and indexed by and by in no order."""
    lagging = Lagging(upstream, seed=7)
    done = threading.Event()

    def indexes() -> None:
        while not done.wait(0.01):
            lagging.index_some()

    settings = QUICK | {"HEVFAST_WORKERS": "2"}
    with running_gateway(upstream.url, **settings) as gateway:
        indexing = threading.Thread(target=indexes)
        indexing.start()
        try:
            Judged(gateway).run()
        finally:
            done.set()
            indexing.join()


def test_the_same_in_front_of_the_simulator_that_indexes_late(tmp_path: Path) -> None:
    port = unused_port()
    words = ("simulate", "--port", str(port), "--index-lag-ms", "100", "--commit-ms", "1-20")
    log = tmp_path / "simulator"
    with log.open("wb") as output:
        simulator = subprocess.Popen(
            [sys.executable, "-m", "hevfast", *words], stdout=output, stderr=output
        )
    try:
        wait_until_listening(simulator, port, log)
        settings = QUICK | {"HEVFAST_WORKERS": "2"}
        with running_gateway(f"http://127.0.0.1:{port}", **settings) as gateway:
            rows = [
                {"id": n, "vector": [1.0, 2.0], "batch": "first"} for n in range(90_000, 90_005)
            ]
            first = {"upsert_rows": rows, "distance_metric": "euclidean_squared"}
            assert gateway.write(json.dumps(first).encode()).status == 200
            Judged(gateway).run()
    finally:
        simulator.terminate()
        simulator.wait(WAIT_S)
