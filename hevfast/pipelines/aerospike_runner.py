"""Runs deeds against the cluster: each list of operations is one round trip, with a deadline."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

# The client's own stubs leave its helpers out.
from aerospike_helpers.batch.records import BatchRecord  # type: ignore[import-untyped]

from hevfast.cache.aerospike_caller import Caller
from hevfast.cache.aerospike_client import BUSY, StoreLostError
from hevfast.pipelines.aerospike_keys import Place
from hevfast.pipelines.aerospike_operations import Answer, Book, Deed, Op, Opened, Pause
from hevfast.pipelines.aerospike_plan import Desk
from hevfast.pipelines.aerospike_wire import answer_of, record_of, size_of
from hevfast.pipelines.store import UnableError

T = TypeVar("T")

# Seconds that one round trip may take, and what each record in it adds. None is tried twice, so a
# call of the client may take all of it.
_TRIP_S: Final = 0.2
TRIP_MS: Final = 200
_RECORD_S: Final = 0.003

# Records and bytes of one submission to the client.
_RECORDS_MAX: Final = 100
_BYTES_MAX: Final = 1536 * 1024

# Seconds before attempts at records that too many want at once: they were not done.
_BUSY_PAUSES_S: Final = (0.002, 0.004, 0.008, 0.016)

_TOKEN_BYTES: Final = 8
_MS: Final = 1000


class Runner:
    """One gateway's deeds. `clock` tells the time in force by the server's, in ms."""

    def __init__(self, caller: Caller, clock: Callable[[int], int]) -> None:
        self._caller = caller
        self.clock = clock
        # The time in force, less this process's own; None until a book was read.
        self._ahead_ms: int | None = None

    def __repr__(self) -> str:
        return f"<Runner {self._caller!r}>"

    def about_ms(self) -> int:
        """Give the time in force, about: by the book that was read last."""
        if self._ahead_ms is None:
            return self.clock(time.time_ns() // 1_000_000)
        return self._ahead_ms + _own_ms()

    def desk(self) -> Desk:
        return Desk(lambda: os.urandom(_TOKEN_BYTES), self.about_ms)

    async def run(self, place: Place, deed: Deed[T]) -> T:
        """Carry out a deed.

        Raises: what the deed raises.
        """
        answers: list[Any] | None = None
        try:
            while True:
                ops = deed.send(answers)  # type: ignore[arg-type]
                answers = await self._answers(place, ops)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            deed.close()

    async def do(self, records: Sequence[BatchRecord]) -> None:
        """Do records; each then holds its result.

        Raises: UnableError.
        """
        try:
            await self._submit(list(records), 0)
        except StoreLostError as error:
            raise UnableError(f"the pipelines' store: {error}") from error

    async def _answers(self, place: Place, ops: Sequence[Op]) -> list[Any]:
        if not ops:
            return []
        if isinstance(ops[0], Pause):
            # Two that met once shall not meet again.
            await asyncio.sleep(ops[0].seconds * random.uniform(0.5, 1.5))  # noqa: S311
            return [Answer.DONE]
        records = [record_of(place, each) for each in ops]
        failed: set[int] = set()
        parts = list(_parts(ops))
        results = await asyncio.gather(
            *[self._submit(records[part.start : part.stop], size) for part, size in parts],
            return_exceptions=True,
        )
        for (part, _), result in zip(parts, results, strict=True):
            if isinstance(result, StoreLostError):
                failed.update(part)
            elif isinstance(result, BaseException):
                raise result
        answers = [
            Answer.LOST if number in failed else answer_of(op, records[number], self.clock)
            for number, op in enumerate(ops)
        ]
        for answer in answers:
            if isinstance(answer, Book | Opened):
                self._ahead_ms = answer.now_ms - _own_ms()
        return answers

    async def _submit(self, records: list[BatchRecord], size: int) -> None:
        deadline_s = asyncio.get_running_loop().time() + _TRIP_S + _RECORD_S * len(records)
        await self._caller.do_records(records, size, deadline_s)
        for pause_s in _BUSY_PAUSES_S:
            busy = [record for record in records if record.result == BUSY]
            if not busy:
                return
            await asyncio.sleep(pause_s)
            await self._caller.do_records(busy, size, deadline_s)


def _own_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _parts(ops: Sequence[Op]) -> Iterator[tuple[range, int]]:
    """Cut operations into what the client takes at once; give the bytes of each part."""
    start = size = 0
    for number, op in enumerate(ops):
        more = size_of(op)
        if number > start and (number - start == _RECORDS_MAX or size + more > _BYTES_MAX):
            yield range(start, number), size
            start, size = number, 0
        size += more
    yield range(start, len(ops)), size
