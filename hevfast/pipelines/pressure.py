"""Telling the pipelines that upstream has refused or failed a write for load."""

import asyncio
import contextlib
from typing import Final

from hevfast.core.clock import monotonic_s
from hevfast.pipelines.store import PipelineStore, UnableError

# Statuses by which upstream says that it has too much to do.
PUSHED_BACK: Final = (429, 503)

# Seconds between two notes of one namespace. They are believed longer than that, so a status shows
# the pressure as long as it lasts.
_APART_S: Final = 1.0

# Namespaces remembered, and notes under way at once; what is more is not noted.
_REMEMBERED_MAX: Final = 10_000
_UNDER_WAY_MAX: Final = 64


class Pressure:
    """Notes it beside the request: no write waits for the note or fails with it."""

    __slots__ = ("_noted", "_store", "_tasks")

    def __init__(self, store: PipelineStore) -> None:
        self._store = store
        self._noted: dict[bytes, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Pressure of {len(self._noted)}, {len(self._tasks)} under way>"

    def note(self, namespace: bytes) -> None:
        now = monotonic_s()
        if now < self._noted.get(namespace, 0.0) or len(self._tasks) >= _UNDER_WAY_MAX:
            return
        self._noted.pop(namespace, None)
        self._noted[namespace] = now + _APART_S
        if len(self._noted) > _REMEMBERED_MAX:
            del self._noted[next(iter(self._noted))]
        task = asyncio.get_running_loop().create_task(self._tell(namespace.decode()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for the notes under way; the store bounds how long they take."""
        await asyncio.gather(*self._tasks)

    async def _tell(self, namespace: str) -> None:
        # The next refusal says it again.
        with contextlib.suppress(UnableError):
            await self._store.push_back(namespace)
