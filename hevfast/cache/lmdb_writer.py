"""The one thread of a worker that writes to LMDB: many small deeds, committed together.

A deed is a function of a write transaction. Deeds that wait while a commit runs go into the next
one, so a busy worker pays for a commit once for all of them. They are done in the order they came.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

import lmdb

from hevfast.cache.lmdb_file import LmdbFile, View

T = TypeVar("T")

# A deed changes the store by the transaction it is given, and can be done again in another
# transaction if that one had to be given up.
Deed = Callable[[View], Any]

# Deeds in one transaction. More would keep the host's one writer lock from other workers.
_TOGETHER_MAX: Final = 256


class StoreBusyError(Exception):
    """The queue is full, or the writer has stopped: the deed was not done and will not be."""


class LmdbWriter:
    """The thread and its queue. `submit` is called on the event loop; results come back there."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[Deed, asyncio.Future[Any]]] = deque()
        self._wake = threading.Semaphore(0)
        self._stopping = False
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<LmdbWriter {len(self._waiting)} waiting>"

    def start(
        self,
        current: Callable[[], LmdbFile],
        upkeep: Callable[[View], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start the thread.

        `current` gives the file in use; `upkeep` is done at the start of each transaction;
        `failed` hears of faults of the file.
        """
        self._loop = asyncio.get_running_loop()
        self._current = current
        self._upkeep = upkeep
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name="lmdb-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Do what is waiting, then end the thread."""
        self._stopping = True
        self._wake.release()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def submit(self, deed: Callable[[View], T]) -> "asyncio.Future[T]":
        """Queue a deed; the future has its result once it is committed.

        Raises: StoreBusyError if too many wait.
        """
        if self._stopping or len(self._waiting) >= self._waiting_max:
            raise StoreBusyError
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append((deed, future))
        self._wake.release()
        return future

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            together: list[tuple[Deed, asyncio.Future[Any]]] = []
            while self._waiting and len(together) < _TOGETHER_MAX:
                together.append(self._waiting.popleft())
            if together:
                self._tell(together, self._commit([deed for deed, _ in together]))
            elif self._stopping:
                return

    def _commit(self, deeds: list[Deed]) -> list[Any]:
        """Do deeds in one transaction; one by one if they fail together. Exceptions are results."""
        try:
            file = self._current()
            with file.environment.begin(write=True) as transaction:
                view = View(file, transaction)
                self._upkeep(view)
                return [deed(view) for deed in deeds]
        except (lmdb.Error, OSError) as error:
            if len(deeds) > 1:
                # One of them is the cause (the store is full, say): the others need not suffer.
                return [result for deed in deeds for result in self._commit([deed])]
            self._failed(error)
            return [error]

    def _tell(self, together: list[tuple[Deed, "asyncio.Future[Any]"]], results: list[Any]) -> None:
        """Hand the results over to the loop, all in one call."""
        pairs = [(future, result) for (_, future), result in zip(together, results, strict=True)]
        try:
            self._loop.call_soon_threadsafe(_resolve, pairs)
        except RuntimeError:
            # The loop has closed: nobody waits any more.
            return


def _resolve(pairs: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
