"""The document cache of a single worker: in its own memory, by the transactional rules.

Whatever happens between two awaits is one transaction. A handler that is cancelled leaves its token
behind, as a dead process would; both are swept once they have surely ended.
"""

import asyncio
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from hevfast.cache import transactional as rules
from hevfast.cache.rows import Outcome
from hevfast.cache.space import Documents, Space
from hevfast.cache.store import Found, Lease, Part, Ticket, Touched
from hevfast.cache.transactional import Held, Look, Merge, Page, Row
from hevfast.cache.witness import NOBODY, Condition, Witness
from hevfast.core.clock import MS_PER_S, monotonic_s
from hevfast.core.names import Incident, StoreKind

# Namespaces whose fence is remembered apart. One more, and everything is voided once.
_FENCES_MAX: Final = 100_000

_MARK_BYTES: Final = 8

# Writes in doubt that each wait for their end. An upstream that sheds load answers thousands a
# second with 503; one more than this voids the store instead.
_DOUBTS_MAX: Final = 10_000

# Seconds that a fetch has for upstream's answer before another may take its lease.
_LEASE_S: Final = 10.0


class MemoryStore:
    """A `Store` in the memory of one worker.

    `lapse_s`: a token this old belongs to a handler that is gone. `doubt_s`: how long upstream may
    still apply a write whose connection was lost. `digest_of` gives the digest of an id's text, as
    it is in `Touched.digests`. `merge` makes a row of a cached one and a patch; without it, patched
    rows are removed. `lease_s`: how long a fetch may take before another may fill in its place.
    """

    def __init__(
        self,
        bytes_max: int,
        *,
        lapse_s: float,
        doubt_s: float,
        digest_of: Callable[[bytes], bytes],
        merge: Merge | None = None,
        lease_s: float = _LEASE_S,
        witness: Witness = NOBODY,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        self._lapse_ms = round(lapse_s * MS_PER_S)
        self._doubt_ms = round(doubt_s * MS_PER_S)
        self._lease_ms = round(lease_s * MS_PER_S)
        self._digest_of = digest_of
        self._witness = witness
        self._now_s = now_s
        self._merge = merge
        self._documents = Documents(bytes_max)
        # Namespaces with a write in flight.
        self._spaces: dict[bytes, Space] = {}
        # Fences of namespaces that were cleared; all others have the common one, of the page.
        self._fences: dict[bytes, int] = {}
        self._page = Page()
        # Tokens in the order of their begins, and those in doubt in the order of their lapses.
        self._begun: OrderedDict[bytes, tuple[bytes, int]] = OrderedDict()
        self._doubtful: deque[tuple[int, Ticket]] = deque()
        self._marks = 0

    def __repr__(self) -> str:
        return f"<MemoryStore {self._documents!r}, {len(self._begun)} writes in flight>"

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    # Writes

    async def begin(self, touched: Touched) -> Ticket:
        now_ms = self._now_ms()
        self._tend(now_ms)
        token = self._mark()
        space = self._spaces.get(touched.namespace)
        if space is None:
            space = self._spaces[touched.namespace] = self._space(touched.namespace)
        rules.begin(space, token, _held(touched))
        self._begun[token] = touched.namespace, now_ms
        fence = self._fence_of(touched.namespace)
        return Ticket(touched, token, fence, rules.may_merge(self._page))

    async def end(self, ticket: Ticket, outcome: Outcome, parts: Iterable[Part]) -> bool:
        now_ms = self._now_ms()
        self._tend(now_ms)
        namespace, token = ticket.touched.namespace, ticket.token
        assert token is not None, "a begin in memory cannot fail"
        if outcome is Outcome.UNKNOWN:
            self._witness.saw(Incident.IN_DOUBT)
            # The older row may be what upstream has no more. A fetch may fill it again, and that
            # is what the token is kept for.
            rules.invalidate(self._space(namespace), None, _held(ticket.touched))
            if len(self._doubtful) < _DOUBTS_MAX:
                self._doubtful.append((now_ms + self._doubt_ms, ticket))
            else:
                # From here on it is as one that was never announced and has died: nobody merges,
                # and all is voided once, when it must have ended.
                self._void(now_ms)
                self._witness.saw(Incident.VOIDED)
                self._drop(namespace, token)
        elif outcome is Outcome.REJECTED:
            self._drop(namespace, token)
        elif ticket.touched.digests is None:
            if rules.mirror(self._space(namespace), token, None, 0):
                self._drop(namespace, token)
            else:
                self._invalidate(ticket)
        else:
            await self._keep(ticket, token, parts)
        return True

    async def _keep(self, ticket: Ticket, token: bytes, parts: Iterable[Part]) -> None:
        """Mirror the rows; other requests get their turn between the parts."""
        namespace = ticket.touched.namespace
        merge = self._merge if ticket.may_merge else None
        first = True
        for kind, rows in parts:
            if not first:
                await asyncio.sleep(0)
            first = False
            made = (Row(kind, _number(digest), text, row) for digest, text, row in rows)
            if not rules.mirror(self._space(namespace), token, made, ticket.fence, merge):
                self._invalidate(ticket)
                return
        if not self._drop(namespace, token):
            # Swept, and there was no part that could have noticed.
            self._invalidate(ticket)

    def _invalidate(self, ticket: Ticket) -> None:
        namespace, token = ticket.touched.namespace, ticket.token
        assert token is not None
        rules.invalidate(self._space(namespace), None, _held(ticket.touched))
        self._drop(namespace, token)

    def _drop(self, namespace: bytes, token: bytes) -> bool:
        """Remove a token; say whether it was there."""
        there = self._begun.pop(token, None) is not None
        space = self._spaces.get(namespace)
        if space is not None:
            space.drop(token)
            if not space:
                del self._spaces[namespace]
        return there

    def _tend(self, now_ms: int) -> None:
        """Invalidate writes whose doubt has lapsed, and those that were forgotten.

        Called before anything else: nothing may be served that a lapsed write has made stale.
        """
        if rules.matured(self._page, now_ms, self._lapse_ms) is not self._page:
            self._void(None)
        doubtful, begun = self._doubtful, self._begun
        while doubtful and doubtful[0][0] <= now_ms:
            _, ticket = doubtful.popleft()
            self._invalidate(ticket)
        while begun:
            token, (namespace, begun_ms) = next(iter(begun.items()))
            if not rules.sweep_due(begun_ms, now_ms, self._lapse_ms):
                break
            rules.sweep(self._space(namespace), token)
            self._drop(namespace, token)

    # Fetches

    def hit(self, namespace: bytes, text: bytes) -> bytes | None:
        now_ms = self._now_ms()
        self._tend(now_ms)
        key = namespace, _number(self._digest_of(text))
        document = self._documents.get(key)
        fence = self._fence_of(namespace)
        if rules.look(document, text, fence, now_ms, self._lease_ms) is not Look.HIT:
            return None
        assert document is not None
        self._documents.use(key)
        return document.value

    async def read(self, namespace: bytes, ids: Sequence[bytes]) -> Found:
        now_ms = self._now_ms()
        self._tend(now_ms)
        documents, fence = self._documents, self._fence_of(namespace)
        found: list[bytes | None] = []
        leases: list[Lease | None] = []
        for text in ids:
            digest = self._digest_of(text)
            key = namespace, _number(digest)
            document = documents.get(key)
            look = rules.look(document, text, fence, now_ms, self._lease_ms)
            lease = None
            if look is Look.HIT:
                documents.use(key)
            elif look is Look.VACANT:
                lease = Lease(namespace, digest, self._mark())
                space = self._space(namespace)
                rules.lease(space, key[1], text, lease.mark, fence, now_ms)
            found.append(document.value if document is not None and look is Look.HIT else None)
            leases.append(lease)
        return Found(found, leases, broken=False)

    async def fill(self, lease: Lease, row: bytes) -> bool:
        self._tend(self._now_ms())
        rules.fill(self._space(lease.namespace), _number(lease.digest), lease.mark, row)
        return True

    # The store

    def condition(self) -> Condition:
        return Condition(StoreKind.MEMORY, doubtful=len(self._doubtful))

    def _space(self, namespace: bytes) -> Space:
        """Give the namespace's space; one that has no token need not be kept."""
        space = self._spaces.get(namespace)
        if space is None:
            space = Space(namespace, self._documents, lambda: self._clear(namespace))
        return space

    def _now_ms(self) -> int:
        return round(self._now_s() * MS_PER_S)

    def _fence_of(self, namespace: bytes) -> int:
        return self._fences.get(namespace, self._page.fence)

    def _clear(self, namespace: bytes) -> None:
        """Void all documents of a namespace: they are evicted in their turn."""
        self._marks += 1
        self._fences[namespace] = self._marks
        if len(self._fences) > _FENCES_MAX:
            self._void(self._page.marked_ms)

    def _void(self, marked_ms: int | None) -> None:
        """Void all documents and all puts under way. `marked_ms`: since when nobody merges."""
        # Not simply the next fence of the page: a namespace may have had that one.
        self._marks += 1
        self._fences.clear()
        self._page = Page(self._marks, marked_ms)

    def _mark(self) -> bytes:
        """Give a mark that no other write or fetch of this store has had."""
        self._marks += 1
        return self._marks.to_bytes(_MARK_BYTES, "big")


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "big")


def _held(touched: Touched) -> Held:
    return None if touched.digests is None else frozenset(array("I", touched.digests))
