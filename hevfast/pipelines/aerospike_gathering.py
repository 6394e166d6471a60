"""Puts documents that are staged one by one, at the same moment, into calls together."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from hevfast.pipelines import aerospike_deeds as deeds
from hevfast.pipelines.aerospike_access import Access
from hevfast.pipelines.aerospike_repeating import CALL_DOCUMENTS_MAX
from hevfast.pipelines.store import Move, Staged, Staging, UnableError

# Bytes of chunks in one call.
_CALL_BYTES: Final = 1024 * 1024

# Calls of one pipeline under way, and documents that wait for the next.
_CALLS_MAX: Final = 2
_WAITING_MAX: Final = 20_000

_Staged = tuple[Staged, list[Move]]


class _Waiting(NamedTuple):
    staging: Staging
    future: "asyncio.Future[_Staged]"


class Gathering:
    """The documents of one gateway that wait to be staged."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._waiting: dict[str, list[_Waiting]] = {}
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}

    async def stage(self, pipeline: str, staging: Staging) -> _Staged:
        """Stage a document; the moves of a whole call are told to the first of it."""
        waiting = self._waiting.setdefault(pipeline, [])
        if len(waiting) >= _WAITING_MAX:
            raise UnableError("too many documents wait to be staged")
        future: asyncio.Future[_Staged] = asyncio.get_running_loop().create_future()
        waiting.append(_Waiting(staging, future))
        tasks = self._tasks.setdefault(pipeline, set())
        if len(tasks) < _CALLS_MAX:
            task = asyncio.create_task(self._drain(pipeline))
            tasks.add(task)
            task.add_done_callback(partial(self._ended, pipeline))
        return await future

    async def close(self) -> None:
        """Stage what waits."""
        tasks = [task for running in self._tasks.values() for task in running]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, pipeline: str, task: "asyncio.Task[None]") -> None:
        tasks = self._tasks[pipeline]
        tasks.discard(task)
        if not tasks:
            del self._tasks[pipeline]
            self._waiting.pop(pipeline, None)

    async def _drain(self, pipeline: str) -> None:
        waiting = self._waiting[pipeline]
        while waiting:
            call = _next_call(waiting)
            stagings = [each.staging for each in call]
            try:
                words, moves = await self._access.run(
                    pipeline, partial(deeds.stage, stagings=stagings)
                )
            except Exception as error:
                for each in call:
                    if not each.future.done():
                        each.future.set_exception(error)
                continue
            for each, word in zip(call, words, strict=True):
                if not each.future.done():
                    each.future.set_result((word, moves))
                    moves = []


def _next_call(waiting: list[_Waiting]) -> list[_Waiting]:
    """Take the first that wait, each document once, as many as one call is for."""
    call: dict[str, _Waiting] = {}
    size = taken = 0
    for each in waiting[:CALL_DOCUMENTS_MAX]:
        size += len(each.staging.chunks)
        if each.staging.document in call or (call and size > _CALL_BYTES):
            break
        call[each.staging.document] = each
        taken += 1
    del waiting[:taken]
    return list(call.values())


def parted(stagings: Sequence[Staging]) -> list[list[Staging]]:
    """Cut many documents into calls."""
    parts: list[list[Staging]] = [[]]
    size = 0
    for each in stagings:
        size += len(each.chunks)
        if parts[-1] and (len(parts[-1]) == CALL_DOCUMENTS_MAX or size > _CALL_BYTES):
            parts.append([])
            size = len(each.chunks)
        parts[-1].append(each)
    return parts
