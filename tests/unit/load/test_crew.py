"""The beginning of a step: never before its time, and never missed."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hevfast.load import crew
from hevfast.load.crew import Crew
from hevfast.load.options import Step


class Answering:
    """A lane that answers at once, and notes when it was asked."""

    def __init__(self, owner: Crew) -> None:
        self._owner = owner
        self.asked: list[int] = []
        self.due_us: int | None = None

    def begin(self, course: object, due_us: int) -> None:
        self.asked.append(due_us)
        asyncio.get_running_loop().call_later(0.001, self._owner.free, self)


@pytest.mark.anyio
@pytest.mark.parametrize("rate", [None, 200.0])
async def test_a_timer_that_fires_too_early_loses_no_step(
    monkeypatch: pytest.MonkeyPatch, rate: float | None
) -> None:
    sleep = asyncio.sleep
    slept: list[float] = []

    async def hasty(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds - 0.002 if len(slept) == 1 else seconds)

    monkeypatch.setattr(crew.asyncio, "sleep", hasty)
    options = SimpleNamespace(
        connections=1, processes=1, timeout_s=5.0, workload=SimpleNamespace(seed=1)
    )
    scenario: Any = SimpleNamespace(course=lambda: None)
    job: Any = SimpleNamespace(options=options, index=0)
    target: Any = None
    team = Crew(job, target, scenario)
    lane: Any = Answering(team)
    team._lanes = [lane]
    team._idle.append(lane)
    start_ns = crew.time.monotonic_ns() + 50_000_000
    done = await team.run(Step(rate, 0.0, 0.1, "constant", start_ns), lambda batch: None)
    assert done.arrivals == len(lane.asked) > 10
    assert min(lane.asked) >= 0
