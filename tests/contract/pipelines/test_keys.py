"""Who may use pipelines where callers bring their own keys: whom upstream lets in."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.pipelines.calling import ask, refused
from tests.fakes.client import AUTH, Pairs, Reply
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Step, Upstream, Wire, answer, raw

OTHER = (b"Authorization", b"Bearer key-2")
REFUSAL = b'{"status":"error","error":"who are you"}'

_numbers = itertools.count()


@pytest.fixture(scope="module")
def gateway(shared_upstream: Upstream) -> Iterator[RunningGateway]:
    """A gateway that passes keys on."""
    with running_gateway(shared_upstream.url) as running:
        yield running


class Owner:
    """Has a pipeline, which it made with a key that upstream took."""

    def __init__(self, gateway: RunningGateway, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        number = next(_numbers)
        self.namespace = f"keys-{number}"
        self.body = {"id": f"p-{number}", "target_namespace": self.namespace}
        self.path = f"/v2/pipelines/p-{number}"

    def stage(self, key: tuple[bytes, bytes] = AUTH) -> Reply:
        return ask(self.gateway, "PUT", f"{self.path}/documents/d", {"chunks": []}, [key])

    def create(self, headers: Pairs | Any = (AUTH,)) -> Reply:
        return ask(self.gateway, "POST", "/v2/pipelines", self.body, headers)

    @property
    def question(self) -> tuple[str, bytes]:
        return ("GET", f"/v1/namespaces/{self.namespace}/metadata".encode())


@pytest.fixture
def owner(gateway: RunningGateway, upstream: Upstream) -> Owner:
    owner = Owner(gateway, upstream)
    upstream.script(answer(404, b"{}"))
    assert owner.create().status == 201
    upstream.script()
    return owner


def test_upstream_is_asked_once_for_a_key_and_a_namespace(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    owner = Owner(gateway, upstream)
    assert owner.create().status == 201
    request = upstream.only
    assert (request.method, request.target) == owner.question
    assert request.values(b"authorization") == [b"Bearer key-1"]
    assert owner.stage().status == 200
    upstream.script()
    assert owner.stage(OTHER).status == 200
    assert owner.stage(OTHER).status == 200
    assert upstream.only.values(b"authorization") == [b"Bearer key-2"]


def test_namespace_that_does_not_exist_yet_is_no_refusal(owner: Owner) -> None:
    owner.upstream.script(answer(404, b"{}"))
    assert owner.stage(OTHER).status == 200


@pytest.mark.parametrize("status", [401, 403])
def test_refusal_is_relayed_and_nothing_is_served(owner: Owner, status: int) -> None:
    owner.stage()
    for method, below, body in [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/status", None),
        ("POST", "/claim", {"worker_id": "w"}),
        ("GET", "/documents/d/chunks", None),
        ("PUT", "/documents/d", {"chunks": [{"id": "theirs"}]}),
    ]:
        owner.upstream.script(answer(status, REFUSAL, [(b"X-Theirs", b"1")]))
        reply = ask(owner.gateway, method, owner.path + below, body, [OTHER])
        assert (reply.status, reply.body) == (status, REFUSAL)
        assert reply.value(b"x-theirs") == b"1"
    assert ask(owner.gateway, "GET", f"{owner.path}/documents/d/chunks").body == b"[]"
    assert ask(owner.gateway, "GET", f"{owner.path}/status").json["pending_count"] == 1


def test_refused_key_creates_no_pipeline(gateway: RunningGateway, upstream: Upstream) -> None:
    owner = Owner(gateway, upstream)
    upstream.script(answer(403, REFUSAL))
    assert owner.create().status == 403
    refused(ask(gateway, "GET", owner.path), 404, "not_found")


def test_list_is_for_keys_that_upstream_lists_namespaces_for(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    key = [(b"Authorization", b"Bearer key-3")]
    upstream.script(answer(401, REFUSAL))
    assert ask(gateway, "GET", "/v2/pipelines", None, key).body == REFUSAL
    upstream.script()
    for _ in range(2):
        assert "pipelines" in ask(gateway, "GET", "/v2/pipelines", None, key).json
    assert upstream.only.target == b"/v1/namespaces?page_size=1"


@pytest.mark.parametrize("step", [answer(500, b"{}"), answer(429, b"{}"), raw(b"", close=True)])
def test_no_word_of_upstream_on_a_key_is_a_502(owner: Owner, step: Step) -> None:
    # The exchange may try a connection that turned out dead once more.
    owner.upstream.script(step, step)
    refused(owner.stage(OTHER), 502, "upstream_error")
    owner.upstream.script()
    assert owner.stage(OTHER).status == 200


def test_callers_at_once_wait_for_one_answer(owner: Owner) -> None:
    may_answer = threading.Event()

    async def act(wire: Wire) -> None:
        import asyncio

        await asyncio.to_thread(may_answer.wait, 10)
        await answer().act(wire)

    owner.upstream.script(Step(act))
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda: replies.append(owner.stage(OTHER))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    owner.upstream.wait(1)
    may_answer.set()
    for thread in threads:
        thread.join()
    assert [reply.status for reply in replies] == [200] * 8
    assert len(owner.upstream.requests) == 1


def test_unknown_pipeline_is_a_404_for_keys_that_upstream_takes(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    key = [(b"Authorization", b"Bearer key-4")]
    upstream.script(answer(401, REFUSAL))
    reply = ask(gateway, "GET", "/v2/pipelines/nobody/status", None, key)
    assert (reply.status, reply.body) == (401, REFUSAL)
    upstream.script()
    for _ in range(2):
        refused(ask(gateway, "GET", "/v2/pipelines/nobody/status", None, key), 404, "not_found")
    assert upstream.only.target == b"/v1/namespaces?page_size=1"
