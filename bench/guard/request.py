"""`python -m bench.guard.request LIBRARY [--planted]`: writes of one row, counted from outside.

Runs under callgrind, which counts what happens inside `guard_around` of the library: all that the
gateway does for the writes, and nothing of starting it. Prints how many there were.
"""

import asyncio
import contextlib
import ctypes
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from bench.request.in_process import AT_ONCE, opened, requests_of, writes
from hevfast.edge.target import target_of
from hevfast.routes import write

REQUESTS = 512


def planted(work: Callable[[Any], str]) -> Callable[[Any], str]:
    """Do a small part of a write four times over: some hundredths of the whole."""

    def slower(scope: Any) -> str:
        for _ in range(3):
            work(scope)
        return work(scope)

    return slower


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    if "--planted" in sys.argv:
        setattr(write, "target_of", planted(target_of))  # noqa: B010 - to mypy it is a constant
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        stack = contextlib.AsyncExitStack()
        app = runner.run(stack.enter_async_context(opened("off", Path(folder))))
        # What is made once for all requests is made before.
        runner.run(writes(app, requests_of(AT_ONCE * 4)))
        requests = requests_of(REQUESTS)

        def work() -> None:
            runner.run(writes(app, requests))

        library.guard_around(ctypes.CFUNCTYPE(None)(work))
        runner.run(stack.aclose())
    print(REQUESTS)


if __name__ == "__main__":
    main()
