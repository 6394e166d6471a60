"""Writers, watchers and an upstream, each step of which may come between any two of the others.

The writers' `Flights`, the `Watcher` and its rules are the shipped ones. They run in greenlets that
stop wherever one process may see what another does: at each number of a page, each reading of the
clock, each look at the board, each question to upstream. The world chooses who goes on.

A world is run anew for each sequence of choices; of two that led to the same, one is followed.
"""

import struct
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from greenlet import getcurrent, greenlet

from hevfast.cache.cards import Cards
from hevfast.core.clock import Clock
from hevfast.reads import flights as flights_module
from hevfast.reads import peers as peers_module
from hevfast.reads import watcher as watcher_module
from hevfast.reads.flights import Flights
from hevfast.reads.mark import NOTHING_KNOWN, Mark
from hevfast.reads.peers import Peers
from hevfast.reads.rules import NONE, Intervals
from hevfast.reads.watcher import Watcher
from hevfast.reads.watermark import Watermark
from hevfast.upstream.answer import Answer
from tests.model.watermark_cases import Case, Write

NAMESPACE = b"ns"
# One is enough, and quickly made.
BUCKETS = 1
BUCKET = 0
_CARD = struct.Struct(f">{1 + BUCKETS}Q")
FIRST_MS = 10
MARGIN_MS = 1
# Milliseconds here, as one clock serves for all: how long upstream may apply what is in doubt.
DOUBT_MS = 1
# The stamp of rows that a copy brings along.
OLD_MS = 3

_METADATA = {
    True: b'{"index":{"status":"up-to-date"}}',
    False: b'{"index":{"status":"updating","unindexed_bytes":1}}',
}


class Sent:
    """A write as upstream sees it."""

    def __init__(self) -> None:
        self.stamp_ms = 0
        # "" before it is sent, then sent, committed, indexed; a refused one leaves no row.
        self.state = ""
        # Until when upstream may apply it; None: as long as it likes.
        self.until_ms: int | None = None


class Page:
    """A worker's page: other processes may come between any two accesses."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.numbers = [NONE] * BUCKETS
        self.dead_since_ms: int | None = None

    def __getitem__(self, at: int) -> int:
        return self.numbers[at]

    def __setitem__(self, at: int, number: int) -> None:
        if at == BUCKET and self.numbers[at] != number:
            self.world.stop()
        self.numbers[at] = number


class WorkerClock(Clock):
    """A clock that others may come before and after; all those of one host are the same."""

    def __init__(self, world: "World", behind_ms: int = 0) -> None:
        super().__init__()
        self.world = world
        self.behind_ms = behind_ms
        self.reached_ms = 0

    def reach(self, moment_ms: int) -> None:
        self.reached_ms = self.world.heard(max(self.reached_ms, moment_ms))

    def now_ms(self) -> int:
        self.world.stop()
        return self.world.heard(max(self.world.now_ms - self.behind_ms, self.reached_ms))


class Board:
    """The files, without files."""

    def __init__(self, world: "World", worker: int) -> None:
        self.world = world
        self.marks = self
        # Those of the host: all, or each worker is one.
        self.seen = [world.pages[worker]] if world.case.hosts else world.seen

    def look(self) -> None:
        self.world.stop()
        for page in list(self.seen):
            since_ms = page.dead_since_ms
            if since_ms is not None and self.world.now_ms - since_ms > DOUBT_MS:
                self.seen.remove(page)

    def floor_ms(self, bucket: int) -> int:
        self.world.stop()
        return self.world.heard(min([NONE, *(page[bucket] for page in self.seen)]))

    def read(self, namespace: bytes) -> tuple[Mark, int]:
        return self.world.mark, 0

    def raise_to(self, namespace: bytes, mark: Mark, asked_ms: int) -> None:
        if asked_ms >= self.world.asked_ms:
            moment = max(mark.stable_as_of or 0, self.world.mark.stable_as_of or 0)
            self.world.mark = Mark(moment or None, mark.standing)
            self.world.asked_ms = asked_ms

    def restart(self, namespace: bytes, from_ms: int) -> None:
        self.world.stop()
        self.world.mark, self.world.asked_ms = NOTHING_KNOWN, from_ms


class Table:
    """Where cards lie; each exchange is one step."""

    def __init__(self, world: "World", cards: dict[bytes, bytes]) -> None:
        self.world = world
        self.cards = cards

    async def exchange(self, name: bytes, card: bytes | None, gone: Sequence[bytes]) -> Cards:
        assert card is not None
        self.world.stop(awaits=True)
        self.cards = self.cards | {name: card}
        self.world.heard(hash(tuple(sorted(self.cards.items()))))
        found = Cards(b"epoch", False, self.cards)
        self.world.stop(awaits=True)
        return found


class World:
    """One run. `wrong` says which promise was broken."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.now_ms = FIRST_MS
        self.end_ms = FIRST_MS + case.ticks_ms
        self.mark = NOTHING_KNOWN
        self.asked_ms = 0
        self.wrong = ""
        workers = max(case.watchers, *(write.worker + 1 for write in case.writes))
        self.pages = [Page(self) for _ in range(workers)]
        self.seen = list(self.pages)
        behind_ms = [3 if case.late and worker else 0 for worker in range(workers)]
        self.clocks = [WorkerClock(self, behind) for behind in behind_ms]
        self.flights = [Flights(clock, DOUBT_MS) for clock in self.clocks]
        there = range(workers - case.late if case.hosts else 0)
        first = _CARD.pack(FIRST_MS, *[NONE] * BUCKETS)
        self.table = Table(self, {b"%d" % worker: first for worker in there})
        self.peers = [self._peers(worker) for worker in range(workers)]
        self.sent = [Sent() for _ in case.writes]
        self.log: dict[greenlet, list[int]] = {}
        self.actors: dict[str, greenlet] = {}
        self.worker: dict[greenlet, int] = {}
        self.busy: list[greenlet | None] = [None] * (workers + 1)
        self.trace: list[str] = []
        flights_module.monotonic_s = watcher_module.monotonic_s = lambda: float(self.now_ms)
        for flights, page in zip(self.flights, self.pages, strict=True):
            flights.show_on(page)
        for number, write in enumerate(case.writes):
            self._add(f"write {number}", write.worker, partial(self._write, number, write))
        for worker in range(case.watchers):
            self._add(f"watch {worker}", worker, partial(self._watch, worker))
        if case.hosts and not case.late:
            # By another worker of that host than the one that writes.
            self._add("card 1", workers, lambda: driven(self.peers[1].lows()))

    def _add(self, name: str, worker: int, act: Callable[[], None]) -> None:
        def run() -> None:
            act()
            self.busy[worker] = None

        actor = self.actors[name] = greenlet(run, parent=getcurrent())
        self.log[actor] = []
        self.worker[actor] = worker

    def _peers(self, worker: int) -> Peers:
        peers = Peers(self.table, self.clocks[worker], 1e9, Path(), lambda: float(self.now_ms))  # type: ignore[arg-type]
        peers._name, peers._leads = b"%d" % worker, 0
        peers._board = Board(self, worker)  # type: ignore[assignment]
        return peers

    # What the actors do

    def _write(self, number: int, write: Write) -> None:
        flights, sent = self.flights[write.worker], self.sent[number]
        if self.case.late:
            driven(self.peers[write.worker].lows())
        watermark = SimpleNamespace(flights=flights, _board=Board(self, write.worker))
        watermark._restart = watermark._board.restart
        flight = Watermark.begin(watermark, NAMESPACE, keeps_stamps=write.copies)  # type: ignore[arg-type]
        sent.stamp_ms = OLD_MS if write.copies else flight.now_ms
        sent.state = "sent"
        self.stop(awaits=True)
        if write.end == "known":
            while sent.state == "sent":
                self.stop(awaits=True)
            flights.end(flight, known=True)
        elif write.end == "lost":
            sent.until_ms = self.now_ms + DOUBT_MS
            flights.end(flight, known=False)
        else:
            sent.until_ms = self.now_ms + DOUBT_MS
            self.pages[write.worker].dead_since_ms = self.now_ms

    def _watch(self, worker: int) -> None:
        flights, intervals = self.flights[worker], Intervals(1, 1)
        watcher = Watcher(self._ask, self.clocks[worker], flights, intervals, MARGIN_MS)
        asked: list[Coroutine[Any, Any, None]] = []
        watcher._board = Board(self, worker)  # type: ignore[assignment]
        watcher._at_once = _Nobody()  # type: ignore[assignment]
        watcher._start = asked.append  # type: ignore[method-assign]
        watcher.written(NAMESPACE, b"key")
        if self.case.hosts:
            watcher.tick(driven(self.peers[worker].lows()))
        else:
            watcher.tick()
        for work in asked:
            driven(work)

    async def _ask(self, namespace: bytes, authorization: bytes) -> Answer:
        self.stop(awaits=True)
        stable = all(sent.state != "committed" for sent in self.sent)
        self.heard(stable)
        answer = Answer(200, [], _METADATA[stable])
        self.stop(awaits=True)
        return answer

    def stop(self, *, awaits: bool = False) -> None:
        """Let others go on, if an actor is running; those of the same worker if it awaits."""
        here = getcurrent()
        if here.parent is not None and here in self.log:
            self.log[here].append(-1)
            self.busy[self.worker[here]] = None if awaits else here
            here.parent.switch()
            self.busy[self.worker[here]] = here

    def heard(self, value: int) -> int:
        """Note what an actor has learnt: two runs are the same if it learnt the same."""
        here = getcurrent()
        if here in self.log:
            self.log[here].append(value)
        return value

    # The course of the world

    def choices(self) -> list[tuple[str, Callable[[], Any]]]:
        """Give what can happen next."""
        can: list[tuple[str, Callable[[], Any]]] = []
        for name, actor in self.actors.items():
            # A worker does one thing at a time, from one await to the next.
            busy = self.busy[self.worker[actor]]
            if not actor.dead and busy in (None, actor) and not self._waits(name):
                can.append((name, actor.switch))
        for number, sent in enumerate(self.sent):
            in_time = sent.until_ms is None or self.now_ms < sent.until_ms
            if sent.state == "sent" and in_time:
                can.append((f"commit {number}", partial(self._commit, sent)))
        if any(sent.state == "committed" for sent in self.sent):
            can.append(("index", self._index))
        if self.now_ms < self.end_ms:
            can.append(("time", self._pass_time))
        return can

    def _waits(self, name: str) -> bool:
        """Tell whether an actor would only wait on."""
        if not name.startswith("write"):
            return False
        number = int(name.split()[1])
        return self.case.writes[number].end == "known" and self.sent[number].state == "sent"

    def _commit(self, sent: Sent) -> None:
        sent.state = "committed"
        if self.mark.stable_as_of is not None and sent.stamp_ms <= self.mark.stable_as_of:
            self.wrong = f"{sent.stamp_ms} was committed after {self.mark.stable_as_of} was given"

    def _index(self) -> None:
        for sent in self.sent:
            if sent.state == "committed":
                sent.state = "indexed"

    def _pass_time(self) -> None:
        self.now_ms += 1

    def do(self, name: str, deed: Callable[[], Any]) -> None:
        """Go on by one step, and judge."""
        self.trace.append(name)
        before = self.mark.stable_as_of or 0
        deed()
        after = self.mark.stable_as_of or 0
        # One that is withdrawn is none, not a lower one.
        if 0 < after < before:
            self.wrong = f"the watermark went back from {before} to {after}"
        for sent in self.sent:
            if sent.state == "committed" and sent.stamp_ms <= after and not self.wrong:
                self.wrong = f"{after} was given while {sent.stamp_ms} was not indexed"

    def key(self) -> object:
        return (
            self.now_ms,
            self.mark,
            self.asked_ms,
            tuple(sorted(self.table.cards.items())),
            tuple(tuple(log) for log in self.log.values()),
            tuple((sent.state, sent.until_ms) for sent in self.sent),
            tuple((page.numbers[BUCKET], page.dead_since_ms) for page in self.pages),
            tuple(actor.dead for actor in self.actors.values()),
            len(self.seen),
        )


def driven(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end; it stops only where the world stops it."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("nothing waits here")


class _Nobody:
    """A semaphore with room for all."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


class Explored(NamedTuple):
    """`given`: how many different watermarks there were."""

    states: int
    given: int
    wrong: str = ""
    trace: Sequence[str] = ()


def explored(case: Case) -> Explored:
    """Follow every course of a case; stop at the first that breaks a promise."""
    with ExitStack() as stack:
        for module in (flights_module, watcher_module):
            stack.enter_context(patch.object(module, "monotonic_s"))
        for module in (flights_module, peers_module):
            stack.enter_context(patch.object(module, "BUCKETS", BUCKETS))
        stack.enter_context(patch.object(peers_module, "_CARD", _CARD))
        return _explored(case)


def _explored(case: Case) -> Explored:
    seen: set[int] = set()
    given: set[int | None] = set()
    paths: list[tuple[int, ...]] = [()]
    while paths:
        path = paths.pop()
        world = World(case)
        for choice in path:
            world.do(*world.choices()[choice])
        # On from there by the first choice each time; the others are for later.
        while not world.wrong:
            key = hash(world.key())
            choices = world.choices()
            if key in seen or not choices:
                seen.add(key)
                break
            seen.add(key)
            given.add(world.mark.stable_as_of)
            paths += [(*path, other) for other in range(1, len(choices))]
            path = (*path, 0)
            world.do(*choices[0])
        if world.wrong:
            return Explored(len(seen), len(given), world.wrong, world.trace)
    return Explored(len(seen), len(given - {None}))
