"""A real gateway in its own process."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.client import Client
from tests.fakes.upstream import unused_port

# Seconds. Longest wait for the gateway to listen, and to stop.
START_S = 20.0
STOP_S = 40.0
LOOK_S = 0.02

_OURS = re.compile(r"(HEVFAST|LAYER|TPUF|TURBOPUFFER|AEROSPIKE|CONSISTENCY)_.*|PORT|HOST")

# An upstream that is scripted must not be asked what no script expects.
_QUIET = {"CONSISTENCY_POLL_INTERVAL_MS": "3600000"}


class RunningGateway(Client):
    """The process, and a client for it."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        super().__init__(port)
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_S)


def clean_environment(**settings: str) -> dict[str, str]:
    """Give this process's environment without settings of the gateway, and then these."""
    kept = {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}
    return {**kept, **_QUIET, **settings}


def hevfast(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of hevfast to its end."""
    return subprocess.run(
        [sys.executable, "-m", "hevfast", *words],
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


@contextlib.contextmanager
def running_gateway(upstream_url: str, **settings: str) -> Iterator[RunningGateway]:
    port = unused_port()
    with tempfile.TemporaryDirectory() as folder:
        defaults = {"PORT": str(port), "TPUF_URL": upstream_url, "HEVFAST_DATA_DIR": folder}
        environment = clean_environment(**(defaults | settings))
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "hevfast", "serve"],
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until_listening(process, port, log)
            yield RunningGateway(process, port, log)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(STOP_S)


def wait_until_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the gateway did not start: {log.read_text()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(LOOK_S)
    raise RuntimeError(f"the gateway does not listen: {log.read_text()}")
