"""A real simulator process, the official client, and plain HTTP beside it."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import turbopuffer
from turbopuffer.lib.namespace import Namespace

import hevfast.simulator

ROOT = Path(next(iter(hevfast.simulator.__path__))).parents[1]
KEY = "tpuf_anything"

_serial = count()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a simulator from when it says that it listens to the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hevfast.simulator", "--port", str(port), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == f"simulator listening on http://127.0.0.1:{port}\n"
            yield process
        finally:
            process.terminate()
            process.wait(timeout=10)


@dataclass
class Wire:
    """Plain HTTP to the simulator, for what the client hides."""

    port: int

    def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(
                method, path, raw, {"Authorization": f"Bearer {KEY}"} | (headers or {})
            )
            with connection.getresponse() as answer:
                named = {name.lower(): value for name, value in answer.getheaders()}
                return answer.status, named, answer.read()
        finally:
            connection.close()

    def error(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        status, _, answer = self.call(method, path, body)
        parsed = json.loads(answer)
        assert sorted(parsed) == ["error", "status"]
        assert parsed["status"] == "error"
        return status, parsed["error"]


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    number = free_port()
    with running(number):
        yield number


@pytest.fixture(scope="session")
def wire(port: int) -> Wire:
    return Wire(port)


@pytest.fixture(scope="session")
def client(port: int) -> Iterator[turbopuffer.Turbopuffer]:
    url = f"http://127.0.0.1:{port}"
    with turbopuffer.Turbopuffer(base_url=url, api_key=KEY, max_retries=0) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A namespace name that no other test uses."""
    return f"pytest-{next(_serial)}"


@pytest.fixture
def ns(client: turbopuffer.Turbopuffer, name: str) -> Namespace:
    return client.namespace(name)


def plain(rows: Any) -> list[dict[str, Any]]:
    """Turn the client's rows into dictionaries."""
    return [
        {key: value for key, value in row.model_dump().items() if value is not None} for row in rows
    ]
