"""Asks upstream how far the indexes of namespaces are: each tick those that are due."""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from hevfast.core.clock import Clock, monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.reads.board import Board
from hevfast.reads.flights import BUCKETS, Flights, bucket_of
from hevfast.reads.mark import Standing
from hevfast.reads.peers import Peers
from hevfast.reads.rules import NONE, SOON, Intervals, Observation, advanced, standing_of, wait_s

if TYPE_CHECKING:
    from hevfast.upstream.exchange import Answer

_log = logging.getLogger(__name__)

# Asks about a namespace with a key. Raises GatewayError or TimeoutError.
Ask = Callable[[bytes, bytes], Awaitable["Answer"]]

# Namespaces asked about by one worker; the ones first seen give way.
_WATCHED_MAX: Final = 10_000

# Entries of the queue beyond which those that do not count are taken out.
_STALE_PER_WATCHED: Final = 4
_STALE_MIN: Final = 1000

# Seconds. A namespace that nobody here has read or written for as long is not asked about any
# more, because each question is billed.
_IDLE_S: Final = 600.0

# Seconds, and namespaces: what other hosts know is read each tick of those touched as lately.
_SHARED_S: Final = 60.0
_SHARED_MAX: Final = 1000

# Questions at once.
_ASKED_AT_ONCE: Final = 16

# Ticks and due times are spread by as much, so that workers do not ask in step.
_JITTER: Final = 0.1

# What other hosts have in flight where there are none.
ALONE: Final = (NONE,) * BUCKETS

_NO_SUCH: Final = 404
# The key is not taken any more: one that is will come with a request.
_REFUSED: Final = (401, 403)


class _Watched:
    """One namespace: the key to ask with, and when."""

    __slots__ = ("asking", "authorization", "due_s", "failures", "touched_s")

    def __init__(self, authorization: bytes, now_s: float) -> None:
        self.authorization = authorization
        self.touched_s = now_s
        self.due_s = now_s
        self.failures = 0
        self.asking = False


class Watcher:
    """Knows which namespaces are read and written here, and with which keys."""

    def __init__(self, ask: Ask, clock: Clock, flights: Flights, intervals: Intervals,
                 margin_ms: int, peers: Peers | None = None) -> None:  # fmt: skip
        self._ask = ask
        self._clock = clock
        self._flights = flights
        self._intervals = intervals
        self._margin_ms = margin_ms
        # None: no other host shares the cache.
        self._peers = peers
        self._watched: dict[bytes, _Watched] = {}
        self._due: list[tuple[float, bytes]] = []
        self._written: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Watcher of {len(self._watched)}, {len(self._tasks)} asked about>"

    def open(self, board: Board) -> None:
        self._board = board
        self._at_once = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._start(self._tick_forever())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def watch(self, namespace: bytes, authorization: bytes) -> None:
        """Note that upstream has just taken this key for this namespace."""
        watched = self._watched.get(namespace)
        if watched is not None:
            watched.authorization = authorization
            watched.touched_s = monotonic_s()
            return
        self._watched[namespace] = watched = _Watched(authorization, monotonic_s())
        heapq.heappush(self._due, (watched.due_s, namespace))
        if len(self._watched) > _WATCHED_MAX:
            del self._watched[next(iter(self._watched))]

    def written(self, namespace: bytes, authorization: bytes) -> None:
        """Note that upstream has applied a write: what it says of its index has changed."""
        self.watch(namespace, authorization)
        self._written.add(namespace)

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(_spread(self._intervals.poll_s))
            try:
                if self._peers is None:
                    self.tick()
                else:
                    await self._peers.share(self._touched())
                    self.tick(await self._peers.lows())
            except Exception:
                # Files that cannot be opened, say: without a look nothing advances.
                _log.exception("the watermarks were not looked after")

    def tick(self, lows_ms: Sequence[int] | None = ALONE) -> None:
        """Begin to ask about all that are due.

        The order matters: the time first, then the workers there are, then what they have in
        flight, and last the question to upstream. `lows_ms`, of each bucket: what other hosts have
        in flight or will, known before; None: it is not known, and nothing advances.
        """
        noted_ms = self._clock.now_ms()
        self._flights.settle()
        self._board.look()
        for namespace, watched in self._taken_due(monotonic_s()):
            watched.asking = True
            bucket = bucket_of(namespace)
            low_ms = SOON if lows_ms is None else lows_ms[bucket]
            floor_ms = min(self._board.floor_ms(bucket), low_ms)
            seen = Observation(noted_ms, floor_ms, Standing.UNKNOWN)
            self._start(self._look_after(namespace, watched, seen))

    def _touched(self) -> list[bytes]:
        """Name those read or written here of late, for whom it matters what other hosts know."""
        since_s = monotonic_s() - _SHARED_S
        touched = [name for name, watched in self._watched.items() if watched.touched_s > since_s]
        return touched[-_SHARED_MAX:]

    def _taken_due(self, now_s: float) -> list[tuple[bytes, _Watched]]:
        written, self._written = self._written, set()
        for namespace in written:
            watched = self._watched.get(namespace)
            if watched is not None and watched.asking:
                # Once that question has ended: the write may have come after it.
                self._written.add(namespace)
            elif watched is not None and watched.due_s > now_s:
                watched.due_s = now_s
                heapq.heappush(self._due, (now_s, namespace))
        taken = []
        while self._due and self._due[0][0] <= now_s:
            due_s, namespace = heapq.heappop(self._due)
            watched = self._watched.get(namespace)
            # Of several entries of one namespace, the one that says when it is due counts.
            if watched is None or watched.due_s != due_s or watched.asking:
                continue
            if now_s - watched.touched_s > _IDLE_S:
                del self._watched[namespace]
            elif namespace in written or not self._told_by_another(namespace, watched):
                taken.append((namespace, watched))
        return taken

    def _told_by_another(self, namespace: bytes, watched: _Watched) -> bool:
        """See whether another worker has asked a short while ago; if so, wait as it would."""
        mark, asked_ms = self._board.marks.read(namespace)
        age_s = (self._clock.now_ms() - asked_ms) / 1000
        left_s = wait_s(mark.standing, 0, self._intervals) * (1 - _JITTER) - age_s
        if watched.failures or left_s <= 0:
            return False
        self._put_off(namespace, watched, left_s)
        return True

    def _put_off(self, namespace: bytes, watched: _Watched, by_s: float) -> None:
        watched.due_s = monotonic_s() + _spread(by_s)
        heapq.heappush(self._due, (watched.due_s, namespace))
        if len(self._due) > _STALE_PER_WATCHED * len(self._watched) + _STALE_MIN:
            # Entries that do not count any more, of namespaces that are often written.
            self._due = [(each.due_s, name) for name, each in self._watched.items()]
            heapq.heapify(self._due)

    async def _look_after(self, namespace: bytes, watched: _Watched, seen: Observation) -> None:
        standing = Standing.UNKNOWN
        try:
            async with self._at_once:
                standing = await self._asked(namespace, watched, seen)
        finally:
            watched.asking = False
            if self._watched.get(namespace) is watched:
                pause_s = wait_s(standing, watched.failures, self._intervals)
                self._put_off(namespace, watched, pause_s)

    async def _asked(self, namespace: bytes, watched: _Watched, seen: Observation) -> Standing:
        """Ask, and take in what is answered. A question that fails changes nothing."""
        marks = self._board.marks
        try:
            answer = await self._ask(namespace, watched.authorization)
        except (GatewayError, TimeoutError) as error:
            _log.debug("a watermark was not learnt: %s", error)
            watched.failures += 1
            return Standing.UNKNOWN
        if not isinstance(answer.body, bytes):
            await answer.body.aclose()
        elif answer.status == 200:
            watched.failures = 0
            seen = seen._replace(standing=standing_of(answer.body))
            mark, _ = marks.read(namespace)
            mark = advanced(mark, seen, self._margin_ms)
            marks.raise_to(namespace, mark, seen.noted_ms)
            if self._peers is not None:
                self._peers.learnt(namespace, mark, seen.noted_ms)
            return seen.standing
        elif answer.status in (_NO_SUCH, *_REFUSED):
            self._watched.pop(namespace, None)
            if answer.status == _NO_SUCH:
                # Whatever comes under this name has stamps of its own, or is a copy.
                marks.restart(namespace, seen.noted_ms)
        watched.failures += 1
        return Standing.UNKNOWN

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _spread(seconds: float) -> float:
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
