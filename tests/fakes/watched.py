"""The gateway's application with a watch on its event loop, for the tests that bound stalls.

A stall counts by the processor time the loop's own thread spent between two turns, not by the
clock alone: on a shared machine the clock shows other programs' work.
"""

import asyncio
import json
import time
from typing import Any

from hevfast.app import build as build_gateway


class Watched:
    """Serves `GET /_stall`: the longest stall since the last such request, in milliseconds."""

    def __init__(self) -> None:
        self._app = build_gateway()
        self._longest_ms = 0.0
        self._watch: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._watch is None:
            self._watch = asyncio.create_task(self._turns())
        if scope["type"] != "http" or scope["path"] != "/_stall":
            await self._app(scope, receive, send)
            return
        body = json.dumps(self._longest_ms).encode()
        self._longest_ms = 0.0
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _turns(self) -> None:
        while True:
            clock, spent = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            gap = min(time.perf_counter() - clock, time.thread_time() - spent)
            self._longest_ms = max(self._longest_ms, gap * 1000)


def build() -> Watched:
    return Watched()
