"""Notes that upstream pushes back: seldom, bounded, and never in anyone's way."""

import asyncio

import pytest

from hevfast.pipelines import pressure as module
from hevfast.pipelines.pressure import Pressure
from hevfast.pipelines.store import UnableError
from tests.fakes.pipelines import ScriptedPipelines

pytestmark = pytest.mark.anyio


async def test_a_namespace_is_noted_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module, "monotonic_s", lambda: now)
    store = ScriptedPipelines(push_back=[None])
    pressure = Pressure(store)  # type: ignore[arg-type]
    for _ in range(5):
        pressure.note(b"a")
        pressure.note(b"b")
    now = 101.0
    pressure.note(b"a")
    await pressure.close()
    assert [arguments for _, arguments in store.asked] == [("a",), ("b",), ("a",)]


async def test_store_that_is_unable_hurts_nobody() -> None:
    pressure = Pressure(ScriptedPipelines(push_back=[UnableError()]))  # type: ignore[arg-type]
    pressure.note(b"a")
    await pressure.close()


async def test_notes_under_way_and_namespaces_remembered_are_bounded() -> None:
    may_end = asyncio.Event()

    class Slow:
        begun = 0

        async def push_back(self, namespace: str) -> None:
            self.begun += 1
            await may_end.wait()

    slow = Slow()
    pressure = Pressure(slow)  # type: ignore[arg-type]
    for n in range(20_000):
        pressure.note(b"%d" % n)
    await asyncio.sleep(0)
    assert slow.begun == 64
    may_end.set()
    await pressure.close()
    assert repr(pressure) == "<Pressure of 64, 0 under way>"
    for n in range(20_000):
        pressure.note(b"%d" % n)
        if n % 50 == 0:
            await pressure.close()
    await pressure.close()
    assert repr(pressure) == "<Pressure of 10000, 0 under way>"
