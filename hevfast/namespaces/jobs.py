"""Work on a namespace that goes on after its request is answered."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from hevfast.core.clock import monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.namespaces.asking import RefusedError
from hevfast.namespaces.shelf import FAILED, RUNNING, Shelf, State

# Jobs of one kind that a worker has under way at once.
_RUNNING_MAX: Final = 8

# Seconds between two writes of how a job is.
_TELL_S: Final = 1.0

# Seconds. One who finds too many jobs under way may try again after as long.
_RETRY_AFTER: Final = ((b"retry-after", b"5"),)

COMPLETED: Final = "completed"

_log = logging.getLogger(__name__)


class RemovedError(Exception):
    """The job was removed while it ran."""


class Job:
    """One piece of work and how far it is. `more`: members of its kind alone."""

    __slots__ = ("_shelf", "_told_s", "namespace", "rows_expected", "state")

    def __init__(
        self, shelf: Shelf, namespace: bytes, stable_as_of: int | None, more: State
    ) -> None:
        self._shelf = shelf
        self._told_s = 0.0
        self.namespace = namespace
        # Of how many rows `documents_scanned` is a part; 0: nobody knows.
        self.rows_expected = 0
        self.state: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "namespace": namespace.decode(),
            "status": RUNNING,
            "progress": 0.0,
            "documents_scanned": 0,
            "stable_as_of": stable_as_of,
            "created_at": _now(),
            **more,
        }

    @property
    def id(self) -> str:
        return str(self.state["id"])

    async def scanned(self, rows: int) -> None:
        """Note that so many rows more are done.

        Raises: RemovedError.
        """
        state = self.state
        state["documents_scanned"] += rows
        if self.rows_expected:
            # Rows may come while they are counted: all of it is only said at the end.
            state["progress"] = min(state["documents_scanned"] / self.rows_expected, 0.99)
        if monotonic_s() - self._told_s >= _TELL_S:
            await self.tell()

    async def tell(self) -> None:
        new, self._told_s = not self._told_s, monotonic_s()
        if not await asyncio.to_thread(self._shelf.put, dict(self.state), new=new):
            raise RemovedError

    def finish(self, error: str = "") -> None:
        self.state["completed_at"] = _now()
        if error:
            self.state |= {"status": FAILED, "error": error}
        else:
            self.state |= {"status": COMPLETED, "progress": 1.0}


class Jobs:
    """The jobs of one kind: those that this worker runs, and what the host knows of all."""

    __slots__ = ("_running", "shelf")

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._running: dict[asyncio.Task[None], Job] = {}

    def __repr__(self) -> str:
        return f"<Jobs {len(self._running)} running>"

    def running(self, namespace: bytes) -> Job | None:
        """Give a job of this worker's on a namespace."""
        return next((job for job in self._running.values() if job.namespace == namespace), None)

    async def start(
        self, job: Job, work: Callable[[Job], Awaitable[None]], timeout_s: float | None
    ) -> None:
        """Begin the work; it is known to all workers when this returns.

        Raises: GatewayError `service_unavailable`.
        """
        if len(self._running) >= _RUNNING_MAX:
            raise GatewayError(
                "service_unavailable",
                f"{_RUNNING_MAX} jobs of this kind are under way; try again when one has ended.",
                headers=_RETRY_AFTER,
            )
        try:
            await job.tell()
            await asyncio.to_thread(self.shelf.tidy)
        except OSError as error:
            raise GatewayError(
                "service_unavailable", f"The job cannot be noted down: {error.strerror}."
            ) from error
        task = asyncio.create_task(self._run(job, work, timeout_s))
        self._running[task] = job
        task.add_done_callback(lambda _: self._running.pop(task, None))

    async def close(self) -> None:
        """End all jobs of this worker."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def forget(self, namespace: bytes) -> None:
        """End all jobs on a namespace that is gone, and remove their results."""
        for task, job in self._running.items():
            if job.namespace == namespace:
                task.cancel()
        await asyncio.to_thread(self.shelf.clear, namespace.decode())

    async def _run(
        self, job: Job, work: Callable[[Job], Awaitable[None]], timeout_s: float | None
    ) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await work(job)
            job.finish()
        except RemovedError:
            # What it wrote after it was removed goes, too.
            await asyncio.to_thread(self.shelf.remove, job.state["namespace"], job.id)
            return
        except RefusedError as refused:
            job.finish(refused.text())
        except GatewayError as error:
            job.finish(error.detail)
        except TimeoutError:
            job.finish(f"It was not done within {timeout_s} seconds.")
        except OSError as error:
            job.finish(f"It cannot be kept: {error.strerror}.")
        except asyncio.CancelledError:
            job.finish("It was ended: the worker stopped.")
            await asyncio.shield(self._told(job))
            raise
        except Exception:
            _log.exception("a job failed")
            job.finish("The gateway has a fault; its log says more.")
        await self._told(job)

    async def _told(self, job: Job) -> None:
        try:
            await job.tell()
        except (RemovedError, OSError):
            return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
