"""Calls the cluster, unless the breaker says to leave it alone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

# The client's own stubs leave its helpers out.
from aerospike_helpers.batch.records import (  # type: ignore[import-untyped]
    BatchRecord,
    Read,
)

from hevfast.cache.aerospike_client import (
    AerospikeCluster,
    Job,
    StoreAwayError,
    StoreFullError,
    StoreLateError,
    StoreLostError,
)
from hevfast.cache.aerospike_group import Followed, Group
from hevfast.cache.aerospike_registry import Asked
from hevfast.cache.breaker import Breaker
from hevfast.cache.witness import NOBODY, Witness
from hevfast.core.clock import monotonic_s
from hevfast.core.names import Failure, Incident, Status

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")
K = TypeVar("K")

# Calls of one batch that are asked for at once: enough to keep one on the wire.
_CALLS_AT_ONCE: Final = 2

# Bytes of a record beside its values, amply.
_RECORD_BYTES: Final = 200


# Sets, without the prefix that is common to them.
_DOCUMENTS: Final = "documents"
_REGISTRIES: Final = "registries"

# Operations by the functions that do them; those on a registry go by the function's name.
_ON_DOCUMENTS: Final = {"look_up": "get", "fill": "put", "check": "put"}


class Caller:
    """The calls of one gateway, and what is known of how they fare.

    `least_ms`: what a call that gathers records may take in any case.
    """

    def __init__(
        self, cluster: AerospikeCluster, witness: Witness = NOBODY, least_ms: int = 0
    ) -> None:
        self.breaker = Breaker(partial(witness.saw, Incident.BREAKER_OPENED))
        self.witness = witness
        # Under way.
        self.calls = 0
        self._cluster = cluster
        self._group = Group(cluster.ask, least_ms)

    def __repr__(self) -> str:
        return f"<Caller {self._cluster!r} {self._group!r} {self.breaker!r}>"

    async def do(self, job: Job[T], deadline_s: float) -> T:
        """Do a job. `deadline_s`: by the loop's clock.

        Raises: StoreLostError, StoreFullError.
        """
        self._allow(deadline_s)
        return await self._judged(_named(job), self._cluster.call(job, deadline_s))

    async def tries(self, job: Job[None], deadline_s: float) -> bool:
        """Do a job that need not be done; say whether it was."""
        try:
            await self.do(job, deadline_s)
        except (StoreLostError, StoreFullError):
            return False
        return True

    async def do_records(
        self, records: Sequence[BatchRecord], size: int, deadline_s: float
    ) -> None:
        """Do records, together with those of others; each then holds its own result.

        `size`: bytes of their values. Raises: StoreLostError.
        """
        self._allow(deadline_s)
        size += _RECORD_BYTES * len(records)
        operation = "get" if isinstance(records[0], Read) else "put"
        submitted = self._group.submit(records, size, deadline_s)
        await self._judged((operation, _DOCUMENTS), submitted)

    async def do_followed(
        self, records: Sequence[BatchRecord], size: int, following: Asked, deadline_s: float
    ) -> Followed:
        """Do records, and if that is confirmed of all of them an operation on the registry.

        Says what became of the operation. Raises: StoreLostError, if not even the records are sure.
        """
        self._allow(deadline_s)
        size += _RECORD_BYTES * len(records)
        submitted = self._group.submit(records, size, deadline_s, following=following.record)
        return await self._judged(("put", _DOCUMENTS), submitted)

    async def operate(self, asked: Asked, deadline_s: float) -> dict[str, Any] | None:
        """Do an operation on a registry together with others; None: it is to be done alone.

        Raises: StoreLostError, StoreFullError.
        """
        self._allow(deadline_s)
        return await self._judged(("operate", _REGISTRIES), self._answers(asked, deadline_s))

    async def _answers(self, asked: Asked, deadline_s: float) -> dict[str, Any] | None:
        records = [*asked.before, asked.record]
        await self._group.submit(records, asked.bytes + _RECORD_BYTES, deadline_s)
        return asked.answers()

    def _allow(self, deadline_s: float) -> None:
        if deadline_s <= asyncio.get_running_loop().time():
            self.witness.failed(Failure.NOT_TRIED)
            raise StoreAwayError("no time is left")
        if not self.breaker.allows(monotonic_s()):
            self.witness.failed(Failure.NOT_TRIED)
            raise StoreAwayError("it has failed, and is left alone for a while")

    async def _judged(self, call: tuple[str, str], work: Awaitable[T]) -> T:
        """Wait for work, and tell the breaker how it went. `call`: its operation and set."""
        begun_s, status = monotonic_s(), Status.AEROSPIKE_ERROR
        self.calls += 1
        try:
            result = await work
            status = Status.OK
        except StoreFullError:
            self.breaker.succeeded()
            self.witness.failed(Failure.FULL)
            status = Status.AEROSPIKE_STOP_WRITES
            raise
        except asyncio.CancelledError:
            if self.breaker.is_open:
                # This may have been the one call that was let through.
                self.breaker.failed(monotonic_s())
            raise
        except Exception as error:
            self.breaker.failed(monotonic_s())
            self.witness.failed(_failure_of(error))
            if isinstance(error, StoreLateError):
                status = Status.TIMEOUT
            if isinstance(error, StoreLostError):
                LOGGER.warning("Aerospike failed: %s", error)
                raise
            LOGGER.exception("the cache holds what cannot be understood")
            raise StoreLostError(str(error)) from error
        finally:
            self.calls -= 1
            self.witness.called(*call, status, monotonic_s() - begun_s)
        self.breaker.succeeded()
        return result

    async def do_all(
        self, works: Iterable[tuple[K, Callable[[], Awaitable[T]]]], *, many: bool
    ) -> list[tuple[K, T | None]]:
        """Do work after work, some at once if they are many. None: one failed."""
        left: Iterator[tuple[K, Callable[[], Awaitable[T]]]] = iter(works)
        results: list[tuple[K, T | None]] = []

        async def drain() -> None:
            for key, work in left:
                try:
                    results.append((key, await work()))
                except (StoreLostError, StoreFullError):
                    results.append((key, None))

        if many:
            await asyncio.gather(*(drain() for _ in range(_CALLS_AT_ONCE)))
        else:
            await drain()
        return results


def _named(job: Job[Any]) -> tuple[str, str]:
    """Give the operation and the set of a job."""
    if not isinstance(job, partial):
        # An operation that is done alone, as it could not be together with others.
        return "operate", _REGISTRIES
    name = job.func.__name__
    if name in _ON_DOCUMENTS:
        return _ON_DOCUMENTS[name], _DOCUMENTS
    return name, _REGISTRIES


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, StoreLateError):
        return Failure.LATE
    if isinstance(error, StoreAwayError):
        return Failure.NOT_TRIED
    return Failure.FAILED if isinstance(error, StoreLostError) else Failure.DAMAGED
