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
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import lmdb

from hevfast.cache import lmdb_documents as documents
from hevfast.cache import lmdb_tokens as tokens
from hevfast.cache.breaker import Breaker
from hevfast.cache.fence_page import FencePage
from hevfast.cache.lmdb_file import DAMAGE, LmdbFile, View, open_file, set_aside
from hevfast.cache.lmdb_writer import LmdbWriter, StoreBusyError
from hevfast.cache.rows import Outcome
from hevfast.cache.store import Found, Lease, Part, Ticket, Touched

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")
Deed = Callable[[View], T]

# Deeds waiting for the writer; beyond it the store counts as busy.
_WAITING_MAX: Final = 20_000

# Seconds one call may take, and what each row of a batch adds.
_DEADLINE_S: Final = 0.2
_DEADLINE_ROW_S: Final = 0.000_05

# Ids that are taken out one by one when a write could not be mirrored; for a larger one the whole
# namespace is voided. Those of a write in doubt are kept in memory until its doubt has lapsed.
_LISTED_IDS_MAX: Final = 10_000

# Seconds after which a file that was opened counts as sound.
_SERVED_S: Final = 5.0

# Share of the size bound over which records are evicted, and how many at a time.
_FULL: Final = 0.8
_EVICTED_AT_ONCE: Final = 256


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
        digest_of: Callable[[bytes], int],
    ) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._lapse_s = lapse_s
        self._doubt_s = doubt_s
        self._digest_of = digest_of
        self._breaker = Breaker()
        self._opening = threading.Lock()
        self._writer = LmdbWriter(_WAITING_MAX)
        self._first_seen: dict[bytes, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._hand = b""
        self._marks = itertools.count()
        self._count = 0

    def __repr__(self) -> str:
        return f"<LmdbStore {self._folder} {self._breaker!r} {self._writer!r}>"

    async def open(self) -> None:
        # Drawn after the fork, so that no two workers and no two starts share it.
        self._name = os.urandom(8)
        self._page = FencePage(self._folder)
        self._file = open_file(self._folder, self._page, self._bytes_max)
        self._writer.start(self._current, self._failed)
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
        mark = self._mark()
        namespace = documents.namespace_key(touched.namespace)
        token = tokens.Token(namespace, time.monotonic_ns() // 1_000_000, touched.digests)

        def deed(view: View) -> bytes:
            tokens.insert(view, mark, token)
            return documents.head_of(view, namespace, self._page.fence)

        stamp = await self._do(deed, touched.rows_count)
        return Ticket(touched, None) if stamp is None else Ticket(touched, mark, stamp)

    async def end(self, ticket: Ticket, outcome: Outcome, parts: Iterable[Part]) -> None:
        if outcome is Outcome.REJECTED:
            if ticket.token is not None:
                mark = ticket.token
                await self._do(lambda view: tokens.remove(view, mark))
        elif outcome is Outcome.UNKNOWN:
            ids = await self._ids(ticket.touched, parts)
            namespace = documents.namespace_key(ticket.touched.namespace)
            # The older row may be what upstream has no more. A fetch may fill it again, and that is
            # what the token is kept for.
            await self._do(lambda view: documents.take_out(view, namespace, ids))
            self._run(self._end_in_doubt(ticket, ids))
        elif ticket.token is None or ticket.touched.digests is None:
            await self._invalidate(ticket, await self._ids(ticket.touched, parts))
        else:
            await self._keep(ticket, ticket.token, parts)

    async def _keep(self, ticket: Ticket, mark: bytes, parts: Iterable[Part]) -> None:
        """Put the rows, a part a transaction, so that other workers get the writer lock between."""
        namespace = documents.namespace_key(ticket.touched.namespace)
        each = iter(parts)
        part = next(each, None)
        while part is not None:
            following = next(each, None)

            def deed(
                view: View,
                part: Part = part,
                last: bool = following is None,
            ) -> bool:
                if tokens.read(view, mark) is None:
                    return False
                spoiled = tokens.spoiled(view, mark)
                documents.keep(view, namespace, part, self._spoiled_in(spoiled), ticket.stamp)
                if last:
                    # With the last part: until then the token speaks for the rows to come.
                    tokens.remove(view, mark)
                return True

            if not await self._do(deed, len(part[1])):
                await self._invalidate(ticket, await self._ids(ticket.touched, parts))
                return
            part = following

    async def _invalidate(self, ticket: Ticket, ids: list[bytes] | None) -> None:
        """Take out what the write touched; if the store cannot, void all it holds."""
        touched = ticket.touched
        mark = ticket.token or self._mark()
        token = tokens.Token(documents.namespace_key(touched.namespace), 0, touched.digests)

        def deed(view: View) -> bool:
            documents.invalidate(view, mark, token, ids)
            return True

        if not await self._do(deed, touched.rows_count):
            self._page.void_all()

    async def _ids(self, touched: Touched, parts: Iterable[Part]) -> list[bytes] | None:
        """Give the ids to take out; None where the namespace is voided instead."""
        if touched.digests is None or touched.rows_count > _LISTED_IDS_MAX:
            return None
        ids: list[bytes] = []
        for _, rows in parts:
            ids += [text for text, _ in rows]
            await asyncio.sleep(0)
        return ids

    async def _end_in_doubt(self, ticket: Ticket, ids: list[bytes] | None) -> None:
        """Keep the token until upstream cannot apply the write any more, then invalidate."""
        await asyncio.sleep(self._doubt_s)
        await self._invalidate(ticket, ids)

    # Fetches

    async def read(self, namespace: bytes, ids: Sequence[bytes]) -> Found:
        nothing = Found([None] * len(ids), [None] * len(ids), True)
        if not self._breaker.allows(time.monotonic()):
            return nothing
        namespace = documents.namespace_key(namespace)
        try:
            file = self._current()
            with file.environment.begin() as transaction:
                view = View(file, transaction)
                rows, head = documents.lookup(view, namespace, ids, self._page.fence)
        except (lmdb.Error, OSError) as error:
            self._failed(error)
            self._breaker.failed(time.monotonic())
            return nothing
        missing = [
            namespace + text for text, row in zip(ids, rows, strict=True)
            if row is None and len(namespace) + len(text) <= documents.KEY_BYTES_MAX
        ]  # fmt: skip
        if not missing:
            return Found(rows, [None] * len(ids), False)
        mark = self._mark()
        had = await self._do(lambda view: documents.lease(view, missing, mark, head), len(missing))
        leased = {
            key for key, mine in zip(missing, had or [False] * len(missing), strict=True) if mine
        }
        leases = [
            Lease(namespace + text, mark) if namespace + text in leased and row is None else None
            for text, row in zip(ids, rows, strict=True)
        ]
        return Found(rows, leases, had is None)

    async def fill(self, lease: Lease, row: bytes) -> None:
        key, mark = lease
        await self._do(lambda view: documents.fill(view, key, mark, row, self._page.fence))

    # The store

    async def _do(self, deed: Deed[T], rows: int = 1) -> T | None:
        """Do a deed in a committed transaction, or give None within the deadline if that fails.

        A deed whose deadline has passed may still be done later, so the caller must be safe
        either way.
        """
        if not self._breaker.allows(time.monotonic()):
            return None
        try:
            future = self._writer.submit(deed)
            late = asyncio.get_running_loop().call_later(
                _DEADLINE_S + rows * _DEADLINE_ROW_S, _give_up, future
            )
            try:
                result = await future
            finally:
                late.cancel()
        except (lmdb.Error, OSError, TimeoutError, StoreBusyError):
            self._breaker.failed(time.monotonic())
            return None
        self._breaker.succeeded()
        self._count += 1
        if self._count % _EVICTED_AT_ONCE == 0:
            self._run(self._evict())
        return result

    def _current(self) -> LmdbFile:
        """Give the file in use, after turning to a new one if another worker set this one aside."""
        if self._file.generation == self._page.generation:
            return self._file
        with self._opening:
            if self._file.generation != self._page.generation:
                self._file = open_file(self._folder, self._page, self._bytes_max)
        return self._file

    def _failed(self, error: BaseException) -> None:
        """Hear of a fault of the file: one that is damaged, or full for good, is replaced."""
        if isinstance(error, (*DAMAGE, lmdb.MapFullError)):
            LOGGER.warning("the cache file is set aside: %s", error)
            set_aside(self._folder, self._page, self._file.generation)
        else:
            LOGGER.warning("the cache failed: %s", error)

    async def _evict(self) -> None:
        """Remove records behind a hand that goes round, while the store is too full."""
        await self._do_quietly(self._evict_some)

    def _evict_some(self, view: View) -> None:
        if view.bytes_of(view.file.documents) > _FULL * view.file.bytes_max:
            self._hand = view.delete_from(view.file.documents, self._hand, 2 * _EVICTED_AT_ONCE)

    async def _note_service(self) -> None:
        await asyncio.sleep(_SERVED_S)
        self._page.served()

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lapse_s / 4)
            await self._do_quietly(self._sweep)

    def _sweep(self, view: View) -> None:
        """Invalidate tokens whose writers must be gone: seen for longer than a write can take."""
        now = time.monotonic()
        present = tokens.everyone(view)
        self._first_seen = {mark: self._first_seen.get(mark, now) for mark in present}
        for mark, token in present.items():
            if now - self._first_seen[mark] > self._lapse_s:
                documents.invalidate(view, mark, token, None)

    async def _do_quietly(self, deed: Deed[None]) -> None:
        """Do a deed that nobody waits for."""
        try:
            await self._writer.submit(deed)
        except (lmdb.Error, OSError, StoreBusyError) as error:
            LOGGER.debug("upkeep of the cache was put off: %s", error)

    def _spoiled_in(self, spoiled: tokens.Spoiled) -> Callable[[bytes], bool]:
        """Give the test of an id; with nothing spoiled, as nearly always, no id is hashed."""
        if not spoiled:
            return _never
        return lambda text: self._digest_of(text) in spoiled

    def _mark(self) -> bytes:
        """Give 16 bytes that no other write or fetch has had."""
        return self._name + next(self._marks).to_bytes(8, "big")

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _never(_: bytes) -> bool:
    return False


def _give_up(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(TimeoutError())
