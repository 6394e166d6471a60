"""Turbopuffer's own client, unmodified, through the gateway to the simulator."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("hevfast.simulator.command", reason="the simulator is not installed")
turbopuffer = pytest.importorskip("turbopuffer", reason="the client is not installed")

from tests.fakes.gateway import clean_environment, running_gateway, wait_until_listening  # noqa: E402
from tests.fakes.upstream import unused_port  # noqa: E402

STAMP = "_hevlayer_upserted_at"


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulated(tmp_path_factory.mktemp("simulator")) as url:
        yield url


@contextmanager
def simulated(folder: Path, **settings: str) -> Iterator[str]:
    """Have a gateway in front of the simulator; give its URL."""
    port = unused_port()
    log = folder / "log"
    with log.open("wb") as output:
        simulator = subprocess.Popen(
            [sys.executable, "-m", "hevfast", "simulate", "--port", str(port)],
            env=clean_environment(),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_listening(simulator, port, Path(log))
        with running_gateway(f"http://127.0.0.1:{port}", **settings) as gateway:
            yield f"http://127.0.0.1:{gateway.port}"
    finally:
        simulator.terminate()
        simulator.wait(20)


@pytest.mark.parametrize("compression", [False, True])
def test_life_of_a_namespace(base_url: str, compression: bool) -> None:
    with turbopuffer.Turbopuffer(
        api_key="tpuf_any", base_url=base_url, compression=compression, max_retries=0
    ) as client:
        namespace = client.namespace(f"sdk-{compression}")
        assert not namespace.exists()
        written = namespace.write(
            upsert_rows=[
                {"id": n, "vector": [float(n), 1.5], "title": f"title {n}" * 20}
                for n in range(1, 101)
            ],
            distance_metric="euclidean_squared",
        )
        assert written.rows_affected == 100
        assert namespace.exists()
        assert namespace.write(patch_rows=[{"id": 7, "title": "new"}]).rows_affected == 1
        assert namespace.write(deletes=[100]).rows_affected == 1
        found = namespace.query(
            rank_by=("vector", "ANN", [7.0, 1.5]), top_k=3, include_attributes=["title", STAMP]
        )
        assert [row.id for row in found.rows] == [7, 6, 8]
        assert found.rows[0]["title"] == "new"
        assert found.rows[0][STAMP] >= found.rows[1][STAMP]
        assert STAMP in namespace.schema()
        copy = client.namespace(f"copy-{compression}")
        copy.write(copy_from_namespace=namespace.id)
        listed = [entry.id for entry in client.namespaces(prefix="copy-")]
        assert copy.id in listed
        for each in (namespace, copy):
            each.delete_all()
        assert not namespace.exists()


def test_errors_of_the_gateway_are_understood(base_url: str) -> None:
    with turbopuffer.Turbopuffer(api_key="any", base_url=base_url, max_retries=0) as client:
        namespace = client.namespace("errors")
        with pytest.raises(turbopuffer.UnprocessableEntityError, match="validation_error"):
            namespace.write(upsert_rows=[{"id": 1, "_hevlayer_x": 1}])
        with pytest.raises(turbopuffer.NotFoundError):
            namespace.query(rank_by=("id", "asc"), top_k=1)
