"""The process: starting, options, stopping."""

import json
import signal
import socket
import subprocess
import sys

import pytest

from .conftest import ROOT, Wire, free_port, running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulator_stops_cleanly_on_a_signal(number: int) -> None:
    port = free_port()
    with running(port, "--fail", "503:1", "--seed", "1") as process:
        status, _, body = Wire(port).call("POST", "/v2/namespaces/a", {"upsert_rows": [{"id": 1}]})
        assert (status, json.loads(body)["status"]) == (503, "error")
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


def test_taken_port_is_reported_not_traced() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
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
