"""Wakes the event loop at a moment, to some tens of microseconds.

The loop's own timers are of whole milliseconds, and uvloop spins through the last one, which takes
the processor from the server that is measured. The interval timer of the process is precise and
sleeps; its signal reaches the loop through the wake-up descriptor.
"""

import asyncio
import signal
import time
from collections.abc import Callable

NS_PER_S = 1_000_000_000
# Seconds. Zero would disarm the timer instead of firing at once.
SOONEST_S = 1e-6


class Alarm:
    """One moment at a time; belongs to the main thread of a process."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGALRM, wake)

    def at(self, moment_ns: int) -> None:
        """Wake at this moment of the monotonic clock, instead of at the one set before."""
        wait_s = (moment_ns - time.monotonic_ns()) / NS_PER_S
        signal.setitimer(signal.ITIMER_REAL, max(SOONEST_S, wait_s))

    def close(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._loop.remove_signal_handler(signal.SIGALRM)
