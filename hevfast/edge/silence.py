"""Giving up on clients that stopped sending, with one timer for all of them."""

import asyncio

# Looks within the allowed time. A wait is ended at most this fraction of it late.
_LOOKS = 8


class Silence:
    """Watches the tasks that wait for a client, and cancels those that wait too long.

    One timer serves all requests, and runs only while somebody waits. A timer for each request
    would cost several microseconds on the path of every write.
    """

    __slots__ = ("_deadlines", "_late", "_running", "silence_s")

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self._deadlines: dict[asyncio.Task[None], float] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._running = False

    def __repr__(self) -> str:
        return f"<Silence {len(self._deadlines)} waiting, {len(self._late)} late>"

    def watch(self) -> "asyncio.Task[None]":
        """Begin to watch the running task, or begin anew; give the task."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._deadlines[task] = loop.time() + self.silence_s
        if not self._running:
            self._running = True
            loop.call_later(self.silence_s / _LOOKS, self._look, loop)
        return task

    def leave(self, task: "asyncio.Task[None]") -> bool:
        """Stop watching; tell whether the task was cancelled for waiting too long.

        A task of which this is told must not treat the cancellation as one from outside.
        """
        self._deadlines.pop(task, None)
        if task not in self._late:
            return False
        self._late.discard(task)
        task.uncancel()
        return True

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = [task for task, deadline in self._deadlines.items() if deadline <= now]
        for task in late:
            del self._deadlines[task]
            self._late.add(task)
            task.cancel()
        self._running = bool(self._deadlines)
        if self._running:
            loop.call_later(self.silence_s / _LOOKS, self._look, loop)
