"""What tests on a cluster begin with."""

import pytest

from hevfast.cache import aerospike_client, aerospike_peers


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a slow machine."""
    monkeypatch.setattr(aerospike_peers, "_DEADLINE_S", 30.0)
    monkeypatch.setattr(aerospike_client, "_CALL_MS", 10_000)
