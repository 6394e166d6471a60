"""The upkeep: one gateway at a time does it for all pipelines, and each for its own calls."""

import asyncio
import logging
import os
from functools import partial
from typing import Final

from hevfast.pipelines.aerospike_access import Access, Known
from hevfast.pipelines.aerospike_catalogue import Catalogue, Entry
from hevfast.pipelines.aerospike_operations import Book, Look
from hevfast.pipelines.aerospike_runner import Runner
from hevfast.pipelines.aerospike_settling import settle
from hevfast.pipelines.aerospike_upkeep import is_due, purge, sweep
from hevfast.pipelines.aerospike_wire import answer_of, record_of
from hevfast.pipelines.store import Tell, UnableError, UnknownPipelineError

LOGGER = logging.getLogger("hevfast.pipelines")

# Seconds between looks, and pipelines looked at each time.
_UPKEEP_S: Final = 0.5
_LOOKED_AT_ONCE: Final = 200

# Looks for which a list of pipelines is used, at least.
_LIST_LOOKS: Final = 4


class Keeper:
    """Settles, undoes and purges; what fails is done another time."""

    def __init__(self, runner: Runner, access: Access, catalogue: Catalogue, tell: Tell) -> None:
        self._tell = tell
        self._runner = runner
        self._access = access
        self._catalogue = catalogue
        self._name = os.urandom(8)
        self._listed: list[Entry] = []
        self._next = 0
        self._looks = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_UPKEEP_S)
            try:
                await self._settle_own()
                if await self._catalogue.keeps(self._name):
                    await self._purge()
                    await self._sweep()
            except (UnableError, UnknownPipelineError) as error:
                LOGGER.debug("upkeep of the pipelines was put off: %s", error)

    async def _settle_own(self) -> None:
        for known in self._access.all():
            for token in list(known.desk.unsettled):
                try:
                    await self._access.run_on(known, partial(settle, token=token))
                except UnknownPipelineError:
                    known.desk.unsettled.discard(token)

    async def _purge(self) -> None:
        for number, pipeline in (await self._catalogue.doomed()).items():
            await self._catalogue.shut(number, pipeline)
            await self._runner.run(self._catalogue.place(number), purge(self._runner.desk()))
            await self._catalogue.forget(number)

    async def _sweep(self) -> None:
        self._looks += 1
        if self._next >= len(self._listed) and (self._looks >= _LIST_LOOKS or not self._listed):
            self._listed, self._looks = await self._catalogue.entries(), 0
        if self._next >= len(self._listed):
            self._next = 0
        some = self._listed[self._next : self._next + _LOOKED_AT_ONCE]
        self._next += _LOOKED_AT_ONCE
        look = Look()
        places = [self._catalogue.place(entry.number) for entry in some]
        records = [record_of(place, look) for place in places]
        if records:
            await self._runner.do(records)
        for entry, record in zip(some, records, strict=True):
            book = answer_of(look, record, self._runner.clock)
            if isinstance(book, Book) and is_due(book):
                moves = await self._access.run_on(self._known(entry), sweep)
                await self._tell(entry.pipeline.id, moves)

    def _known(self, entry: Entry) -> Known:
        # Not remembered by its id: that would push out those that are in use.
        return Known(entry, self._runner.desk())
