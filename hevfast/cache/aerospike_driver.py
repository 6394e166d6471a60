"""Carries out what the courses of writes ask for, and tells them what became of it."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar

# The client's own stubs leave its helpers out.
from aerospike_helpers.batch.records import (  # type: ignore[import-untyped]
    BatchRecord,
)

from hevfast.cache import aerospike_documents as documents
from hevfast.cache import aerospike_registry as registries
from hevfast.cache import operations as ops
from hevfast.cache.aerospike_caller import Caller
from hevfast.cache.aerospike_client import (
    StoreAwayError,
    StoreFullError,
    StoreLostError,
)
from hevfast.cache.aerospike_documents import Call, Lives, Merge, MirroredRow, Mirroring
from hevfast.cache.aerospike_group import CALL_RECORDS_MAX, Followed
from hevfast.cache.aerospike_registry import Asked, Place, Span
from hevfast.cache.aerospike_upkeep import Debt, Debts, Lists, Watch
from hevfast.cache.coherence import on
from hevfast.cache.course import Course, Phase, Step
from hevfast.cache.events import (
    Action,
    AwaitLapse,
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
from hevfast.cache.records import Record
from hevfast.cache.registry import Token
from hevfast.cache.witness import Condition
from hevfast.core.names import Failure, Incident, StoreKind

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")

# Attempts at records that are busy, or at removing those that were refused.
_ATTEMPTS_MAX: Final = 4

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
    # In the order of the course's rows, as far as there are any.
    rows: list[MirroredRow] = field(default_factory=list)


class Terms(NamedTuple):
    """How records are kept."""

    lives: Lives
    list_life_s: int
    merge: Merge | None


class Driver:
    """Has the cluster called as the courses want it."""

    def __init__(self, caller: Caller, terms: Terms) -> None:
        self.watch = Watch()
        self.debts = Debts()
        self._caller = caller
        self._terms = terms
        self._lists = Lists(_LISTS_BYTES_MAX)

    def __repr__(self) -> str:
        return f"<Driver {self._caller!r} {self.watch!r} {self.debts!r}>"

    async def follow(self, write: Write, step: Step, deadline_s: float) -> list[Action]:
        """Go on until upstream, or nobody, is to be heard; give what is to be told to whom."""
        told: list[Action] = []
        while True:
            write.course, actions = step
            wanted: ops.StoreOp | None = None
            for action in actions:
                if isinstance(action, Owe):
                    self._owe(write.namespace, action.debt)
                elif isinstance(action, ops.StoreOp):
                    wanted = action
                else:
                    if isinstance(action, AwaitLapse):
                        self._caller.witness.saw(Incident.IN_DOUBT)
                    told.append(action)
            if wanted is None:
                return told
            step = on(write.course, await self._event(write, wanted, deadline_s))

    def begun(self, write: Write) -> None:
        """Take in what became of a write's begin."""
        if write.course.token is None:
            self._caller.witness.saw(Incident.UNANNOUNCED)
        else:
            self.watch.add(write.namespace)

    def condition(self, connected: bool, doubtful: int) -> Condition:
        caller = self._caller
        is_open, owed = caller.breaker.is_open, len(self.debts)
        return Condition(StoreKind.AEROSPIKE, is_open, connected, caller.calls, doubtful, owed)

    async def resolve(self, write: Write, deadline_s: float) -> None:
        """Read the digest lists that those before this write keep elsewhere."""
        if any(token.held == ELSEWHERE for token in write.course.seen):
            tokens = await self._with_lists(write.place, write.course.seen, deadline_s)
            write.course, _ = on(write.course, Resolved(tokens))

    async def pay(self, namespace: bytes, place: Place, deadline_s: float) -> bool:
        """Pay what is owed to a namespace; say whether nothing is owed any more."""
        debt = self.debts.get(namespace)
        if debt is not None:
            try:
                if isinstance(debt, ops.RemoveRegistry):
                    await self._caller.do(partial(registries.remove, place=place), deadline_s)
                else:
                    repair = partial(registries.repair, place=place, repaired=debt)
                    await self._caller.do(repair, deadline_s)
            except StoreFullError:
                # Tokens alone are swept when there is room again.
                if isinstance(debt, ops.Repair) and debt.bumps:
                    await self._caller.do(partial(registries.remove, place=place), deadline_s)
            self.debts.paid(namespace, debt)
        return namespace not in self.debts

    def _owe(self, namespace: bytes, debt: Debt) -> None:
        self._caller.witness.saw(Incident.OWED)
        if not self.debts.owe(namespace, debt):
            LOGGER.error("too many namespaces changed without the cache: one may be served stale")

    # Operations of a course

    async def _event(self, write: Write, wanted: ops.StoreOp, deadline_s: float) -> Event:
        bumping = write.course.phase in _BUMPING
        try:
            return await self._done(write, wanted, deadline_s)
        except StoreFullError:
            self._note_loss(wanted)
            return Full()
        except StoreLostError as error:
            self._note_loss(wanted)
            if bumping and isinstance(error, StoreAwayError):
                return OutOfTime()
            if bumping:
                await asyncio.sleep(_AGAIN_S)
            elif isinstance(wanted, ops.DropTokens):
                # Swept in the end; but until then its rows would not be cached.
                self._owe(write.namespace, ops.Repair(wanted.tokens, NO_BUMPS))
            return Lost()

    def _note_loss(self, wanted: ops.StoreOp) -> None:
        if isinstance(wanted, ops.Mirror):
            self._caller.witness.saw(Incident.MIRROR_FAILED)

    async def _done(self, write: Write, wanted: ops.StoreOp, deadline_s: float) -> Event:
        place = write.place
        if isinstance(wanted, ops.Begin):
            return await self._began(place, wanted, deadline_s)
        if isinstance(wanted, ops.ReadBases):
            return await self._bases(write, wanted.rows, deadline_s)
        if isinstance(wanted, ops.ReadRegistry):
            return await self._looked(write, deadline_s)
        if isinstance(wanted, ops.Mirror):
            return await self._mirrored(write, wanted, deadline_s)
        if isinstance(wanted, ops.Finish):
            return await self._finished(place, wanted, deadline_s)
        if isinstance(wanted, ops.Repair):
            await self._caller.do(
                partial(registries.repair, place=place, repaired=wanted), deadline_s
            )
        elif isinstance(wanted, ops.DropTokens):
            await self._caller.do(
                partial(registries.drop_tokens, place=place, dropped=wanted), deadline_s
            )
        else:
            await self._caller.do(partial(registries.remove, place=place), deadline_s)
            self._caller.witness.saw(Incident.VOIDED)
        return Done()

    async def _began(self, place: Place, begin: ops.Begin, deadline_s: float) -> Began:
        asked = registries.begin(place, begin, self._terms.list_life_s)
        bins = await self._caller.operate(asked, deadline_s)
        if bins is None:
            bins = await self._caller.do(asked.alone, deadline_s)
        return Began(registries.began(asked, bins))

    async def _finished(self, place: Place, finish: ops.Finish, deadline_s: float) -> Finished:
        asked = registries.finish(place, finish)
        return await self._read_finish(
            asked, await self._caller.operate(asked, deadline_s), deadline_s
        )

    async def _read_finish(
        self, asked: Asked, bins: dict[str, Any] | None, deadline_s: float
    ) -> Finished:
        if bins is None:
            bins = await self._caller.do(partial(registries.finish_alone, asked=asked), deadline_s)
        return registries.finished(bins)

    async def _looked(self, write: Write, deadline_s: float) -> Looked:
        fence = write.course.fence
        assert fence is not None, "only a write that has begun looks again"
        # The same counters as at begin, to be compared.
        span = Span.read_by(fence)
        registry = await self._caller.do(
            partial(registries.look, place=write.place, span=span), deadline_s
        )
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

        async def read(part: Sequence[bytes]) -> dict[bytes, bytes]:
            reads = documents.list_reads(place, part)
            await self._caller.do_records(reads, 0, deadline_s)
            return documents.lists_of(part, reads)

        works = ((None, partial(read, part)) for part in _parts(wanted))
        for _, lists in await self._caller.do_all(works, many=False):
            # One that cannot be had holds all keys.
            self._lists.keep(lists or {})
        return tuple(self._lists.known(token) for token in tokens)

    async def _bases(self, write: Write, numbers: Sequence[int], deadline_s: float) -> Bases:
        keys = write.course.rows
        assert keys is not None, "rows are patched when they are told"

        async def read(part: Sequence[int]) -> list[tuple[int, Record]]:
            reads = documents.base_reads(write.place, keys, part)
            await self._caller.do_records(reads, 0, deadline_s)
            return documents.bases_of(write.rows, part, reads)

        works = ((None, partial(read, part)) for part in _parts(numbers))
        parts = await self._caller.do_all(works, many=len(numbers) > CALL_RECORDS_MAX)
        return Bases(tuple(each for _, bases in parts for each in bases or ()))

    async def _mirrored(self, write: Write, mirror: ops.Mirror, deadline_s: float) -> Event:
        terms, bases = self._terms, dict(mirror.bases)
        mirroring = Mirroring(write.place, mirror, write.rows, bases, terms.merge, terms.lives)
        calls = documents.calls_of(mirror, write.rows)
        if len(mirror.deeds) <= CALL_RECORDS_MAX:
            first = next(calls)
            rest = next(calls, None)
            if rest is None:
                return await self._put_and_finish(write, mirroring, first, deadline_s)
            calls = chain((first, rest), calls)
        unconfirmed = set[int]()
        late_s = deadline_s - _FINISH_S
        works = ((call, partial(self._put, mirroring, call, late_s)) for call in calls)
        for call, left in await self._caller.do_all(works, many=True):
            unconfirmed.update(call.numbers if left is None else left)
        if unconfirmed:
            self._note_loss(mirror)
        return Mirrored(frozenset(unconfirmed))

    async def _put_and_finish(
        self, write: Write, mirroring: Mirroring, call: Call, deadline_s: float
    ) -> Event:
        """Put and remove records, and finish the write with them: one thread does both.

        The course is asked what it would want if all are confirmed. Are they not, it has not taken
        that step, and hears of them.
        """
        course, actions = on(write.course, Mirrored())
        if not (len(actions) == 1 and isinstance(actions[0], ops.Finish)):
            return Mirrored(frozenset(await self._put(mirroring, call, deadline_s - _FINISH_S)))
        following = registries.finish(write.place, actions[0])
        asked = dict.fromkeys(call.numbers, False)
        records = mirroring.records(asked)
        followed = await self._caller.do_followed(records, call.bytes, following, deadline_s)
        if followed is Followed.NOT_ASKED:
            left = await self._put_rest(mirroring, call, records, deadline_s - _FINISH_S)
            return Mirrored(frozenset(left))
        write.course = course
        if followed is Followed.LOST:
            raise StoreLostError("no answer to a finish")
        return await self._read_finish(following, following.answers(), deadline_s)

    async def _put(self, mirroring: Mirroring, call: Call, deadline_s: float) -> list[int]:
        """Put and remove some records; give the rows that are not confirmed."""
        records = mirroring.records(dict.fromkeys(call.numbers, False))
        await self._caller.do_records(records, call.bytes, deadline_s)
        return await self._put_rest(mirroring, call, records, deadline_s)

    async def _put_rest(
        self, mirroring: Mirroring, call: Call, records: list[BatchRecord], deadline_s: float
    ) -> list[int]:
        """Try those again that were not done; give the rows that are not confirmed."""
        asked = dict.fromkeys(call.numbers, False)
        unconfirmed: list[int] = []
        for attempt in range(_ATTEMPTS_MAX):
            if attempt:
                records = mirroring.records(asked)
                await self._caller.do_records(records, call.bytes, deadline_s)
            left = documents.left_of(asked, records)
            if any(left.again.values()):
                # Refused, and to be removed instead.
                self._caller.witness.failed(Failure.FULL)
                self._note_loss(mirroring.mirror)
            unconfirmed += left.unconfirmed
            asked = left.again
            if not asked:
                break
        return [*unconfirmed, *asked]


def _parts(numbers: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(numbers), CALL_RECORDS_MAX):
        yield numbers[start : start + CALL_RECORDS_MAX]
