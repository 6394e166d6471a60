"""Holds the cache's one writer lock now and then, as a worker that is stopped in mid-write would.

Nothing can be announced, put or voided by way of the store then: writes and fetches must do
without it, and what is cached must not suffer from that.
"""

import asyncio
import random
import time
from pathlib import Path
from typing import Final

import lmdb

from tests.history.judge import Judge

# Seconds between two holds, and how long one lasts: well above the time the gateway gives its
# store for one deed, which is 0.2 s.
_PAUSE_S: Final = (3.0, 6.0)
_HOLD_S: Final = (0.1, 0.9)

_BYTES_MAX: Final = 1 << 30


class Holder:
    """Takes the lock, waits, and leaves all as it was."""

    def __init__(self, folder: Path, judge: Judge, generator: random.Random) -> None:
        self._folder = folder
        self._judge = judge
        self._random = generator

    async def run(self, until: float) -> None:
        while time.monotonic() < until and self._judge.violation is None:
            await asyncio.sleep(self._random.uniform(*_PAUSE_S))
            seconds = self._random.uniform(*_HOLD_S)
            if time.monotonic() < until:
                self._judge.faults.append((time.monotonic_ns(), "the writer lock is held"))
                await asyncio.to_thread(self._hold, seconds)
                self._judge.faults.append((time.monotonic_ns(), "the writer lock is let go"))
                self._judge.counts["holds of the writer lock"] += 1

    def _hold(self, seconds: float) -> None:
        # The file in use is the youngest; after a fault the gateway begins a new one.
        files = sorted(self._folder.glob("cache-*.lmdb"), key=lambda each: each.stat().st_mtime)
        environment = lmdb.open(str(files[-1]), subdir=False, map_size=_BYTES_MAX, max_dbs=4)
        try:
            with environment.begin(write=True) as transaction:
                time.sleep(seconds)
                transaction.abort()
        finally:
            environment.close()
