"""The time that goes into stamps."""

import time

NS_PER_MS = 1_000_000
MS_PER_S = 1000


def monotonic_s() -> float:
    """Give seconds since some moment, for measuring spans; never set back."""
    return time.monotonic()


class Clock:
    """Milliseconds since the epoch that never go backwards within one process.

    A system clock set back would give a later write an earlier stamp, and a reader that asks
    for "newer than what I have seen" would miss it.
    """

    __slots__ = ("_last_ms",)

    def __init__(self) -> None:
        self._last_ms = 0

    def now_ms(self) -> int:
        now_ms = time.time_ns() // NS_PER_MS
        if now_ms < self._last_ms:
            return self._last_ms
        self._last_ms = now_ms
        return now_ms
