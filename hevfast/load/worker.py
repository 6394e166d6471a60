"""One process of a run: `python -m hevfast.load.worker FD`, where FD is a pipe to the parent.

It is a program of its own, so that it shares neither a lock nor a heap with anything else.
"""

import asyncio
import contextlib
import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection

import uvloop

from .crew import Crew
from .exchange import Target
from .messages import Done, Failed, Job, Ready, Stop, ToParent, receive_order, send
from .options import Step
from .scenarios import Place, scenario


class Worker:
    """Takes orders from the pipe and reports through it, both in threads: a parent that is slow
    to read must not make arrivals late."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._reading = ThreadPoolExecutor(1)
        self._writing = ThreadPoolExecutor(1)
        self._stepping: asyncio.Task[None] | None = None

    async def work(self) -> None:
        """Do as told until the parent is gone."""
        job = await self._order()
        assert isinstance(job, Job)
        target = Target(job.options.url, job.key)
        place = Place(target, job.options.workload, job.index, job.options.processes)
        crew = Crew(job, target, scenario(place))
        try:
            await crew.open()
        except OSError as error:
            self._tell(Failed(f"cannot connect to {target.host}:{target.port}: {error}"))
            self._writing.shutdown()
            return
        # Collections would stop the schedule; nothing here makes cycles by the request.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._tell(Ready())
        with contextlib.suppress(EOFError):
            while True:
                await self._obey(crew, await self._order())
        crew.stop()
        if self._stepping is not None:
            await self._stepping
        await crew.close()

    async def _obey(self, crew: Crew, order: Job | Step | Stop) -> None:
        if isinstance(order, Stop):
            crew.stop()
        elif isinstance(order, Step):
            assert self._stepping is None or self._stepping.done()
            self._stepping = asyncio.create_task(self._go(crew, order))

    async def _go(self, crew: Crew, step: Step) -> None:
        done: ToParent
        try:
            done = await crew.run(step, self._tell)
        except Exception as error:  # The parent must hear of it, or it would wait for Done.
            done = Failed(f"{type(error).__name__}: {error}")
        assert isinstance(done, Done | Failed)
        self._tell(done)

    async def _order(self) -> Job | Step | Stop:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, receive_order, self._pipe)

    def _tell(self, news: ToParent) -> None:
        self._writing.submit(partial(_send, self._pipe, news))


def _send(pipe: Connection, news: ToParent) -> None:
    # A parent that is gone wants no news; its end of the pipe tells the reader.
    with contextlib.suppress(OSError):
        send(pipe, news)


if __name__ == "__main__":
    with contextlib.suppress(EOFError):
        uvloop.run(Worker(Connection(int(sys.argv[1]))).work())
