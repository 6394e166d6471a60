"""Layer's own client, unmodified: every call of it, against the simulator."""

import inspect
import itertools
from collections.abc import Iterator

import pytest

from tests.contract.clients.layer_calls import ANSWERED, CALLS, NO_ID, Call, World, markdown
from tests.contract.namespaces.conftest import simulator_url
from tests.contract.test_readme import README
from tests.fakes.gateway import RunningGateway, running_gateway

hevlayer = pytest.importorskip("hevlayer", reason="the client is not installed")
pydantic = pytest.importorskip("pydantic")

__all__ = ["simulator_url"]

_numbers = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def live(simulator_url: str) -> Iterator[RunningGateway]:
    with running_gateway(simulator_url) as running:
        yield running


async def made(client: object) -> World:
    """Make a world of the call's own."""
    number = next(_numbers)
    world = World(client, f"client-{number}", f"pipe-{number}")
    rows = [{"id": name, "vector": [1.0, 0.5], "t": "x"} for name in "abc"]
    body = {"upsert_rows": rows, "distance_metric": "cosine_distance"}
    await world.client.write_namespace(world.namespace, body)
    pipeline = {"id": world.pipeline, "target_namespace": world.namespace}
    await world.client.create_pipeline(pipeline)
    chunks = {"chunks": [{"id": "c-0", "text": "t"}]}
    await world.client.put_pipeline_document_chunks(world.pipeline, "one", chunks)
    await world.client.claim_documents(world.pipeline, {"worker_id": "w", "limit": 1})
    return world


@pytest.mark.anyio
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_call_ends_as_it_must(live: RunningGateway, call: Call) -> None:
    url = f"http://127.0.0.1:{live.port}"
    async with hevlayer.AsyncHevlayer(api_key="tpuf_any", base_url=url) as client:
        world = await made(client)
        if call.end == ANSWERED:
            answer = await call.make(world)
            # The client falls back on plain JSON where an answer fits none of its types.
            parts = answer if isinstance(answer, list) else [answer]
            assert all(isinstance(part, pydantic.BaseModel) for part in parts), answer
        elif call.end == NO_ID:
            with pytest.raises(pydantic.ValidationError) as faults:
                await call.make(world)
            assert [fault["loc"] for fault in faults.value.errors()] == [("id",)]
        else:
            with pytest.raises(hevlayer.HevlayerError) as caught:
                await call.make(world)
            assert f"{caught.value.status_code} {caught.value.error}" == call.end


def test_every_call_of_the_client_is_tried() -> None:
    public = {
        name
        for name, member in inspect.getmembers(hevlayer.AsyncHevlayer, inspect.isfunction)
        if not name.startswith("_")
    }
    assert {call.name for call in CALLS} == public - {"aclose"}


def test_table_of_calls_is_in_the_readme() -> None:
    begun = README.index("<!-- calls: generated from tests/contract/clients/layer_calls.py -->\n")
    table = README[README.index("\n", begun) + 1 : README.index("<!-- calls: end -->")]
    assert table == markdown() + "\n"
