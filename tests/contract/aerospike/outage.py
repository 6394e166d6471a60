"""Clients of a server that fails, and waiting for what they make of it."""

import time
from collections.abc import Callable
from typing import Any

import aerospike
import pytest

from tests.fakes.aerospike import FakeAerospike

# Seconds. The longest wait for something that should happen soon.
WAIT_S = 20.0
# Milliseconds. How long an impatient client waits for an answer.
PATIENCE_MS = 200

# The timeouts of `batch_write` are those of "batch_parent_write", not of "batch" or "batch_write".
POLICIES = ("read", "write", "operate", "remove", "batch", "batch_parent_write")


def connect(node: FakeAerospike, **timeouts: int) -> aerospike.Client:
    policies = {name: dict(timeouts) for name in POLICIES} if timeouts else {}
    config = {"hosts": node.hosts, "policies": policies, "tend_interval": 250}
    return aerospike.client(config).connect()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def doubtful(call: Callable[..., object], *arguments: Any) -> bool:
    """Tell if the failing call may have been done."""
    with pytest.raises(aerospike.exception.AerospikeError) as caught:
        call(*arguments)
    return bool(caught.value.in_doubt)
