"""The cases in which the watermark is explored."""

from typing import NamedTuple


class Write(NamedTuple):
    """A write of a worker. `end`: known; lost, in doubt then; or crash, and there is no end."""

    worker: int
    end: str = "known"
    copies: bool = False


class Case(NamedTuple):
    """Writes, as many watchers, each on a worker of its own, and how far time goes on.

    `hosts`: each worker is a host of its own, and the others know only its card. `late`: the second
    one joins when it begins to write, with a clock that is behind.
    """

    name: str
    writes: tuple[Write, ...]
    watchers: int = 1
    ticks_ms: int = 2
    hosts: bool = False
    late: bool = False


CASES = [
    Case("two workers", (Write(0), Write(1)), ticks_ms=1),
    Case("two of one worker", (Write(0), Write(0)), ticks_ms=1),
    Case("two watchers", (Write(0),), watchers=2, ticks_ms=1),
    Case("lost", (Write(0, "lost"),), ticks_ms=3),
    Case("crash", (Write(1, "crash"),), ticks_ms=3),
    Case("copy", (Write(0, copies=True), Write(0)), ticks_ms=1),
    Case("two hosts", (Write(1),), ticks_ms=1, hosts=True),
    Case("two hosts, lost", (Write(1, "lost"),), ticks_ms=1, hosts=True),
    Case("a host joins", (Write(1),), ticks_ms=1, hosts=True, late=True),
    Case("copy, lost", (Write(0, "lost", copies=True),), ticks_ms=3),
]

BY_NAME = {case.name: case for case in CASES}
