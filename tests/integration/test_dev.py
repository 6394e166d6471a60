"""`hevfast dev`: a simulator and a gateway from one command."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from tests.fakes.client import Client
from tests.fakes.gateway import clean_environment
from tests.fakes.upstream import unused_port

pytest.importorskip("hevfast.simulator.command", reason="the simulator is not installed")

STOP_S = 20


class Dev:
    def __init__(self, process: "subprocess.Popen[str]", ports: tuple[int, int]) -> None:
        self.process = process
        self.gateway, self.simulator = (Client(port) for port in ports)

    def welcome(self) -> str:
        """Read what is printed until both are up."""
        lines = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                return "".join(lines)
        raise AssertionError("".join(lines))


@contextlib.contextmanager
def running_dev() -> Iterator[Dev]:
    ports = (unused_port(), unused_port())
    words = ["dev", "--port", str(ports[0]), "--simulator-port", str(ports[1])]
    folder = tempfile.mkdtemp()
    process = subprocess.Popen(
        [sys.executable, "-m", "hevfast", *words],
        env=clean_environment(PYTHONUNBUFFERED="1", HEVFAST_DATA_DIR=folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Dev(process, ports)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=STOP_S)
        shutil.rmtree(folder)


def test_printed_lines_work_when_pasted() -> None:
    with running_dev() as dev:
        welcome = dev.welcome()
        assert f"http://127.0.0.1:{dev.gateway.port}" in welcome
        assert f"http://127.0.0.1:{dev.simulator.port}" in welcome
        bodies = re.findall(r"(\S+) -d '(.*)'", welcome)
        assert len(bodies) == 2
        replies = []
        for url, body in bodies:
            path = url.split(str(dev.gateway.port))[1]
            replies.append(dev.gateway.ask("POST", path, body.encode()))
        assert [reply.status for reply in replies] == [200, 200], replies
        rows = replies[1].json["rows"]
        assert rows[0]["id"] == 1
        assert isinstance(rows[0]["_hevlayer_upserted_at"], int)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_both(number: int) -> None:
    with running_dev() as dev:
        dev.welcome()
        dev.process.send_signal(number)
        assert dev.process.wait(STOP_S) == 0
        for client in (dev.gateway, dev.simulator):
            with pytest.raises(ConnectionRefusedError):
                client.connect()


def test_one_that_dies_ends_the_other() -> None:
    with running_dev() as dev:
        dev.welcome()
        listing = f"/proc/{dev.process.pid}/task/{dev.process.pid}/children"
        with open(listing) as file:
            first_child = int(file.read().split()[0])
        os.kill(first_child, signal.SIGKILL)
        assert dev.process.wait(STOP_S) == 1
        with pytest.raises(ConnectionRefusedError):
            dev.gateway.connect()
