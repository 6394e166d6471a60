"""Kills workers, as a rule in the midst of writes, and looks after the rows of those writes."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Final

from tests.history.bodies import HOT, Draft
from tests.history.clients import Client
from tests.history.judge import Judge
from tests.history.line import watch
from tests.history.process import GatewayProcess
from tests.history.truth import Space

if TYPE_CHECKING:
    import itertools

# Seconds between two kills, and longest wait for the next worker.
_KILL_S: Final = (1.0, 3.0)
_RESPAWN_S: Final = 20.0
_LOOK_S: Final = 0.05
# Seconds. The server takes a replacement that dies within 5.5 s for a crash loop and ends.
_GROWN_S: Final = 6.0

# Share of kills in the midst of writes of rows that nobody else writes, neither then nor before
# the sweep has surely come, seconds later: nothing but the sweep can mend those rows.
_STAGED: Final = 0.7
_SWEPT_S: Final = 6.0
# Seconds from the writes to the kill: some have reached upstream, some have not.
_MIDST_S: Final = 0.012
# Rows of each namespace that are written then.
_ROWS: Final = 2
# Attempts to get a connection to the worker.
_TRIES: Final = 20


class Scene:
    """A row, and a client of its own to write it."""

    def __init__(self, space: Space, text: str, client: Client) -> None:
        self.space = space
        self.text = text
        self.past = space.pasts[text]
        self._client = client

    async def prepare(self, number: int, worker: int) -> None:
        """Bring the row into the cache, and get a connection to the worker."""
        draft = self._client.drafter.upsert_of(self.space, [self.text], number)
        await self._client.write(self.space, draft, number)
        for _ in range(_TRIES):
            await self._client.fetch(self.space, [self.text], worker)
            if worker in self._client.lines:
                return

    async def write(self, number: int, worker: int | None = None) -> None:
        await self._client.write(self.space, self._patch(number), number, worker)

    async def look(self, number: int) -> None:
        """Patch the row: merged onto a row that upstream has no more, the patch shows it."""
        await self._client.fetch(self.space, [self.text])
        await self.write(number)
        await self._client.fetch(self.space, [self.text])

    def _patch(self, number: int) -> Draft:
        return self._client.drafter.patch_of(self.space, [self.text], number)


class Killer:
    """Kills a worker every few seconds, and waits for the next one."""

    def __init__(
        self,
        gateway: GatewayProcess,
        judge: Judge,
        numbers: "itertools.count[int]",
        generator: random.Random,
    ) -> None:
        self._gateway = gateway
        self._judge = judge
        self._numbers = numbers
        self._random = generator
        self._first = gateway.workers()

    async def run(self, until: float) -> None:
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until and self._judge.violation is None:
                await asyncio.sleep(self._random.uniform(*_KILL_S))
                grown = [each for each in self._gateway.workers() if self._is_grown(each)]
                if not grown or time.monotonic() > until:
                    continue
                victim = self._random.choice(grown)
                if self._random.random() < _STAGED:
                    killed = asyncio.Event()
                    group.create_task(self._stage(victim, killed, until))
                    await killed.wait()
                else:
                    self._kill(victim)
                await self._next_one(victim)

    def _is_grown(self, worker: int) -> bool:
        return worker in self._first or self._gateway.age_s(worker) > _GROWN_S

    def _kill(self, victim: int) -> None:
        self._gateway.kill(victim)
        self._judge.faults.append((time.monotonic_ns(), f"worker {victim} is killed"))

    async def _next_one(self, victim: int) -> None:
        deadline = time.monotonic() + _RESPAWN_S
        while time.monotonic() < deadline:
            workers = self._gateway.workers()
            watch(workers)
            if victim not in workers and len(workers) >= len(self._first):
                self._judge.counts["kills survived"] += 1
                return
            await asyncio.sleep(_LOOK_S)
        raise RuntimeError("the killed worker was not replaced")

    async def _stage(self, victim: int, killed: asyncio.Event, until: float) -> None:
        """Kill a worker while it writes rows that rest; look at them after the sweep."""
        with self._resting_rows() as scenes:
            try:
                await asyncio.gather(
                    *(each.prepare(next(self._numbers), victim) for each in scenes)
                )
                writes = [
                    asyncio.create_task(each.write(next(self._numbers), victim)) for each in scenes
                ]
                await asyncio.sleep(self._random.uniform(0, _MIDST_S))
                self._kill(victim)
            finally:
                killed.set()
            await asyncio.gather(*writes)
            swept = time.monotonic() + _SWEPT_S
            while time.monotonic() < swept:
                if time.monotonic() > until or self._judge.violation is not None:
                    return
                await asyncio.sleep(_LOOK_S)
            for each in scenes:
                await each.look(next(self._numbers))
                self._judge.counts["rows of dead writes looked at"] += 1

    @contextmanager
    def _resting_rows(self) -> Iterator[list[Scene]]:
        """Give rows of each namespace that nobody else writes meanwhile."""
        with ExitStack() as lines:
            scenes = []
            for space in self._judge.truth.spaces.values():
                hot = [text for text in list(space.ids)[:HOT] if not space.pasts[text].rests]
                for text in self._random.sample(hot, min(_ROWS, len(hot))):
                    client = Client(self._judge, self._gateway.port, self._numbers, self._random)
                    lines.enter_context(closing(client.lines))
                    scenes.append(Scene(space, text, client))
            for each in scenes:
                each.past.rests = True
            try:
                yield scenes
            finally:
                for each in scenes:
                    each.past.rests = False
