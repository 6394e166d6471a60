"""What the door does when upstream gives no word on a key."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hevfast.cache import verdicts as verdicts_module
from hevfast.cache.verdicts import Verdicts
from hevfast.core.errors import GatewayError
from hevfast.routes import door as door_module
from hevfast.routes.door import Door
from hevfast.upstream.exchange import Answer
from tests.fakes.pipelines import PIPELINE, ScriptedPipelines

pytestmark = pytest.mark.anyio

KEY = b"Bearer k"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Upstream:
    """Says a status, or cannot be reached (0); counts the questions."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def send(self, *_: Any, **__: Any) -> Answer:
        self.asked += 1
        await self.may_answer.wait()
        if not self.status:
            raise GatewayError("upstream_error", "connection refused")
        return Answer(self.status, [(b"x-theirs", b"1")], b"theirs")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (verdicts_module, door_module):
        monkeypatch.setattr(module, "monotonic_s", clock)
    return clock


def standing(upstream: Upstream, store: Any = None) -> Door:
    gateway: Any = SimpleNamespace(
        api_key=None, exchange=upstream, verdicts=Verdicts(), pipelines=store
    )
    return Door(gateway)


@pytest.mark.parametrize("status", [0, 429, 500, 302])
async def test_key_let_in_within_the_hour_is_believed_without_a_word(
    clock: Clock, status: int
) -> None:
    upstream = Upstream()
    door = standing(upstream)
    assert await door.refusal(KEY, b"ns") is None
    upstream.status = status
    clock.now += 3599
    assert await door.refusal(KEY, b"ns") is None
    assert upstream.asked == 2
    for key, namespace in ((KEY, b"other"), (b"Bearer other", b"ns")):
        with pytest.raises(GatewayError) as caught:
            await door.refusal(key, namespace)
        assert caught.value.code == "upstream_error"
    clock.now += 1
    with pytest.raises(GatewayError):
        await door.refusal(KEY, b"ns")


async def test_key_that_is_withdrawn_is_refused_though_it_was_let_in_before(clock: Clock) -> None:
    upstream = Upstream()
    door = standing(upstream)
    assert await door.refusal(KEY, b"ns") is None
    upstream.status = 401
    clock.now += 61
    refusal = await door.refusal(KEY, b"ns")
    assert refusal is not None
    assert (refusal.status, refusal.body) == (401, b"theirs")


async def test_caller_who_leaves_does_not_take_the_answer_from_others(clock: Clock) -> None:
    upstream = Upstream()
    upstream.status = 403
    upstream.may_answer.clear()
    door = standing(upstream)
    first, second, third = (asyncio.create_task(door.refusal(KEY, b"ns")) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    upstream.may_answer.set()
    answers = [await second, await third]
    assert upstream.asked == 1
    # Each has an answer of its own: relaying one changes it.
    assert answers[0] is not None
    assert answers[1] is not None
    answers[0].headers.clear()
    assert answers[1].headers == [(b"x-theirs", b"1")]


async def test_what_is_asked_at_the_end_is_given_up(clock: Clock) -> None:
    upstream = Upstream()
    upstream.may_answer.clear()
    door = standing(upstream)
    waiting = asyncio.create_task(door.refusal(KEY, b"ns"))
    await asyncio.sleep(0)
    await door.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert repr(door) == "<Door 0 asked for>"


async def test_namespace_of_a_pipeline_is_remembered_for_a_while(clock: Clock) -> None:
    other = PIPELINE._replace(target_namespace="other")
    store = ScriptedPipelines(pipeline=[PIPELINE, other])
    door = standing(Upstream(), store)
    assert [await door.namespace_of("p") for _ in range(2)] == [b"ns", b"ns"]
    clock.now += 10
    assert await door.namespace_of("p") == b"other"
    door.forget("p")
    await door.namespace_of("p")
    assert len(store.asked) == 3
