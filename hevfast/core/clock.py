"""The time that goes into stamps."""

import time
from array import array
from typing import Protocol

NS_PER_MS = 1_000_000
MS_PER_S = 1000


def monotonic_s() -> float:
    """Give seconds since some moment, for measuring spans; never set back."""
    return time.monotonic()


class Numbers(Protocol):
    """Numbers of 64 bits, in a row, that other processes may see."""

    def __getitem__(self, at: int, /) -> int: ...

    def __setitem__(self, at: int, number: int, /) -> None: ...


class Clock:
    """Milliseconds since the epoch that never go backwards within one host.

    A system clock set back would give a later write an earlier stamp, and a reader that asks
    for "newer than what I have seen" would miss it.
    """

    __slots__ = ("_last", "_shared")

    def __init__(self) -> None:
        self._last = 0
        # The latest time that any worker has given. Two that write it at once may set it back by
        # the moment that one of them was held up, which matters only if the system's clock is set
        # back in that moment.
        self._shared: Numbers = array("Q", [0])

    def share(self, cell: Numbers) -> None:
        """Go by the latest time in this cell, too, which all workers of the host share."""
        cell[0] = max(cell[0], self._last)
        self._shared = cell

    def reach(self, moment_ms: int) -> None:
        """Give no time before this one any more."""
        if self._shared[0] < moment_ms:
            self._shared[0] = moment_ms

    def now_ms(self) -> int:
        now_ms = time.time_ns() // NS_PER_MS
        last = self._shared[0]
        if now_ms <= last:
            now_ms = last
        else:
            self._shared[0] = now_ms
        if now_ms < self._last:
            return self._last
        self._last = now_ms
        return now_ms
