"""Every kind of store, with one pipeline in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hevfast.pipelines.store import PipelineStore
from tests.contract.pipelines.aerospike_home import patience
from tests.contract.pipelines.homes import HOMES, PIPELINE, Home


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(params=HOMES)
async def home(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    anyio_backend: object,
) -> AsyncIterator[Home]:
    made = HOMES[request.param](tmp_path)
    with patience():
        yield made
        await made.close()
    made.stop()


@pytest.fixture
async def store(home: Home) -> PipelineStore:
    opened = await home.open()
    assert await opened.create(PIPELINE)
    return opened
