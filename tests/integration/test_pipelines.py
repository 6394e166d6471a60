"""Pipelines as their callers know them: by curl, and by the official client, unmodified."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.pipelines.calling import settings_of
from tests.contract.pipelines.homes import HOMES
from tests.fakes.client import Client
from tests.fakes.gateway import running_gateway
from tests.fakes.upstream import Upstream, running_upstream
from tests.integration.test_sdk import simulated

hevlayer = pytest.importorskip("hevlayer", reason="the client is not installed")

README = (Path(__file__).parents[2] / "README.md").read_text()

# As the documents of Layer show it, but for the length of the texts.
SEED = """
curl -sS -X PUT "$LAYER_GATEWAY_URL/v2/pipelines/product-images/documents/asin-B08N5WRWNW" \\
  -H "Authorization: Bearer $LAYER_GATEWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "chunks": [
      {"id": "asin-B08N5WRWNW-0", "text": "Front view of the product."},
      {"id": "asin-B08N5WRWNW-1", "text": "Detail view.", "metadata": {"page": 2}}
    ]
  }'
"""


def shell(script: str, url: str) -> str:
    """Run lines in a shell, and give what they print."""
    environment = {**os.environ, "LAYER_GATEWAY_URL": url, "LAYER_GATEWAY_API_KEY": "dev"}
    done = subprocess.run(
        ["bash", "-ec", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=HOMES)
def gateway(request: pytest.FixtureRequest) -> Iterator[tuple[Client, Upstream]]:
    with (
        running_upstream() as upstream,
        settings_of(request.param) as settings,
        running_gateway(upstream.url, **settings) as gateway,
    ):
        yield gateway, upstream


@pytest.fixture(scope="module", params=HOMES)
def base_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with (
        settings_of(request.param) as settings,
        simulated(tmp_path_factory.mktemp("simulator"), **settings) as url,
    ):
        yield url


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_of_the_documents_stages_a_document(gateway: tuple[Client, Upstream]) -> None:
    client, _ = gateway
    url = f"http://127.0.0.1:{client.port}"
    body = b'{"id":"product-images","target_namespace":"products"}'
    assert client.ask("POST", "/v2/pipelines", body).status == 201
    assert shell(SEED, url) == (
        '{"pipeline_id":"product-images","document_id":"asin-B08N5WRWNW","stage":"pending",'
        '"chunk_count":2,"chunk_ids":["asin-B08N5WRWNW-0","asin-B08N5WRWNW-1"]}'
    )
    chunks = "/v2/pipelines/product-images/documents/asin-B08N5WRWNW/chunks"
    assert client.ask("GET", chunks).json[1]["metadata"] == {"page": 2}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_example_of_the_readme_works_when_pasted(base_url: str) -> None:
    found = re.search(r"<!-- pipelines: run by .*?```sh\n(.*?)```", README, re.S)
    assert found is not None
    lines = re.sub(r"^export .*$", "", found[1], flags=re.M)
    printed = shell(lines, base_url).splitlines()
    assert '"documents":["asin-B08N5WRWNW"]' in printed[2]
    # The chunks are printed as they were staged, on several lines.
    assert '"rows_affected":2' in printed[-2]
    assert '"status":"idle"' in printed[-1]
    assert '"indexed":1' in printed[-1]


def test_every_pipeline_call_of_the_official_client(base_url: str) -> None:
    asyncio.run(official_life(base_url))


async def official_life(base_url: str) -> None:
    async with hevlayer.AsyncHevlayer(api_key="any", base_url=base_url) as client:
        wished = hevlayer.CreatePipelineRequest(id="sdk", target_namespace="sdk-images")
        made = await client.create_pipeline(wished)
        assert made.distance_metric == "cosine_distance"
        assert await client.ensure_pipeline(wished) == made
        assert (await client.ensure_pipeline({"id": "two", "target_namespace": "x"})).id == "two"
        with pytest.raises(hevlayer.HevlayerError) as caught:
            await client.create_pipeline(wished)
        assert (caught.value.status_code, caught.value.error) == (409, "conflict")
        listed = (await client.list_pipelines()).pipelines
        assert made in listed

        documents = ["a:1", "b/2", "c d", "d%25é"]
        for document in documents:
            chunks = [{"id": f"{document}-{n}", "metadata": {"page": n}} for n in range(2)]
            staged = await client.put_pipeline_document_chunks("sdk", document, {"chunks": chunks})
            assert (staged.stage, staged.chunk_count) == ("pending", 2)
            assert staged.chunk_ids == [chunk["id"] for chunk in chunks]
            read = await client.get_pipeline_document_chunks("sdk", document)
            assert [chunk.model_dump(exclude_none=True) for chunk in read] == chunks
        await claims(client)
        await vectors(client)
        status = await client.get_pipeline_status("sdk")
        assert (status.status, status.counts["indexed"], status.failed_count) == ("idle", 3, 1)
        assert status.failed_reasons == {"worker_failed": 1}

        assert (await client.delete_pipeline("sdk")).status == "OK"
        with pytest.raises(hevlayer.HevlayerError) as caught:
            await client.get_pipeline_status("sdk")
        assert (caught.value.status_code, caught.value.error) == (404, "not_found")


async def claims(client: Any) -> None:
    claim = hevlayer.ClaimDocumentsRequest(worker_id="w", limit=10)
    claimed = await client.claim_documents("sdk", claim)
    assert claimed.documents == ["a:1", "b/2", "c d", "d%é"]
    assert (claimed.stage, claimed.claim_stage, claimed.worker_id) == ("pending", "embedding", "w")
    beat = await client.heartbeat_documents(
        "sdk", hevlayer.HeartbeatDocumentsRequest(document_ids=["a:1", "x"], worker_id="w")
    )
    assert (beat.stage, beat.updated) == ("embedding", 1)
    assert (await client.release_documents("sdk", ["a:1"], worker_id="w")).updated == 1
    assert (await client.claim_documents("sdk", claim)).documents == ["a:1"]
    moved = await client.set_documents_stage(
        "sdk", hevlayer.SetDocumentsStageRequest(document_ids=["a:1"], stage="checking")
    )
    assert moved.stage == "checking"
    assert (await client.fail_documents("sdk", ["a:1"], from_stage="checking")).updated == 1
    assert (await client.complete_documents("sdk", ["d%é"], worker_id="other")).updated == 0
    assert (await client.complete_documents("sdk", ["d%é"], worker_id="w")).updated == 1


async def vectors(client: Any) -> None:
    rows = {"vectors": [{"id": "c d-0", "vector": [0.5, 1.0], "attributes": {"page": 0}}]}
    written = await client.put_pipeline_document_vectors("sdk", "c d", rows, with_perf=True)
    assert (written.data.status, written.data.rows_affected) == ("OK", 1)
    one = {"id": "b/2-0", "vector": [1.0, 0.5]}
    assert (await client.write_single_vector("sdk", "b/2", one)).status == "OK"
    found = await client.fetch_document("sdk-images", "c d-0")
    assert found.attributes["page"] == 0


def test_multivectors_of_the_official_client(gateway: tuple[Client, Upstream]) -> None:
    client, upstream = gateway

    async def life() -> None:
        url = f"http://127.0.0.1:{client.port}"
        async with hevlayer.AsyncHevlayer(api_key="any", base_url=url) as official:
            await official.create_pipeline({"id": "late", "target_namespace": "late"})
            await official.put_pipeline_document_chunks("late", "d", {"chunks": []})
            written = await official.write_single_multivector(
                "late", "d", "d-0", [[0.5, 1.0], [1.0, 0.0]], attributes={"page": 1}
            )
            assert written.status == "OK"

    asyncio.run(life())
    assert b'"vectors":[[0.5,1.0],[1.0,0.0]],"page":1}' in upstream.requests[-1].body
