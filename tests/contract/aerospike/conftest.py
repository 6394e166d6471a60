"""The server under test, a client of it, and keys that no other test uses."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import aerospike
import pytest

from tests.fakes.aerospike import FakeAerospike

from .spelling import DOCUMENTS, REGISTRY, Key

REAL = os.environ.get("HEVFAST_TEST_AEROSPIKE", "")
NEED_FAULTS = "test_faults_*.py"

# The client's truncate keeps the interpreter's lock while it waits. With a stand-in in the same
# process it would wait for itself.
TRUNCATE = """
import sys, aerospike
host, port, namespace, set_name = sys.argv[1:]
client = aerospike.client({"hosts": [(host, int(port))]}).connect()
client.truncate(namespace, set_name or None, 0)
"""

Host = tuple[str, int]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what a real server can't be made to do."""
    return True if REAL and collection_path.match(NEED_FAULTS) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if REAL:
        terminalreporter.write_line(
            f"Aerospike: real server {REAL}; {NEED_FAULTS} need faults and were not collected."
        )


@pytest.fixture(scope="session")
def hosts() -> Iterator[list[Host]]:
    if REAL:
        host, _, port = REAL.rpartition(":")
        yield [(host, int(port))]
        return
    with FakeAerospike() as node:
        yield node.hosts


@pytest.fixture(scope="session")
def client(hosts: list[Host]) -> Iterator[aerospike.Client]:
    connected = aerospike.client({"hosts": hosts}).connect()
    yield connected
    connected.close()


@pytest.fixture
def node() -> Iterator[FakeAerospike]:
    """A stand-in of the test's own, to be broken."""
    with FakeAerospike() as running:
        yield running


@pytest.fixture
def set_name() -> str:
    """A set that only this test uses."""
    return "set" + uuid.uuid4().hex[:12]


@pytest.fixture
def key(set_name: str) -> Key:
    """The key of a document that doesn't exist yet."""
    return DOCUMENTS, set_name, uuid.uuid4().hex


@pytest.fixture
def registry(set_name: str) -> Key:
    """The key of a registry record that doesn't exist yet."""
    return REGISTRY, set_name, uuid.uuid4().hex


@pytest.fixture
def truncate(hosts: list[Host]) -> Callable[[str, str], None]:
    """Truncate a set of a namespace from a process of its own."""

    def run(namespace: str, name: str) -> None:
        host, port = hosts[0]
        command = [sys.executable, "-c", TRUNCATE, host, str(port), namespace, name]
        subprocess.run(command, check=True, timeout=30)

    return run
