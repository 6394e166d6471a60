"""When things are done: commits one after the other, draws of times, rates and queues."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field

from .answers import Refusal
from .limits import (
    QUERY_SLOTS_MAX,
    QUERY_WAIT_MS_MAX,
    WRITE_BYTES_PER_S,
    WRITE_ROWS_PER_S,
)
from .options import Span

# Namespaces whose times are remembered; beyond it, all begin anew. Our own choice.
NAMESPACES_MAX = 100_000


class CommitTimes:
    """Decide when a write is committed.

    A commit takes a time drawn from the span. With groups, a namespace commits once at a time:
    what arrives meanwhile waits for the next commit, and goes with it.
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._lines: dict[str, _Line] = {}

    def due_s(self, name: str, now_s: float, span: Span, *, grouped: bool) -> float:
        line = self._lines.get(name)
        if line is None:
            if len(self._lines) >= NAMESPACES_MAX:
                self._lines.clear()
            # A generator for each namespace, so that others do not change what one meets.
            seed = None if self._seed is None else f"{self._seed}/{name}"
            line = self._lines[name] = _Line(random.Random(seed))  # noqa: S311  (not secret)
        if not grouped:
            return now_s + line.draw_s(span)
        if now_s >= line.running_s and line.waiting_s is not None:
            line.running_s, line.waiting_s = line.waiting_s, None
        if now_s >= line.running_s:
            line.running_s = now_s + line.draw_s(span)
            return line.running_s
        if line.waiting_s is None:
            line.waiting_s = line.running_s + line.draw_s(span)
        return line.waiting_s


@dataclass(slots=True)
class _Line:
    """The end of the commit under way, and of the next one if a write waits for it."""

    random: random.Random
    running_s: float = 0.0
    waiting_s: float | None = None

    def draw_s(self, span: Span) -> float:
        return self.random.uniform(*span) / 1000


@dataclass(slots=True)
class WriteRate:
    """Hold each namespace to the documented rows and bytes a second."""

    _spent: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    def spend(self, name: str, now_s: float, rows: int, size_bytes: int) -> None:
        """Raises: Refusal 429, when a second's worth is used up; one write may go over it."""
        since_s, rows_left, bytes_left = self._spent.get(name, (now_s, 0.0, 0.0))
        passed_s = min(1.0, now_s - since_s) if name in self._spent else 1.0
        rows_left = min(WRITE_ROWS_PER_S, rows_left + passed_s * WRITE_ROWS_PER_S)
        bytes_left = min(WRITE_BYTES_PER_S, bytes_left + passed_s * WRITE_BYTES_PER_S)
        if rows_left <= 0 or bytes_left <= 0:
            self._spent[name] = (now_s, rows_left, bytes_left)
            raise Refusal(429, f"too many writes to namespace '{name}'; try again later")
        if len(self._spent) >= NAMESPACES_MAX:
            self._spent.clear()
        self._spent[name] = (now_s, rows_left - rows, bytes_left - size_bytes)


class QuerySlots:
    """The slots of one namespace: a query that finds none free waits for a while, then is refused.

    Invariant: those that wait are served in the order of their arrival.
    """

    def __init__(self) -> None:
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> None:
        """Raises: Refusal 429, when the wait is over."""
        count = min(count, QUERY_SLOTS_MAX)
        if not self._waiting and self._used + count <= QUERY_SLOTS_MAX:
            self._used += count
            return
        turn = asyncio.get_running_loop().create_future()
        entry = (count, turn)
        self._waiting.append(entry)
        try:
            await asyncio.wait_for(asyncio.shield(turn), QUERY_WAIT_MS_MAX / 1000)
        except BaseException as ended:
            if turn.done():
                # The slots came at the last moment, and nobody is left to use them.
                self.give_back(count)
            else:
                turn.cancel()
                self._waiting.remove(entry)
                self._serve()
            if isinstance(ended, TimeoutError):
                raise Refusal(429, "too many concurrent queries on this namespace") from ended
            raise

    def give_back(self, count: int) -> None:
        self._used -= min(count, QUERY_SLOTS_MAX)
        self._serve()

    @property
    def is_idle(self) -> bool:
        return self._used == 0 and not self._waiting

    def _serve(self) -> None:
        while self._waiting and self._used + self._waiting[0][0] <= QUERY_SLOTS_MAX:
            count, turn = self._waiting.popleft()
            self._used += count
            turn.set_result(None)
