"""Whom the watcher asks about, when, and with which key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hevfast.core.clock import Clock
from hevfast.core.errors import GatewayError
from hevfast.reads import watcher as watcher_module
from hevfast.reads.board import Board
from hevfast.reads.flights import Flights
from hevfast.reads.mark import Mark, Standing
from hevfast.reads.rules import Intervals
from hevfast.reads.watcher import Watcher
from hevfast.upstream.answer import Answer

pytestmark = pytest.mark.anyio

NS = b"ns"
KEY = b"Bearer key-1"
STABLE = b'{"index":{"status":"up-to-date"}}'
UPDATING = b'{"index":{"status":"updating","unindexed_bytes":1}}'


class SteppedClock(Clock):
    """A clock that goes with the test's."""

    def __init__(self, stand: "Stand") -> None:
        super().__init__()
        self._stand = stand

    def now_ms(self) -> int:
        return int(self._stand.now_s * 1000)


class Stand:
    """A watcher whose ticks the test makes, its clock, and what upstream is asked."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 1000.0
        self.asked: list[tuple[bytes, bytes]] = []
        self.under_way = self.most_at_once = 0
        self.said: bytes | int | Exception = STABLE
        self.gate = asyncio.Event()
        self.gate.set()
        self.clock = SteppedClock(self)
        self.flights = Flights(self.clock, 60.0)
        self.board = Board(folder, self.clock, self.flights, 60.0)
        self.watcher = Watcher(self.ask, self.clock, self.flights, Intervals(1.0, 60.0), 5)
        self.watcher._board = self.board
        self.watcher._at_once = asyncio.Semaphore(watcher_module._ASKED_AT_ONCE)

    async def ask(self, namespace: bytes, authorization: bytes) -> Answer:
        self.asked.append((namespace, authorization))
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        if isinstance(self.said, Exception):
            raise self.said
        if isinstance(self.said, int):
            return Answer(self.said, [], b"{}")
        return Answer(200, [], self.said)

    async def tick(self, after_s: float = 1.5) -> int:
        """Let time pass and tick; give how many were asked about."""
        self.now_s += after_s
        before = len(self.asked)
        self.watcher.tick()
        if self.gate.is_set():
            await asyncio.gather(*self.watcher._tasks)
        return len(self.asked) - before

    def mark(self, namespace: bytes = NS) -> Mark:
        return self.board.marks.read(namespace)[0]


@pytest.fixture
async def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    made = Stand(tmp_path)
    monkeypatch.setattr(watcher_module, "monotonic_s", lambda: made.now_s)
    yield made
    await made.watcher.close()
    made.board.close()


async def test_nobody_is_asked_about_who_was_not_seen(stand: Stand) -> None:
    assert await stand.tick() == 0


async def test_an_index_that_lags_is_asked_about_each_tick_and_one_that_does_not_seldom(
    stand: Stand,
) -> None:
    stand.watcher.watch(NS, KEY)
    stand.said = UPDATING
    assert [await stand.tick() for _ in range(3)] == [1, 1, 1]
    assert stand.mark() == Mark(None, Standing.UPDATING)
    stand.said = STABLE
    assert await stand.tick() == 1
    assert stand.mark().standing is Standing.STABLE
    assert [await stand.tick() for _ in range(20)] == [0] * 20
    assert await stand.tick(70.0) == 1


async def test_a_write_is_asked_about_at_the_next_tick(stand: Stand) -> None:
    stand.watcher.written(NS, KEY)
    assert await stand.tick() == 1
    assert await stand.tick() == 0
    stand.watcher.written(NS, KEY)
    assert await stand.tick() == 1
    assert await stand.tick() == 0


async def test_a_write_during_a_question_is_asked_about_after_it(stand: Stand) -> None:
    stand.watcher.written(NS, KEY)
    stand.gate.clear()
    assert await stand.tick() == 0
    await asyncio.sleep(0)
    stand.watcher.written(NS, KEY)
    await stand.tick()
    stand.gate.set()
    assert await stand.tick(0.0) == 0
    assert len(stand.asked) == 1
    assert await stand.tick(3.0) == 1


async def test_the_key_is_the_last_that_was_taken(stand: Stand) -> None:
    stand.watcher.watch(NS, b"Bearer one")
    stand.watcher.watch(NS, b"Bearer two")
    await stand.tick()
    assert stand.asked == [(NS, b"Bearer two")]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_key_that_is_not_taken_any_more_is_given_up(stand: Stand, status: int) -> None:
    stand.watcher.watch(NS, KEY)
    stand.said = status
    assert await stand.tick() == 1
    assert [await stand.tick(100.0) for _ in range(3)] == [0, 0, 0]
    stand.watcher.watch(NS, KEY)
    assert await stand.tick() == 1


async def test_what_is_gone_is_forgotten(stand: Stand) -> None:
    stand.watcher.watch(NS, KEY)
    await stand.tick()
    assert stand.mark().stable_as_of is not None
    stand.said = 404
    await stand.tick(100.0)
    assert stand.mark() == Mark(None, Standing.UNKNOWN)


@pytest.mark.parametrize(
    "fault", [500, 429, TimeoutError(), GatewayError("upstream_error", "it broke")]
)
async def test_a_fault_changes_nothing_and_is_not_repeated_at_once(
    stand: Stand, fault: int | Exception
) -> None:
    stand.watcher.watch(NS, KEY)
    await stand.tick()
    mark = stand.mark()
    stand.said = fault
    asked = [await stand.tick(70.0)] + [await stand.tick(1.5) for _ in range(30)]
    assert 2 <= sum(asked) <= 6
    assert stand.mark() == mark


async def test_questions_at_once_are_bounded(stand: Stand) -> None:
    for number in range(100):
        stand.watcher.watch(b"ns%d" % number, KEY)
    stand.gate.clear()
    await stand.tick()
    for _ in range(10):
        await asyncio.sleep(0)
    assert stand.under_way == 16
    stand.gate.set()
    await stand.tick(0.0)
    assert len(stand.asked) == 100
    assert stand.most_at_once == 16


async def test_what_another_worker_has_just_asked_is_not_asked_again(stand: Stand) -> None:
    stand.watcher.watch(NS, KEY)
    now_ms = stand.clock.now_ms()
    stand.board.marks.raise_to(NS, Mark(now_ms - 10, Standing.STABLE), now_ms)
    assert await stand.tick() == 0
    # But for a write of one's own.
    stand.watcher.written(NS, KEY)
    assert await stand.tick() == 1


async def test_a_namespace_nobody_uses_is_not_asked_about_any_more(stand: Stand) -> None:
    stand.watcher.watch(NS, KEY)
    stand.said = UPDATING
    assert await stand.tick() == 1
    assert await stand.tick(601.0) == 0
    assert await stand.tick(601.0) == 0


async def test_what_is_remembered_is_bounded(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_module, "_WATCHED_MAX", 10)
    monkeypatch.setattr(watcher_module, "_STALE_MIN", 10)
    for number in range(30):
        stand.watcher.watch(b"ns%d" % number, KEY)
    for _ in range(50):
        for number in range(20, 30):
            stand.watcher.written(b"ns%d" % number, KEY)
        assert await stand.tick() == 10
    assert len(stand.watcher._watched) == 10
    assert len(stand.watcher._due) <= 50
