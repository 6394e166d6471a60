"""The transactions of one worker on the pipelines' file, and the task that keeps the file tidy.

Every change is one serializable transaction, done by one thread a worker and committed together
with what waits beside it. Reads run on the event loop, in a transaction that ends before the next
await.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from hevfast.cache.lmdb_writer import LmdbWriter, StoreBusyError
from hevfast.pipelines.lmdb_file import Files
from hevfast.pipelines.lmdb_pages import Pages
from hevfast.pipelines.lmdb_upkeep import Keeper, Turn, upkeep
from hevfast.pipelines.store import Tell, TooManyStagesError, UnableError, UnknownPipelineError

LOGGER = logging.getLogger("hevfast.pipelines")

T = TypeVar("T")
Deed = Callable[[Pages], T]

# Deeds waiting for the writer, and the seconds one may wait: several commits of a slow disk.
_WAITING_MAX: Final = 20_000
_DEADLINE_S: Final = 5.0

# Deeds for many documents that wait for the writer: more would make a transaction, and so
# everybody's wait, longer.
_PARTS_WAITING: Final = 4

# Seconds between looks for what lapses.
_UPKEEP_S: Final = 1.0


class Transactions:
    """`bytes_max`: of the file; `clock`: milliseconds, the same for all processes of the host."""

    def __init__(self, folder: Path, bytes_max: int, clock: Callable[[], int], tell: Tell) -> None:
        self._tell = tell
        self._files = Files(folder, bytes_max, clock)
        self._keeper = Keeper(folder)
        self._writer: LmdbWriter[Pages] = LmdbWriter(_WAITING_MAX)
        self._parts = asyncio.Semaphore(_PARTS_WAITING)
        self._upkeep: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Transactions {self._files!r} {self._writer!r}>"

    async def open(self) -> None:
        self._writer.start(self._begin, self._files.failed)
        try:
            await self.do(lambda pages: None)
        except UnableError as error:
            LOGGER.error("there are no pipelines until the file can be opened: %s", error)
        self._upkeep = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        await self._writer.stop()
        self._files.close()
        self._keeper.close()

    async def do(self, deed: Deed[T]) -> T:
        """Do a deed in a committed transaction.

        One that is late may still be done: a claim that nobody hears of lapses, and all else can
        be asked again.

        Raises: UnableError, and what the deed raises before it changes anything.
        """

        def refusing(pages: Pages) -> T | Exception:
            try:
                return deed(pages)
            except (UnableError, UnknownPipelineError, TooManyStagesError) as error:
                # Nothing was changed yet, so what others do in this transaction can stay.
                return error

        try:
            result = await self._writer.submit(refusing, _DEADLINE_S)
        except (lmdb.Error, OSError, StoreBusyError) as error:
            raise UnableError(f"the pipelines' file: {error}") from error
        # An exception that is a result is raised by the writer's future.
        assert not isinstance(result, Exception)
        return result

    async def do_part(self, deed: Deed[T], documents: int) -> T:
        """Do a deed for so many documents."""
        if documents == 1:
            return await self.do(deed)
        async with self._parts:
            return await self.do(deed)

    async def read(self, look: Deed[T]) -> T:
        """Look at what is committed, at once as a rule."""
        for _ in range(2):
            with self._files.reading() as file:
                if file is not None:
                    with file.environment.begin() as transaction:
                        return look(Pages(file, transaction, file.now_ms()))
            # The writer's thread turns to the file in use.
            await self.do(lambda pages: None)
        raise UnableError("the pipelines' file is being replaced")

    @contextmanager
    def _begin(self) -> Iterator[Pages]:
        file = self._files.current()
        with file.environment.begin(write=True) as transaction:
            pages = Pages(file, transaction, file.now_ms())
            yield pages
            pages.keep()

    async def _keep_up(self) -> None:
        turn = Turn()
        while True:
            if not turn.more:
                await asyncio.sleep(_UPKEEP_S)
            try:
                if self._keeper.is_ours():
                    turn = await self.do(partial(upkeep, turn=turn))
                    for pipeline, moves in turn.lapses:
                        await self._tell(pipeline, moves)
            except (UnableError, OSError) as error:
                LOGGER.debug("upkeep of the pipelines was put off: %s", error)
                turn = Turn()
