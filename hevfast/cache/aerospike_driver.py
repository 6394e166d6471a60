"""Carries out what the courses of writes ask for, and tells them what became of it."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, TypeVar

from hevfast.cache import aerospike_documents as documents
from hevfast.cache import aerospike_registry as registries
from hevfast.cache import operations as ops
from hevfast.cache.aerospike_client import (
    AerospikeCluster,
    Job,
    StoreAwayError,
    StoreFullError,
    StoreLostError,
)
from hevfast.cache.aerospike_documents import (
    CALL_RECORDS_MAX,
    Lives,
    Merge,
    MirroredRow,
    Mirroring,
)
from hevfast.cache.aerospike_registry import Place, Span
from hevfast.cache.aerospike_upkeep import Debts, Lists, Watch
from hevfast.cache.breaker import Breaker
from hevfast.cache.coherence import on
from hevfast.cache.course import Course, Phase, Step
from hevfast.cache.events import (
    Action,
    Bases,
    Began,
    Done,
    Event,
    Finished,
    Full,
    Looked,
    Lost,
    Mirrored,
    OutOfTime,
    Owe,
    Resolved,
)
from hevfast.cache.keys import ELSEWHERE, NO_BUMPS
from hevfast.cache.registry import Token
from hevfast.core.clock import monotonic_s

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")
K = TypeVar("K")

# Calls of one batch under way at once: one bulk write must not take all threads.
_CALLS_AT_ONCE: Final = 2

# Seconds kept for the finish, when a batch takes up all the time there is.
_FINISH_S: Final = 0.06

# Seconds between attempts at a repair.
_AGAIN_S: Final = 0.02

# Bytes of other writes' digest lists kept in memory.
_LISTS_BYTES_MAX: Final = 16 * 1024 * 1024

# Phases in which nothing but a bump is left to do, and which end when time is up.
_BUMPING: Final = frozenset((Phase.REPAIRING, Phase.REMOVING))


@dataclass(slots=True)
class Write:
    """A write between its begin and its end."""

    namespace: bytes
    place: Place
    course: Course
    begun_s: float
    # In the order of the course's keys, as far as there are any.
    rows: list[MirroredRow] = field(default_factory=list)


class Terms(NamedTuple):
    """How records are kept."""

    lives: Lives
    list_life_s: int
    merge: Merge | None


class Driver:
    """Calls the cluster as the courses want it, unless the breaker says to leave it alone."""

    def __init__(self, cluster: AerospikeCluster, terms: Terms) -> None:
        self.breaker = Breaker()
        self.watch = Watch()
        self.debts = Debts()
        self._cluster = cluster
        self._terms = terms
        self._lists = Lists(_LISTS_BYTES_MAX)

    def __repr__(self) -> str:
        return f"<Driver {self._cluster!r} {self.breaker!r} {self.watch!r} {self.debts!r}>"

    async def do(self, job: Job[T], deadline_s: float) -> T:
        """Do a job. `deadline_s`: by the loop's clock.

        Raises: StoreLostError, StoreFullError.
        """
        if deadline_s <= asyncio.get_running_loop().time():
            raise StoreAwayError("no time is left")
        if not self.breaker.allows(monotonic_s()):
            raise StoreAwayError("it has failed, and is left alone for a while")
        try:
            result = await self._cluster.call(job, deadline_s)
        except StoreFullError:
            self.breaker.succeeded()
            raise
        except asyncio.CancelledError:
            if self.breaker.is_open:
                # This may have been the one call that was let through.
                self.breaker.failed(monotonic_s())
            raise
        except Exception as error:
            self.breaker.failed(monotonic_s())
            if isinstance(error, StoreLostError):
                LOGGER.warning("the cache failed: %s", error)
                raise
            LOGGER.exception("the cache holds what cannot be understood")
            raise StoreLostError(str(error)) from error
        self.breaker.succeeded()
        return result

    async def do_all(
        self, jobs: Iterable[tuple[K, Job[T]]], deadline_s: float, *, many: bool
    ) -> list[tuple[K, T | None]]:
        """Do jobs, some at once if they are many. None: one failed."""
        left: Iterator[tuple[K, Job[T]]] = iter(jobs)
        results: list[tuple[K, T | None]] = []

        async def drain() -> None:
            for key, job in left:
                try:
                    results.append((key, await self.do(job, deadline_s)))
                except (StoreLostError, StoreFullError):
                    results.append((key, None))

        if many:
            await asyncio.gather(*(drain() for _ in range(_CALLS_AT_ONCE)))
        else:
            await drain()
        return results

    async def follow(self, write: Write, step: Step, deadline_s: float) -> list[Action]:
        """Go on until upstream, or nobody, is to be heard; give what is to be told to whom."""
        told: list[Action] = []
        while True:
            write.course, actions = step
            wanted: ops.StoreOp | None = None
            for action in actions:
                if isinstance(action, Owe):
                    self._owe(write.namespace, action.repair)
                elif isinstance(action, ops.StoreOp):
                    wanted = action
                else:
                    told.append(action)
            if wanted is None:
                return told
            step = on(write.course, await self._event(write, wanted, deadline_s))

    async def resolve(self, write: Write, deadline_s: float) -> None:
        """Read the digest lists that those before this write keep elsewhere."""
        if any(token.held == ELSEWHERE for token in write.course.seen):
            tokens = await self._with_lists(write.place, write.course.seen, deadline_s)
            write.course, _ = on(write.course, Resolved(tokens))

    async def pay(self, namespace: bytes, place: Place, deadline_s: float) -> bool:
        """Pay what is owed to a namespace; say whether nothing is owed any more."""
        repair = self.debts.get(namespace)
        if repair is not None:
            try:
                await self.do(partial(registries.repair, place=place, repaired=repair), deadline_s)
            except StoreFullError:
                # Tokens alone are swept when there is room again.
                if repair.bumps:
                    await self.do(partial(registries.remove, place=place), deadline_s)
            self.debts.paid(namespace, repair)
        return namespace not in self.debts

    def _owe(self, namespace: bytes, repair: ops.Repair) -> None:
        if not self.debts.owe(namespace, repair):
            LOGGER.error("too many namespaces changed without the cache: one may be served stale")

    # Operations of a course

    async def _event(self, write: Write, wanted: ops.StoreOp, deadline_s: float) -> Event:
        bumping = write.course.phase in _BUMPING
        try:
            return await self._done(write, wanted, deadline_s)
        except StoreFullError:
            return Full()
        except StoreLostError as error:
            if bumping and isinstance(error, StoreAwayError):
                return OutOfTime()
            if bumping:
                await asyncio.sleep(_AGAIN_S)
            elif isinstance(wanted, ops.DropTokens):
                # Swept in the end; but until then its rows would not be cached.
                self._owe(write.namespace, ops.Repair(wanted.tokens, NO_BUMPS))
            return Lost()

    async def _done(self, write: Write, wanted: ops.StoreOp, deadline_s: float) -> Event:
        place = write.place
        if isinstance(wanted, ops.Begin):
            life_s = self._terms.list_life_s
            begin = partial(registries.begin, place=place, begun=wanted, list_life_s=life_s)
            return Began(await self.do(begin, deadline_s))
        if isinstance(wanted, ops.ReadBases):
            return await self._bases(write, wanted.rows, deadline_s)
        if isinstance(wanted, ops.ReadRegistry):
            return await self._looked(write, deadline_s)
        if isinstance(wanted, ops.Mirror):
            return await self._mirrored(write, wanted, deadline_s - _FINISH_S)
        if isinstance(wanted, ops.Finish):
            return await self._finished(place, wanted, deadline_s)
        if isinstance(wanted, ops.Repair):
            await self.do(partial(registries.repair, place=place, repaired=wanted), deadline_s)
        elif isinstance(wanted, ops.DropTokens):
            await self.do(partial(registries.drop_tokens, place=place, dropped=wanted), deadline_s)
        else:
            await self.do(partial(registries.remove, place=place), deadline_s)
        return Done()

    async def _finished(self, place: Place, finish: ops.Finish, deadline_s: float) -> Finished:
        return await self.do(partial(registries.finish, place=place, finished=finish), deadline_s)

    async def _looked(self, write: Write, deadline_s: float) -> Looked:
        fence = write.course.fence
        assert fence is not None, "only a write that has begun looks again"
        # The same counters as at begin, to be compared.
        span = Span.read_by(fence)
        registry = await self.do(partial(registries.look, place=write.place, span=span), deadline_s)
        if registry is None:
            return Looked(None)
        tokens = await self._with_lists(write.place, registry.tokens, deadline_s)
        return Looked(registry._replace(tokens=tokens))

    async def _with_lists(
        self, place: Place, tokens: Sequence[Token], deadline_s: float
    ) -> tuple[Token, ...]:
        wanted = [
            token.id for token in tokens if token.held == ELSEWHERE and token.id not in self._lists
        ]
        jobs = (
            (None, partial(documents.read_lists, place=place, tokens=part))
            for part in _parts(wanted)
        )
        for _, lists in await self.do_all(jobs, deadline_s, many=False):
            # One that cannot be had holds all keys.
            self._lists.keep(lists or {})
        return tuple(self._lists.known(token) for token in tokens)

    async def _bases(self, write: Write, numbers: Sequence[int], deadline_s: float) -> Bases:
        keys = write.course.keys
        assert keys is not None, "a write of everything patches nothing"
        jobs = (
            (
                None,
                partial(
                    documents.read_bases,
                    place=write.place,
                    keys=keys,
                    rows=write.rows,
                    numbers=part,
                ),
            )
            for part in _parts(numbers)
        )
        many = len(numbers) > CALL_RECORDS_MAX
        parts = await self.do_all(jobs, deadline_s, many=many)
        return Bases(tuple(each for _, bases in parts for each in bases or ()))

    async def _mirrored(self, write: Write, mirror: ops.Mirror, deadline_s: float) -> Mirrored:
        terms, bases = self._terms, dict(mirror.bases)
        mirroring = Mirroring(write.place, mirror, write.rows, bases, terms.merge, terms.lives)
        jobs = (
            (numbers, partial(documents.mirror_rows, mirroring=mirroring, numbers=numbers))
            for numbers in documents.calls_of(mirror, write.rows)
        )
        many = len(mirror.deeds) > CALL_RECORDS_MAX
        unconfirmed = set[int]()
        for numbers, left in await self.do_all(jobs, deadline_s, many=many):
            unconfirmed.update(numbers if left is None else left)
        return Mirrored(frozenset(unconfirmed))


def _parts(numbers: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(numbers), CALL_RECORDS_MAX):
        yield numbers[start : start + CALL_RECORDS_MAX]
