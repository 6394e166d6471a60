"""Calling the pipeline routes of a running gateway."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.pipelines.aerospike_home import settings_of_a_cluster
from tests.contract.pipelines.homes import HOMES
from tests.fakes.client import AUTH, Pairs, Reply
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Upstream

KEY = "key-1"
CHUNKS = [{"id": "c-0", "text": "first"}, {"id": "c-1", "text": "second", "metadata": {"page": 2}}]

# Seconds. Longest wait for what should come at once.
WAIT_S = 10.0

_numbers = itertools.count()


class Caller:
    """Calls upon one pipeline, which it has created."""

    def __init__(self, gateway: RunningGateway, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        number = next(_numbers)
        self.pipeline = f"pipeline-{number}"
        self.namespace = f"namespace-{number}"
        self.path = f"/v2/pipelines/{self.pipeline}"
        assert self.create().status == 201

    def create(self) -> Reply:
        body = {"id": self.pipeline, "target_namespace": self.namespace}
        return ask(self.gateway, "POST", "/v2/pipelines", body)

    def ask(self, method: str, below: str, body: object = None, headers: Any = (AUTH,)) -> Reply:
        return ask(self.gateway, method, self.path + below, body, headers)

    def post(self, below: str, body: object) -> Reply:
        return self.ask("POST", below, body)

    def stage(self, document: str, chunks: object = None, **more: Any) -> Reply:
        body = {"chunks": CHUNKS if chunks is None else chunks}
        return self.ask("PUT", f"/documents/{quote(document, safe='')}", body, **more)

    def chunks(self, document: str) -> Reply:
        return self.ask("GET", f"/documents/{quote(document, safe='')}/chunks")

    def claim(self, worker: str = "w", **more: Any) -> list[str]:
        reply = self.post("/claim", {"worker_id": worker, **more})
        assert reply.status == 200, reply
        documents: list[str] = reply.json["documents"]
        return documents

    def move(self, documents: list[str], stage: str, **more: Any) -> int:
        body = {"document_ids": documents, "stage": stage, **more}
        reply = self.post("/documents/stage", body)
        assert reply.json == {
            "pipeline_id": self.pipeline,
            "stage": stage,
            "updated": reply.json["updated"],
        }
        updated: int = reply.json["updated"]
        return updated

    def heartbeat(self, documents: list[str], worker: str, **more: Any) -> int:
        body = {"document_ids": documents, "worker_id": worker, **more}
        updated: int = self.post("/documents/heartbeat", body).json["updated"]
        return updated

    def vectors(self, document: str, vectors: object, query: str = "") -> Reply:
        path = f"/documents/{quote(document, safe='')}/vectors{query}"
        return self.ask("PUT", path, {"vectors": vectors})

    @property
    def status(self) -> Any:
        return self.ask("GET", "/status").json

    @property
    def counts(self) -> dict[str, int]:
        return {stage: count for stage, count in self.status["counts"].items() if count}


def ask(
    gateway: RunningGateway,
    method: str,
    target: str | bytes,
    body: object = None,
    headers: Pairs | Any = (AUTH,),
) -> Reply:
    """Ask with a body of JSON, or of the very bytes given."""
    plain = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.ask(method, target, plain, headers)


def refused(reply: Reply, status: int, code: str) -> None:
    """Assert an error of the gateway's own."""
    assert (reply.status, reply.json["error"]) == (status, code), reply
    assert reply.json["message"]


def soon(look: Callable[[], Any]) -> Any:
    """Wait until something is there."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := look():
            return found
    raise AssertionError("it did not come")


@contextmanager
def settings_of(kind: str) -> Iterator[dict[str, str]]:
    """Give the settings that a gateway keeps its pipelines by."""
    with settings_of_a_cluster() if kind == "aerospike" else nullcontext({}) as settings:
        yield settings


@pytest.fixture(scope="module", params=HOMES)
def gateway(request: pytest.FixtureRequest, shared_upstream: Upstream) -> Iterator[RunningGateway]:
    """A gateway with pipelines of each kind, that needs no word of upstream on keys."""
    with (
        settings_of(request.param) as settings,
        running_gateway(shared_upstream.url, TURBOPUFFER_API_KEY=KEY, **settings) as running,
    ):
        yield running


@pytest.fixture
def caller(gateway: RunningGateway, upstream: Upstream) -> Caller:
    return Caller(gateway, upstream)
