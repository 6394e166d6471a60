"""The gateway under test: the real program, its workers, and their violent ends."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.fakes.gateway import STOP_S, clean_environment, wait_until_listening
from tests.fakes.upstream import unused_port
from tests.history.line import KEY
from tests.history.upstream import DOUBT_MS, READ_TIMEOUT_MS, TOTAL_TIMEOUT_MS

# Seconds. A worker is ready long before; and how often one looks.
_STARTED_S: Final = 1.0
_LOOK_S: Final = 0.05

ROOT = Path(__file__).parent.parent.parent


class GatewayProcess:
    """The parent process, and the port its workers listen on."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.port = port
        self.folder = log.parent
        self._process = process
        self._log = log
        self._seen: dict[int, float] = {}

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def workers(self) -> list[int]:
        """Give the living workers, the ones first seen first."""
        if self.ended:
            return []
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        now = time.monotonic()
        self._seen = {
            pid: self._seen.get(pid, now) for pid in map(int, children) if _is_worker(pid)
        }
        return sorted(self._seen, key=lambda pid: self._seen[pid])

    def age_s(self, worker: int) -> float:
        """Say how long ago a worker was first seen."""
        return time.monotonic() - self._seen.get(worker, time.monotonic())

    def kill(self, worker: int) -> None:
        os.kill(worker, signal.SIGKILL)

    def stop(self) -> None:
        # A worker that is still starting does not hear the signal, and would be waited for in vain.
        while any(self.age_s(each) < _STARTED_S for each in self.workers()):
            time.sleep(_LOOK_S)
        workers = self.workers()
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for each in workers:
                with contextlib.suppress(ProcessLookupError):
                    self.kill(each)
            self._process.kill()
            self._process.wait(STOP_S)


def _is_worker(pid: int) -> bool:
    """Tell workers from the tracker that Python starts beside child processes."""
    try:
        return b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@contextlib.contextmanager
def running(
    upstream_port: int, workers: int, plant: str | None, **settings: str
) -> Iterator[GatewayProcess]:
    """Run the gateway; with a plant, one that breaks a rule of the cache."""
    port = unused_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = clean_environment(
            PORT=str(port),
            TPUF_URL=f"http://127.0.0.1:{upstream_port}",
            TURBOPUFFER_API_KEY=KEY,
            HEVFAST_WORKERS=str(workers),
            HEVFAST_DATA_DIR=folder,
            HEVFAST_DOUBT_MS=str(DOUBT_MS),
            HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS=str(READ_TIMEOUT_MS),
            HEVFAST_UPSTREAM_READ_TIMEOUT_MS=str(READ_TIMEOUT_MS),
            HEVFAST_UPSTREAM_TOTAL_TIMEOUT_MS=str(TOTAL_TIMEOUT_MS),
            **settings,
        )
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(port, workers, plant),
                env=environment | ({"HEVFAST_TEST_PLANT": plant} if plant else {}),
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        gateway = GatewayProcess(process, port, log)
        try:
            wait_until_listening(process, port, log)
            yield gateway
        finally:
            gateway.stop()


def _command(port: int, workers: int, plant: str | None) -> list[str]:
    if plant is None:
        return [sys.executable, "-m", "hevfast", "serve"]
    # As `hevfast serve` does, but with another factory.
    words = ["--interface", "asgi", "--loop", "uvloop", "--runtime-mode", "st", "--no-ws"]
    words += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    words += ["--respawn-failed-workers", "--respawn-interval", "0.1", "--log-level", "warning"]
    words += ["--workers-kill-timeout", "5"]
    return [sys.executable, "-m", "granian", *words, "--factory", "tests.history.planted:build"]
