"""A store of one worker, and a second worker beside it; and what tests on a cluster begin with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hevfast.cache import aerospike_client, aerospike_store
from hevfast.cache.lmdb_store import LmdbStore
from tests.fakes.aerospike import FakeAerospike
from tests.unit.cache.aerospike_stage import REAL, Host, fresh_prefix, hosts_of
from tests.unit.cache.stages import share_file
from tests.unit.cache.writes import store_in


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LmdbStore]:
    opened = store_in(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def other(store: LmdbStore, tmp_path: Path) -> AsyncIterator[LmdbStore]:
    """A second worker's view would be a second process."""
    opened = store_in(tmp_path)
    share_file(store, opened)
    return opened


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    """A cluster that is well: the one that is named, or a stand-in."""
    if REAL:
        yield hosts_of(None)
        return
    with FakeAerospike() as node:
        yield node.hosts


@pytest.fixture
def set_prefix() -> str:
    return fresh_prefix()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a slow machine."""
    monkeypatch.setattr(aerospike_store, "_DEADLINE_S", 30.0)
    for name in ("_CALL_MS", "_BATCH_MS", "_BULK_MS"):
        monkeypatch.setattr(aerospike_client, name, 10_000)
