"""The process: starting, options, stopping."""

import json
import signal
import subprocess
import sys

import pytest
import turbopuffer

from .conftest import ROOT, Wire, free_port, running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulator_stops_cleanly_on_a_signal(number: int) -> None:
    port = free_port()
    with running(port, "--fail", "503:1", "--seed", "1") as process:
        status, _, body = Wire(port).call("POST", "/v2/namespaces/a", {"upsert_rows": [{"id": 1}]})
        assert (status, json.loads(body)["status"]) == (503, "error")
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


def test_port_of_another_simulator_is_refused_without_a_trace(port: int) -> None:
    # The session's simulator holds the port, in a way that others may share.
    found = subprocess.run(
        [sys.executable, "-m", "hevfast.simulator", "--port", str(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert found.returncode == 1
    assert f"cannot listen on http://127.0.0.1:{port}" in found.stderr
    assert "Traceback" not in found.stderr


def test_null_mode_takes_writes_of_the_client_and_stops_cleanly() -> None:
    port = free_port()
    with running(port, "--null", "--null-rows", "3") as process:
        url = f"http://127.0.0.1:{port}"
        with turbopuffer.Turbopuffer(base_url=url, api_key="any", max_retries=0) as client:
            for _ in range(3):
                written = client.namespace("a").write(upsert_rows=[{"id": 1, "vector": [0.5]}])
                assert (written.status, written.rows_affected) == ("OK", 3)
            with pytest.raises(turbopuffer.NotFoundError):
                client.namespace("a").schema()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
