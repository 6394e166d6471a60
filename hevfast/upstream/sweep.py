"""Deadlines of all exchanges of a worker, with one timer for all of them."""

import asyncio

import aiohttp

from hevfast.core.clock import monotonic_s
from hevfast.core.limits import SWEEP_S_MAX, SWEEP_S_MIN
from hevfast.upstream.line import Line

# Looks within the shorter of the two allowances.
_LOOKS = 8


class Sweep:
    """Looks at every exchange now and then, and fails those that are late.

    A timer for each exchange would cost several microseconds. This one is late itself, by up to
    two of its periods: an eighth of the shorter allowance each, a quarter second at the most.
    """

    __slots__ = ("_loop", "_period_s", "_silence_s", "_timer", "_total_s", "lines")

    def __init__(self, silence_s: float, total_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence_s = silence_s
        self._total_s = total_s
        self._period_s = min(max(min(silence_s, total_s) / _LOOKS, SWEEP_S_MIN), SWEEP_S_MAX)
        self._timer: asyncio.TimerHandle | None = None
        self.lines: dict[Line, int] = {}

    def __repr__(self) -> str:
        return f"<Sweep {len(self.lines)} exchanges>"

    def watch(self, line: Line) -> None:
        # The value is what was left to write at the last look.
        self.lines[line] = 0
        if self._timer is None:
            self._timer = self._loop.call_later(self._period_s, self._look)

    def leave(self, line: Line) -> None:
        self.lines.pop(line, None)

    def close(self) -> None:
        """Stop looking, and break off what is still under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for line in list(self.lines):
            line.fail(aiohttp.ServerDisconnectedError())
            line.drop()

    def _look(self) -> None:
        self._timer = None
        now_s = monotonic_s()
        for line in list(self.lines):
            fault = self._judge(line, now_s)
            if fault is not None:
                line.fail(fault)
        if self.lines:
            self._timer = self._loop.call_later(self._period_s, self._look)

    def _judge(self, line: Line, now_s: float) -> Exception | None:
        if now_s - line.begun_s > self._total_s:
            return TimeoutError()
        transport = line.transport
        unwritten = 0 if transport is None else transport.get_write_buffer_size()
        # A body on its way out is progress; a pause is the reader's silence, not upstream's.
        if line.heard or line.paused or unwritten != self.lines[line]:
            line.heard = False
            line.heard_s = now_s
            self.lines[line] = unwritten
        elif now_s - line.heard_s >= self._silence_s:
            return aiohttp.SocketTimeoutError()
        return None
