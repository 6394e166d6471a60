"""The cluster of a run on Aerospike: a node in a process of its own, which outlives the gateway.

It hangs, cuts connections, runs full, restarts and loses all it held. Whoever cannot reach it must
refuse writes, so that no other worker serves what it has no word of.
"""

import asyncio
import random
import time
from typing import Final

from tests.fakes.aerospike.process import NodeProcess
from tests.history.judge import Judge

# Seconds between two faults, and how long one lasts: some are within what one call is given, some
# make the gateway leave the cluster alone for a while.
_PAUSE_S: Final = (3.0, 6.0)
_LAST_S: Final = (0.05, 1.2)

# Faults, by the lines that begin and end them.
FAULTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "hangs": (("freeze",), ("thaw",)),
    "is down": (("kill",), ("revive",)),
    "cuts connections": (("cut",), ("heal",)),
    "cuts connections late": (("cut_late",), ("heal",)),
    "does not answer": (("mute",), ("heal",)),
    "is full": (
        ("fill hevlayer", "fill hevlayer_registry"),
        ("make_room hevlayer", "make_room hevlayer_registry"),
    ),
    "has no room for registries": (("fill hevlayer_registry",), ("make_room hevlayer_registry",)),
    "is restarted empty": (("empty",), ()),
}


class Spoiler:
    """Breaks the cluster every few seconds, and mends it."""

    def __init__(self, cluster: NodeProcess, judge: Judge, generator: random.Random) -> None:
        self._cluster = cluster
        self._judge = judge
        self._random = generator

    async def run(self, until: float) -> None:
        # Each once before any comes again.
        left: list[str] = []
        while time.monotonic() < until and self._judge.violation is None:
            await asyncio.sleep(self._random.uniform(*_PAUSE_S))
            if time.monotonic() > until:
                return
            left = left or self._random.sample(list(FAULTS), len(FAULTS))
            await self._spoil(left.pop(), self._random.uniform(*_LAST_S))

    async def _spoil(self, fault: str, seconds: float) -> None:
        begin, end = FAULTS[fault]
        self._judge.faults.append((time.monotonic_ns(), f"the cluster {fault}"))
        try:
            for line in begin:
                await asyncio.to_thread(self._cluster.tell, line)
            await asyncio.sleep(seconds)
        finally:
            for line in end:
                await asyncio.to_thread(self._cluster.tell, line)
        self._judge.faults.append((time.monotonic_ns(), "the cluster is well again"))
        self._judge.counts["faults of the cluster"] += 1
