"""The document cache that several gateways share: Aerospike.

A record is a hit only if its stamp equals the fences of its namespace, and those are in a record
that no eviction takes. The rules are those of `coherence`. While the cluster cannot be reached,
writes are refused, or go on and owe it the bumps: until they are paid this gateway serves no hits
of the namespaces concerned, but others may serve older rows.
"""

import asyncio
import itertools
import logging
import math
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from hevfast.cache import aerospike_documents as documents
from hevfast.cache import aerospike_registry as registries
from hevfast.cache.aerospike_caller import Caller
from hevfast.cache.aerospike_client import (
    AerospikeCluster,
    StoreFullError,
    StoreLostError,
)
from hevfast.cache.aerospike_documents import Lives, Merge, Seen
from hevfast.cache.aerospike_driver import Driver, Terms, Write
from hevfast.cache.aerospike_group import CALL_RECORDS_MAX
from hevfast.cache.aerospike_pieces import PIECE_ROWS_MAX, Roll, digests_of, pieces_of
from hevfast.cache.aerospike_registry import Place, Span, layout_of
from hevfast.cache.coherence import on, start
from hevfast.cache.course import Course, Mode, Phase
from hevfast.cache.events import (
    Action,
    Answer,
    Applied,
    AwaitLapse,
    Crowded,
    DoubtLapsed,
    Event,
    Rejected,
    Unknown,
    Verdict,
)
from hevfast.cache.keys import Keys
from hevfast.cache.operations import Sweep
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Found, Lease, Part, Ticket, Touched
from hevfast.cache.witness import NOBODY, Condition, Witness
from hevfast.core.clock import MS_PER_S, monotonic_s

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")

# Seconds one call of this store may take, and what each row and each byte of a batch adds.
_DEADLINE_S: Final = 0.2
_DEADLINE_ROW_S: Final = 0.000_05
_DEADLINE_BYTE_S: Final = 0.000_000_02

# Writes in doubt that each wait for their end. An upstream that sheds load answers thousands a
# second with 503; one more than this voids its namespace instead.
_DOUBTS_MAX: Final = 10_000

# Seconds for work that nobody waits for.
_UPKEEP_S: Final = 10.0

# Seconds between attempts to pay what is owed.
_PAY_S: Final = 0.25

# Seconds that records live at least, and twice that at most. It bounds how long a row can be
# served that this store was never told of.
_RECORD_LIFE_S: Final = 3600


class AerospikeStore:
    """A `Store` on an Aerospike cluster.

    `namespace` holds the documents, `registry_namespace` the fences: one of its own, whose records
    never expire, goes on when the documents' is full. `set_prefix` keeps gateways apart that share
    a cluster and not a cache. `cluster_name`: no other cluster is used; empty: any is.
    `lapse_s`: a token this old belongs to a writer that is gone. `doubt_s`: how long upstream may
    still apply a write whose connection was lost. `digest_of` gives the digest of an id's text, as
    it is in `Touched.digests`. `merge` makes a row of a cached one and a patch; without it, patched
    rows are removed. `mode`: what becomes of writes while the cluster cannot be reached.

    Raises: ValueError if the prefix is too long.
    """

    def __init__(
        self,
        hosts: Sequence[tuple[str, int]],
        namespace: str,
        *,
        lapse_s: float,
        doubt_s: float,
        digest_of: Callable[[bytes], bytes],
        merge: Merge | None = None,
        registry_namespace: str | None = None,
        set_prefix: str = "hevfast_",
        cluster_name: str = "",
        record_life_s: int = _RECORD_LIFE_S,
        mode: Mode = Mode.OPEN,
        witness: Witness = NOBODY,
    ) -> None:
        self._mode = mode
        self._layout = layout_of(namespace, registry_namespace, set_prefix)
        self._lapse_ms = int(lapse_s * MS_PER_S)
        self._doubt_s = doubt_s
        self._digest_of = digest_of
        self._lives = Lives(record_life_s)
        self._cluster = AerospikeCluster(hosts, cluster_name)
        terms = Terms(self._lives, math.ceil(2 * lapse_s) + 1, merge)
        self._caller = Caller(self._cluster, witness)
        self._driver = Driver(self._caller, terms)
        # By the number that their tickets carry as their fence.
        self._writes: dict[int, Write] = {}
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[bool]] = set()
        self._marks = itertools.count()
        self._doubts = 0

    def __repr__(self) -> str:
        return f"<AerospikeStore {self._driver!r} {len(self._writes)} writes>"

    async def open(self) -> None:
        # Drawn after the fork, so that no two workers and no two starts share it.
        self._name = os.urandom(8)
        await self._cluster.open()
        await self._check()
        _run_kept(self._tasks, self._tend_forever())
        _run_kept(self._tasks, self._pay_forever())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._ends, return_exceptions=True)
        await self._pay_all()
        await self._cluster.close()

    async def _check(self) -> None:
        """Say at once what would otherwise show in nothing being cached."""
        try:
            await self._caller.do(partial(documents.check, layout=self._layout), _deadline(1))
        except StoreFullError as error:
            LOGGER.error("the cache's cluster keeps no documents that expire: %s", error)
        except StoreLostError:
            # It was logged, and may be better soon.
            return

    # Writes

    async def begin(self, touched: Touched) -> Ticket:
        place = self._layout.place(touched.namespace)
        tokens = self._mark(), self._mark()
        # Which row is of which kind is told at the end.
        course, actions = start(tokens, _keys(touched), b"", self._mode)
        write = Write(touched.namespace, place, course, monotonic_s())
        told = await self._driver.follow(write, (course, actions), _deadline(touched.rows_count))
        if _is_told(told, Verdict.UNAVAILABLE):
            return Ticket(touched, None, refused=True)
        number, token = next(self._numbers), write.course.token
        self._writes[number] = write
        self._driver.begun(write)
        return Ticket(touched, token, number, token is not None and not write.course.young)

    async def end(self, ticket: Ticket, outcome: Outcome, parts: Iterable[Part]) -> bool:
        # In a task of its own: a caller that is cancelled must not leave it half done.
        return await asyncio.shield(_run_kept(self._ends, self._end(ticket, outcome, parts)))

    async def _end(self, ticket: Ticket, outcome: Outcome, parts: Iterable[Part]) -> bool:
        write = self._taken(ticket)
        deadline_s = _deadline(ticket.touched.rows_count)
        if outcome is Outcome.APPLIED:
            told = await self._applied(write, parts, deadline_s)
            return not _is_told(told, Verdict.UNREPAIRED)
        event: Event = Rejected()
        if outcome is Outcome.UNKNOWN:
            event = Unknown() if self._doubts < _DOUBTS_MAX else Crowded()
        told = await self._driver.follow(write, on(write.course, event), deadline_s)
        if any(isinstance(action, AwaitLapse) for action in told):
            self._doubts += 1
            _run_kept(self._tasks, self._end_in_doubt(write))
        return True

    def _taken(self, ticket: Ticket) -> Write:
        """Give the write of a ticket; one that is not known any more is as good as unregistered."""
        touched, token = ticket.touched, ticket.token
        write = self._writes.pop(ticket.fence, None)
        if write is not None:
            return write
        course = self._unregistered(_keys(touched), (token,) if token is not None else ())
        place = self._layout.place(touched.namespace)
        return Write(touched.namespace, place, course, monotonic_s())

    def _unregistered(self, keys: Keys | None, stray: tuple[bytes, ...]) -> Course:
        """Give the course of a write that upstream has, and of which others may not know."""
        return Course(Phase.WORKING, self._mode, keys, b"", stray=stray)

    async def _applied(
        self, write: Write, parts: Iterable[Part], deadline_s: float
    ) -> Sequence[Action]:
        """End a write that upstream has applied, some rows at a time."""
        driver, announced = self._driver, write.course.keys
        if announced is None or write.course.token is None:
            # Only a bump is left to do, and that goes by what begin was told.
            return await driver.follow(write, on(write.course, Applied()), deadline_s)
        await driver.resolve(write, deadline_s)
        roll = Roll(announced)
        pieces = pieces_of(parts)
        for piece in pieces:
            deadline_s += piece.bytes * _DEADLINE_BYTE_S
            called = roll.call(piece.rows, piece.kinds)
            if called is None:
                # Nobody could know of these rows: nothing but a bump is safe.
                beside = {*announced.view(), *digests_of(piece, pieces)}
                write.course = self._unregistered(Keys.of(beside), write.course.tokens())
                return await driver.follow(write, on(write.course, Applied()), deadline_s)
            keys, kinds = called
            silent = roll.silent() if piece.last else Keys(b"")
            write.rows = piece.rows
            event = Applied(kinds, keys, last=piece.last and not silent)
            told = await driver.follow(write, on(write.course, event), deadline_s)
            if write.course.phase is not Phase.AMID:
                return told
        write.rows = []
        return await self._unstated(write, silent, deadline_s)

    async def _unstated(self, write: Write, keys: Keys, deadline_s: float) -> Sequence[Action]:
        """End rows of which nobody knows what became, some at a time."""
        told: Sequence[Action] = ()
        for first in range(0, max(len(keys), 1), PIECE_ROWS_MAX):
            some = keys.some(first, PIECE_ROWS_MAX)
            last = first + PIECE_ROWS_MAX >= len(keys)
            event: Event = Applied(bytes([Kind.UNSTATED]) * len(some), some, last)
            if write.course.phase is Phase.DOUBTING:
                event = DoubtLapsed(some, last)
            told = await self._driver.follow(write, on(write.course, event), deadline_s)
            if write.course.phase is not Phase.AMID:
                break
        return told

    async def _end_in_doubt(self, write: Write) -> None:
        """Keep the token until upstream cannot apply the write any more, then end it."""
        try:
            await asyncio.sleep(self._doubt_s)
        finally:
            self._doubts -= 1
        deadline_s, keys = _now() + _UPKEEP_S, write.course.keys
        if keys is None:
            await self._driver.follow(write, on(write.course, DoubtLapsed()), deadline_s)
        else:
            await self._unstated(write, keys, deadline_s)

    # Fetches

    def hit(self, namespace: bytes, text: bytes) -> bytes | None:
        """Say nothing: every answer of the cluster has to be waited for."""
        return None

    async def read(self, namespace: bytes, ids: Sequence[bytes]) -> Found:
        deadline_s = _deadline(len(ids))
        place = self._layout.place(namespace)
        nothing = Found([None] * len(ids), [None] * len(ids), True)
        if namespace in self._driver.debts and not await self._pay(namespace, deadline_s):
            return nothing
        named = [(self._digest_of(text), text) for text in ids]
        works = (
            (
                first,
                partial(self._look_up, place, named[first : first + CALL_RECORDS_MAX], deadline_s),
            )
            for first in range(0, len(named), CALL_RECORDS_MAX)
        )
        many = len(named) > CALL_RECORDS_MAX
        rows: list[bytes | None] = [None] * len(ids)
        leases: list[Lease | None] = [None] * len(ids)
        for first, seen in await self._caller.do_all(works, many=many):
            if seen is None:
                return nothing
            self._take_in(namespace, named, first, seen, rows, leases)
        return Found(rows, leases, False)

    def _look_up(
        self, place: Place, named: Sequence[tuple[bytes, bytes]], deadline_s: float
    ) -> Awaitable[Seen]:
        job = partial(documents.look_up, place=place, named=named, lease=self._mark())
        return self._caller.do(job, deadline_s)

    def _take_in(
        self,
        namespace: bytes,
        named: list[tuple[bytes, bytes]],
        first: int,
        seen: Seen,
        rows: list[bytes | None],
        leases: list[Lease | None],
    ) -> None:
        if seen.busy:
            self._driver.watch.add(namespace)
        for index, (row, mark) in enumerate(zip(seen.rows, seen.marks, strict=True), first):
            rows[index] = row
            if mark is not None:
                leases[index] = Lease(namespace, named[index][0], mark)

    async def fill(self, lease: Lease, row: bytes) -> bool:
        job = partial(
            documents.fill,
            place=self._layout.place(lease.namespace),
            digest=lease.digest,
            mark=lease.mark,
            row=row,
            lives=self._lives,
        )
        return await self._caller.tries(job, _deadline(1))

    # Upkeep

    def condition(self) -> Condition:
        return self._driver.condition(self._cluster.is_connected, self._doubts)

    async def _tend_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lapse_ms / (4 * MS_PER_S))
            await self._tend()

    async def _tend(self) -> None:
        """Sweep the tokens of dead writers, and let young registries come of age."""
        forgotten_s = monotonic_s() - self._lapse_ms / MS_PER_S
        for number in [n for n, write in self._writes.items() if write.begun_s < forgotten_s]:
            # Its handler is gone. The token is swept as that of any dead writer.
            del self._writes[number]
        for namespace in self._driver.watch:
            try:
                await self._tend_to(namespace, self._layout.place(namespace))
            except StoreFullError as error:
                LOGGER.debug("upkeep of the cache was put off: %s", error)
            except StoreLostError as error:
                LOGGER.debug("upkeep of the cache was put off: %s", error)
                return

    async def _tend_to(self, namespace: bytes, place: Place) -> None:
        driver, span = self._driver, Span(0, 0)
        look = partial(registries.look, place=place, span=span)
        registry = await self._caller.do(look, _now() + _UPKEEP_S)
        now_ms = int(monotonic_s() * MS_PER_S)
        for deed in driver.watch.due(namespace, registry, now_ms, self._lapse_ms):
            if isinstance(deed, Sweep):
                job = partial(registries.sweep, place=place, swept=deed)
            else:
                job = partial(registries.mature, place=place, matured=deed)
            await self._caller.do(job, _now() + _UPKEEP_S)

    async def _pay_forever(self) -> None:
        while True:
            await asyncio.sleep(_PAY_S)
            await self._pay_all()

    async def _pay_all(self) -> None:
        for namespace in self._driver.debts:
            if not await self._pay(namespace, _deadline(1)):
                return

    async def _pay(self, namespace: bytes, deadline_s: float) -> bool:
        """Pay what is owed to a namespace; say whether its hits may be served."""
        try:
            return await self._driver.pay(namespace, self._layout.place(namespace), deadline_s)
        except (StoreLostError, StoreFullError):
            return False

    def _mark(self) -> bytes:
        """Give 16 bytes that no other write or fetch has had."""
        return self._name + next(self._marks).to_bytes(8, "big")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _deadline(rows_count: int) -> float:
    """Give the moment by which a call has to be over, by the loop's clock."""
    return _now() + _DEADLINE_S + rows_count * _DEADLINE_ROW_S


def _keys(touched: Touched) -> Keys | None:
    return None if touched.digests is None else Keys(touched.digests)


def _is_told(told: Iterable[Action], verdict: Verdict) -> bool:
    return any(isinstance(action, Answer) and action.verdict is verdict for action in told)


def _run_kept(tasks: "set[asyncio.Task[T]]", work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Start a task that is kept until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
