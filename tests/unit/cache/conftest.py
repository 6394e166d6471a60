"""A store of one worker, and a second worker beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hevfast.cache.lmdb_store import LmdbStore
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
    """A second worker's view would be a second process; two stores of one process share the file.

    LMDB refuses to open a file twice in one process, so this one borrows the first one's.
    """
    opened = store_in(tmp_path)
    opened._name = b"worker-2"
    opened._page, opened._file = store._page, store._file
    opened._writer = store._writer
    return opened
