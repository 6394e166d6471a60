"""The document cache of one host: LMDB, shared by its worker processes.

Every step is one serializable transaction, so no fences of single rows and no clocks are needed:
writes that overlap see each other's tokens and spoil what they share. Reads run on the event loop,
in a transaction that ends before the next await; writes run on one thread.
"""

import asyncio
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import lmdb

from hevfast.cache import transactional as rules
from hevfast.cache.breaker import Breaker
from hevfast.cache.fence_page import FencePage
from hevfast.cache.lmdb_file import DAMAGE, LmdbFile, View, failure_of, open_file, set_aside
from hevfast.cache.lmdb_step import Step, fits, held_of, hit, namespace_key, tokens_begun
from hevfast.cache.lmdb_writer import LmdbWriter, StoreBusyError
from hevfast.cache.merging import merged
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Found, Lease, Part, Ticket, Touched
from hevfast.cache.transactional import Page
from hevfast.cache.witness import NOBODY, Condition, Witness
from hevfast.core.clock import NS_PER_MS
from hevfast.core.names import Failure, Incident, Replaced, StoreKind

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")
Deed = Callable[[View], T]

# Deeds waiting for the writer; beyond it the store counts as busy.
_WAITING_MAX: Final = 20_000

# Seconds one call may take, and what each row of a batch adds.
_DEADLINE_S: Final = 0.2
_DEADLINE_ROW_S: Final = 0.000_05

# Seconds for work that nobody waits for.
_UPKEEP_S: Final = 10.0

# Milliseconds that a fetch holds its lease before another may take it over: longer than a query to
# upstream takes as a rule.
_LEASE_MS: Final = 5000

# Seconds after which a file that was opened counts as sound.
_SERVED_S: Final = 5.0

# Writes in doubt that each wait for their end. An upstream that sheds load answers thousands a
# second with 503; one more than this voids the store instead.
_DOUBTS_MAX: Final = 10_000

# Share of the size bound over which documents are evicted, and how many in one transaction. The
# rest is for pages that are rewritten and not yet free again, and for a transaction's own.
_FULL: Final = 0.6
_EVICTED_AT_ONCE: Final = 1024

_FAILURES: Final = {TimeoutError: Failure.LATE, StoreBusyError: Failure.BUSY}


class LmdbStore:
    """A `Store` on LMDB.

    `lapse_s`: a token this old belongs to a writer that is gone. `doubt_s`: how long upstream may
    still apply a write whose connection was lost. `digest_of` gives the digest of an id's text, as
    it is in `Touched.digests`.
    """

    def __init__(
        self,
        folder: Path,
        bytes_max: int,
        lapse_s: float,
        doubt_s: float,
        digest_of: Callable[[bytes], bytes],
        witness: Witness = NOBODY,
    ) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._lapse_ms = int(lapse_s * 1000)
        self._doubt_s = doubt_s
        self._digest_of = digest_of
        self._witness = witness
        self._breaker = Breaker(partial(witness.saw, Incident.BREAKER_OPENED))
        self._breaker_clock = time.monotonic
        self._opening = threading.Lock()
        self._writer: LmdbWriter[View] = LmdbWriter(_WAITING_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._hand = b""
        self._doubts = 0
        self._marks = itertools.count()

    def __repr__(self) -> str:
        return f"<LmdbStore {self._folder} {self._breaker!r} {self._writer!r}>"

    async def open(self) -> None:
        # Drawn after the fork, so that no two workers and no two starts share it.
        self._name = os.urandom(8)
        self._page = FencePage(self._folder)
        self._file = open_file(self._folder, self._page, self._bytes_max, self._witness)
        self._writer.start(self._begin, self._failed)
        self._run(self._sweep_forever())
        self._run(self._note_service())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._writer.stop()
        self._file.close()
        self._page.close()

    # Writes

    async def begin(self, touched: Touched) -> Ticket:
        namespace = namespace_key(touched.namespace)
        token, now_ms = self._mark(), monotonic_ms()

        def deed(view: View) -> Page:
            page = self._page.read()
            step = Step(view, namespace, now_ms)
            if not step.insert_alone(token, touched.digests):
                rules.begin(step, token, held_of(touched.digests))
            return page

        page = await self._do(deed, touched.rows_count)
        if page is None:
            # Others in flight cannot know of it. What is cached and what they put is void.
            self._page.change(lambda page: rules.unannounced(page, now_ms))
            self._witness.saw(Incident.UNANNOUNCED)
            return Ticket(touched, None)
        return Ticket(touched, token, page.fence, rules.may_merge(page))

    async def end(self, ticket: Ticket, outcome: Outcome, parts: Iterable[Part]) -> bool:
        namespace = namespace_key(ticket.touched.namespace)
        if outcome is Outcome.REJECTED:
            if ticket.token is not None:
                token = ticket.token
                await self._do(lambda view: Step(view, namespace).drop(token))
        elif outcome is Outcome.UNKNOWN:
            self._witness.saw(Incident.IN_DOUBT)
            held = held_of(ticket.touched.digests)
            # The older row may be what upstream has no more. A fetch may fill it again, and that is
            # what the token is kept for.
            await self._do(lambda view: rules.invalidate(Step(view, namespace), None, held))
            if self._doubts < _DOUBTS_MAX:
                self._doubts += 1
                self._run(self._end_in_doubt(ticket))
            else:
                # From here on it is as one that could not be announced and has died: the page
                # matures, and all is voided once, when it must have ended.
                self._page.change(lambda page: rules.unannounced(page, monotonic_ms()))
                self._witness.saw(Incident.VOIDED)
                if ticket.token is not None:
                    token = ticket.token
                    await self._do(lambda view: Step(view, namespace).drop(token))
        elif ticket.token is None or ticket.touched.digests is None:
            await self._invalidate(ticket)
        elif not ticket.touched.digests:
            # A write without rows, of a schema say: no part would take the token along.
            token = ticket.token
            await self._do(lambda view: Step(view, namespace).drop(token))
        else:
            await self._keep(ticket, ticket.token, parts)
        # The page can always be marked, so there is no write that it cannot make up for.
        return True

    async def _keep(self, ticket: Ticket, token: bytes, parts: Iterable[Part]) -> None:
        """Put the rows, a part a transaction, so that other workers get the writer lock between."""
        namespace = namespace_key(ticket.touched.namespace)
        each = iter(parts)
        part = next(each, None)
        while part is not None:
            following = next(each, None)

            def deed(view: View, part: Part = part, last: bool = following is None) -> bool:
                step = Step(view, namespace)
                if not _mirrored(step, token, part, ticket):
                    return False
                if last:
                    # With the last part: until then the token speaks for the rows to come.
                    step.drop(token)
                return True

            if not await self._do(deed, len(part[1])):
                self._witness.saw(Incident.MIRROR_FAILED)
                await self._invalidate(ticket)
                return
            part = following

    async def _invalidate(self, ticket: Ticket) -> None:
        """Take out what the write touched; if the store cannot, void all it holds."""
        namespace = namespace_key(ticket.touched.namespace)
        held = held_of(ticket.touched.digests)

        def deed(view: View) -> bool:
            rules.invalidate(Step(view, namespace), ticket.token, held)
            return True

        if not await self._do(deed, ticket.touched.rows_count):
            self._page.change(rules.voided)
            self._witness.saw(Incident.VOIDED)

    async def _end_in_doubt(self, ticket: Ticket) -> None:
        """Keep the token until upstream cannot apply the write any more, then invalidate."""
        try:
            await asyncio.sleep(self._doubt_s)
        finally:
            self._doubts -= 1
        await self._invalidate(ticket)

    # Fetches

    def hit(self, namespace: bytes, text: bytes) -> bytes | None:
        if self._breaker.is_open or not fits(text):
            return None
        try:
            fence = self._page.fence
            return hit(
                self._current(), namespace_key(namespace), self._digest_of(text), text, fence
            )
        except (lmdb.Error, OSError) as error:
            self._unread(error)
            return None

    async def read(self, namespace: bytes, ids: Sequence[bytes]) -> Found:
        nothing = Found([None] * len(ids), [None] * len(ids), True)
        if not self._breaker.ready(self._breaker_clock()):
            self._witness.failed(Failure.NOT_TRIED)
            return nothing
        place = namespace_key(namespace)
        named = [(self._digest_of(text), text) for text in ids]
        fence = self._page.read().fence
        try:
            file = self._current()
            with file.environment.begin() as transaction:
                rows = Step(View(file, transaction), place).hits(named, fence)
        except (lmdb.Error, OSError) as error:
            self._unread(error)
            return nothing
        missing = [each for each, row in zip(named, rows, strict=True) if row is None]
        missing = [each for each in missing if fits(each[1])]
        if not missing:
            return Found(rows, [None] * len(ids), False)
        mark = self._mark()
        had = await self._do(lambda view: self._leased(Step(view, place), missing, mark, fence))
        leases = [
            Lease(namespace, digest, mark) if row is None and had and text in had else None
            for (digest, text), row in zip(named, rows, strict=True)
        ]
        return Found(rows, leases, had is None)

    def _unread(self, error: Exception) -> None:
        """Take in that a read failed."""
        self._failed(error)
        self._witness.failed(failure_of(error))
        self._breaker.failed(self._breaker_clock())

    def _leased(
        self, step: Step, missing: list[tuple[bytes, bytes]], mark: bytes, fence: int
    ) -> set[bytes]:
        """Lease what is vacant; give the ids that were had."""
        now_ms, had = monotonic_ms(), set()
        for digest, text in missing:
            number = int.from_bytes(digest, "big")
            seen = rules.look(step.get(number), text, fence, now_ms, _LEASE_MS)
            if seen is rules.Look.VACANT:
                rules.lease(step, number, text, mark, fence, now_ms)
                had.add(text)
        return had

    async def fill(self, lease: Lease, row: bytes) -> bool:
        place, number = namespace_key(lease.namespace), int.from_bytes(lease.digest, "big")

        def deed(view: View) -> bool:
            rules.fill(Step(view, place), number, lease.mark, row)
            return True

        return await self._do(deed) is not None

    # The store

    def condition(self) -> Condition:
        return Condition(StoreKind.LMDB, self._breaker.is_open, doubtful=self._doubts)

    async def _do(self, deed: Deed[T], rows: int = 1) -> T | None:
        """Do a deed in a committed transaction, or give None within the deadline if that fails.

        A deed whose deadline has passed may still be done later, so the caller must be safe
        either way.
        """
        if not self._breaker.allows(self._breaker_clock()):
            self._witness.failed(Failure.NOT_TRIED)
            return None
        try:
            result = await self._writer.submit(deed, _DEADLINE_S + rows * _DEADLINE_ROW_S)
        except (lmdb.Error, OSError, TimeoutError, StoreBusyError) as error:
            self._witness.failed(_FAILURES.get(type(error)) or failure_of(error))
            self._breaker.failed(self._breaker_clock())
            return None
        self._breaker.succeeded()
        return result

    def _current(self) -> LmdbFile:
        """Give the file in use, after turning to a new one if another worker set this one aside."""
        if self._file.generation == self._page.generation:
            return self._file
        with self._opening:
            if self._file.generation != self._page.generation:
                self._file = open_file(self._folder, self._page, self._bytes_max, self._witness)
        return self._file

    @contextmanager
    def _begin(self) -> Iterator[View]:
        file = self._current()
        with file.environment.begin(write=True) as transaction:
            view = View(file, transaction)
            self._evict(view)
            yield view

    def _failed(self, error: BaseException) -> None:
        """Hear of a fault of the file: one that is damaged, or full for good, is replaced."""
        if isinstance(error, (*DAMAGE, lmdb.MapFullError)):
            LOGGER.warning("the cache file is set aside: %s", error)
            if set_aside(self._folder, self._page, self._file.generation):
                full = isinstance(error, lmdb.MapFullError)
                self._witness.replaced(Replaced.FULL if full else Replaced.DAMAGED)
        else:
            LOGGER.warning("the cache failed: %s", error)

    def _evict(self, view: View) -> None:
        """Remove documents behind a hand that goes round, while the store is too full."""
        if view.bytes_of(view.file.documents) > _FULL * view.file.bytes_max:
            self._hand = view.delete_from(view.file.documents, self._hand, _EVICTED_AT_ONCE)

    async def _note_service(self) -> None:
        await asyncio.sleep(_SERVED_S)
        self._page.served()

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lapse_ms / 4000)
            await self._do_quietly(self._sweep)

    def _sweep(self, view: View) -> None:
        """Invalidate tokens whose writers must be gone, and let the page mature."""
        now_ms = monotonic_ms()
        for token, (namespace, begun_ms) in tokens_begun(view).items():
            if rules.sweep_due(begun_ms, now_ms, self._lapse_ms):
                rules.sweep(Step(view, namespace), token)
        self._page.change(lambda page: rules.matured(page, now_ms, self._lapse_ms))

    async def _do_quietly(self, deed: Deed[None]) -> None:
        """Do a deed that nobody waits for."""
        try:
            await self._writer.submit(deed, _UPKEEP_S)
        except (lmdb.Error, OSError, TimeoutError, StoreBusyError) as error:
            LOGGER.debug("upkeep of the cache was put off: %s", error)

    def _mark(self) -> bytes:
        """Give 16 bytes that no other write or fetch has had."""
        return self._name + next(self._marks).to_bytes(8, "big")

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def monotonic_ms() -> int:
    """Give the host's monotonic clock, which all its processes share."""
    return time.monotonic_ns() // NS_PER_MS


def _mirrored(step: Step, token: bytes, part: Part, ticket: Ticket) -> bool:
    """Do one part of a write that upstream applied; False if the token is gone."""
    kind, rows = part
    if kind is Kind.UPSERT:
        try:
            spoiled = step.spoiled(token)
        except KeyError:
            return False
        step.mirror_upserts(part, spoiled, ticket.fence)
        return True
    each = [rules.Row(kind, int.from_bytes(digest, "big"), text, row) for digest, text, row in rows]
    merge = merged if ticket.may_merge else None
    return rules.mirror(step, token, each, ticket.fence, merge)
