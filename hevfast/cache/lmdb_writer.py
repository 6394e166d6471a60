"""The one thread of a worker that writes to LMDB: many small deeds, committed together.

A deed is a function of a write transaction. Deeds that wait while a commit runs go into the next
one, so a busy worker pays for a commit once for all of them. They are done in the order they came.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

import lmdb

T = TypeVar("T")

# What a deed is given: a write transaction, as the store sees it.
V = TypeVar("V")

# A deed changes the store by the transaction it is given, and can be done again in another
# transaction if that one had to be given up.
Asked = tuple[Callable[[Any], Any], asyncio.Future[Any]]

# Deeds in one transaction. More would keep the host's one writer lock from other workers.
_TOGETHER_MAX: Final = 256

# Seconds between looks for deeds that are late; they are told so at most that much later.
_LOOK_S: Final = 0.05


class StoreBusyError(Exception):
    """The queue is full, or the writer has stopped: the deed was not done and will not be."""


class LmdbWriter(Generic[V]):
    """The thread and its queue. `submit` is called on the event loop; results come back there."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        # What each turn of the loop has gathered. None: nothing to do but to stop.
        self._waiting: SimpleQueue[list[Asked] | None] = SimpleQueue()
        self._gathered: list[Asked] = []
        # Deeds whose results have not come back, late ones included.
        self._unfinished = 0
        self._deadlines: dict[asyncio.Future[Any], float] = {}
        self._watching = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<LmdbWriter {self._unfinished} waiting>"

    def start(
        self,
        begin: Callable[[], AbstractContextManager[V]],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start the thread.

        `begin` gives a transaction, committed at its end; `failed` hears of faults of the file.
        """
        self._loop = asyncio.get_running_loop()
        self._begin = begin
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name="lmdb-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Do what is waiting, then end the thread."""
        self._stopping = True
        self._hand_over()
        self._waiting.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def submit(self, deed: Callable[[V], T], deadline_s: float) -> "asyncio.Future[T]":
        """Queue a deed; the future has its result once it is committed.

        After the deadline the future fails with TimeoutError; the deed may be done all the same.

        Raises: StoreBusyError if too many wait.
        """
        if self._stopping or self._unfinished >= self._waiting_max:
            raise StoreBusyError
        future: asyncio.Future[T] = self._loop.create_future()
        self._deadlines[future] = self._loop.time() + deadline_s
        if not self._watching:
            self._watching = True
            self._loop.call_later(_LOOK_S, self._look)
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append((deed, future))
        self._unfinished += 1
        return future

    def _hand_over(self) -> None:
        """Hand over what one turn of the loop has gathered.

        On idle processors the thread would wake for the first deed at once, and the two would
        then take the interpreter's lock from each other for every one of the rest.
        """
        if self._gathered:
            self._waiting.put(self._gathered)
            self._gathered = []

    def _look(self) -> None:
        """Fail what is late. One timer serves all: one for each deed would cost more than many."""
        now = self._loop.time()
        for future in [each for each, deadline in self._deadlines.items() if deadline < now]:
            del self._deadlines[future]
            if not future.done():
                future.set_exception(TimeoutError())
        self._watching = bool(self._deadlines)
        if self._watching:
            self._loop.call_later(_LOOK_S, self._look)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            together: list[Asked] = []
            turn = self._waiting.get()
            while turn is not None:
                together += turn
                if len(together) >= _TOGETHER_MAX or not self._waiting.qsize():
                    break
                turn = self._waiting.get()
            # What came before the stop is done.
            stopping = turn is None
            for start in range(0, len(together), _TOGETHER_MAX):
                asked = together[start : start + _TOGETHER_MAX]
                self._tell(asked, self._commit([deed for deed, _ in asked]))

    def _commit(self, deeds: list[Callable[[V], Any]]) -> list[Any]:
        """Do deeds in one transaction; one by one if they fail together. Exceptions are results."""
        try:
            with self._begin() as view:
                return [deed(view) for deed in deeds]
        except Exception as error:
            if len(deeds) > 1:
                # One of them is the cause (the store is full, say): the others need not suffer.
                return [result for deed in deeds for result in self._commit([deed])]
            if isinstance(error, (lmdb.Error, OSError)):
                self._failed(error)
            return [error]

    def _tell(self, together: list[Asked], results: list[Any]) -> None:
        """Hand the results over to the loop, all in one call."""
        pairs = [(future, result) for (_, future), result in zip(together, results, strict=True)]
        try:
            self._loop.call_soon_threadsafe(self._resolve, pairs)
        except RuntimeError:
            # The loop has closed: nobody waits any more.
            return

    def _resolve(self, pairs: list[tuple["asyncio.Future[Any]", Any]]) -> None:
        self._unfinished -= len(pairs)
        for future, result in pairs:
            self._deadlines.pop(future, None)
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
