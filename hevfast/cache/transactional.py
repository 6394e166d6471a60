"""The rules of a cache whose every step is one serializable transaction: LMDB, or one event loop.

Whoever may not put is told so in his token, at once and for good. Beside that there is one page
outside of the store, which needs neither a transaction nor room: its fence is carried by every
document and compared on every hit, and it tells of writes that could not insert a token.

    begin       Two writes in flight that share a row spoil it for each other, the elder for the
                younger and the younger for the elder. A spoiled row is removed at the end, never
                put: whose row upstream has kept cannot be known.
    mirror      The end of a write that upstream has applied: put, merge or remove each row, then
                drop the token. In parts, if the writer lock must not be held for long; the token
                goes with the last one. Puts carry the fence as it was at begin.
    invalidate  The end of a write without a token (none could be inserted, or a sweep took it), in
                doubt, or dead: remove its rows, and spoil them in every other token that holds
                them, since its commit may come between theirs and their puts.
    void        If not even that can be done: increment the fence before the write is answered.
    unannounced A write that cannot insert its token, or does not know whether it did, marks the
                page before it is sent. That voids what is cached, and the puts of those who cannot
                know of it. Until it has surely ended, nobody merges patches onto what is filled
                or put meanwhile; then the page matures, and that is voided, too.
    lease, fill A fetch leases a row *before* it reads upstream, and fills it only if that lease is
                still there; every write of the row, and every invalidation, has removed it.

A write rejected by upstream, or never sent, drops its token. One whose connection is lost keeps it
until upstream can no longer apply the write, and is then invalidated; earlier, a fetch could still
fill the old row. `tests/model` explores these functions.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

from hevfast.cache.rows import Kind

# Digests of rows; None for every row of the namespace.
Held: TypeAlias = frozenset[int] | None

NOTHING: Held = frozenset()

# Gives the row that a patch makes of a cached one; None if it cannot tell.
Merge: TypeAlias = Callable[[bytes, bytes], bytes | None]


class Row(NamedTuple):
    """A row at the end of a write. `value`: the new row, or the patch; None: not to be kept."""

    kind: Kind
    digest: int
    id: bytes
    value: bytes | None = None


class Document(NamedTuple):
    """What is kept for a digest: a row, or the lease of a fetch that is to bring it."""

    id: bytes
    # As it was when the write, or the fetch, began.
    fence: int
    value: bytes | None = None
    lease: bytes | None = None
    leased_ms: int = 0


class Page(NamedTuple):
    """What lies outside of the store. Whoever changes it holds a lock that readers do without.

    Readers take the fence first and the mark second, writers change them in the other order.
    """

    fence: int = 0
    # When the last unannounced write marked the page, by the host's monotonic clock; None: mature.
    marked_ms: int | None = None


class Transaction(Protocol):
    """One atomic step on the tokens and documents of one namespace."""

    def sharing(self, held: Held) -> Iterable[tuple[bytes, Held]]:
        """Give each token that holds some of these rows, with those that it holds of them."""

    def held(self, token: bytes) -> Held:
        """Raises: KeyError if the token is not there."""

    def spoiled(self, token: bytes) -> Held: ...

    def insert(self, token: bytes, held: Held, spoiled: Held) -> None: ...

    def spoil(self, token: bytes, rows: Held) -> None:
        """Add rows to those spoiled in a token."""

    def drop(self, token: bytes) -> None:
        """Remove a token, if it is there."""

    def get(self, digest: int) -> Document | None: ...

    def put(self, digest: int, document: Document) -> None:
        """Replace what is kept for a digest. The store may drop any document at any time."""

    def remove(self, digest: int) -> None: ...

    def clear(self) -> None:
        """Remove every document of the namespace, leases included."""


def overlap(mine: Held, other: Held) -> Held:
    if mine is None:
        return other
    return mine if other is None else mine & other


def union(mine: Held, other: Held) -> Held:
    return None if mine is None or other is None else mine | other


# ---- the page


def voided(page: Page) -> Page:
    """Void every document and every put under way."""
    return page._replace(fence=page.fence + 1)


def unannounced(page: Page, now_ms: int) -> Page:
    """Mark a write that has no token, before it is sent."""
    return Page(page.fence + 1, now_ms)


def may_merge(page: Page) -> bool:
    """Say whether a write that begins now may merge its patches at its end."""
    return page.marked_ms is None


def matured(page: Page, now_ms: int, patience_ms: int) -> Page:
    """Give the page after the last unannounced write has surely ended; before, unchanged.

    It may have died without a word, with an old row filled beside it: so void everything once.
    """
    if page.marked_ms is None or now_ms - page.marked_ms <= patience_ms:
        return page
    return Page(page.fence + 1)


# ---- writes


def begin(step: Transaction, token: bytes, held: Held) -> None:
    """Announce a write, before its last byte goes to upstream."""
    mine = NOTHING
    for other, shared in list(step.sharing(held)):
        step.spoil(other, shared)
        mine = union(mine, shared)
    step.insert(token, held, mine)


def mirror(
    step: Transaction,
    token: bytes,
    rows: Iterable[Row] | None,
    fence: int,
    merge: Merge | None = None,
) -> bool:
    """Do all or a part of the rows of a write that upstream has applied.

    `fence`: as read when the write began. With a later one, a row would outlive what an end
    without a transaction has voided meanwhile.
    `merge`: only if `may_merge` held at begin.
    `rows` None: upstream did not say which, so it is every row. For a write that holds every row,
    a complete list of those it changed will do, each of them `Kind.UNSTATED`.
    Returns: False if the token is gone, and nothing was done: the write must be invalidated.
    """
    try:
        spoiled = step.spoiled(token)
    except KeyError:
        return False
    if rows is None:
        step.clear()
        return True
    for row in rows:
        document = None
        if spoiled is not None and row.digest not in spoiled:
            document = _document(step, row, fence, merge)
        if document is None:
            step.remove(row.digest)
        else:
            step.put(row.digest, document)
    return True


def _document(step: Transaction, row: Row, fence: int, merge: Merge | None) -> Document | None:
    """Give what to keep of a row that is this write's alone."""
    if row.kind is Kind.UPSERT and row.value is not None:
        return Document(row.id, fence, row.value)
    if row.kind is Kind.PATCH and row.value is not None and merge is not None:
        base = step.get(row.digest)
        # The row as it is now: nobody else can have changed it since upstream has applied mine.
        # Without one, half a row would look like a whole one.
        if base is not None and base.value is not None and base[:2] == (row.id, fence):
            merged = merge(base.value, row.value)
            return None if merged is None else Document(row.id, fence, merged)
    return None


def invalidate(step: Transaction, token: bytes | None, held: Held) -> None:
    """End a write that may have changed what it holds, whether or not its token is there."""
    if token is not None:
        step.drop(token)
    if held is None:
        step.clear()
    else:
        for digest in held:
            step.remove(digest)
    for other, shared in list(step.sharing(held)):
        step.spoil(other, shared)


def sweep(step: Transaction, token: bytes) -> bool:
    """Invalidate a write that has outlived every deadline. Returns: whether it was there."""
    try:
        held = step.held(token)
    except KeyError:
        return False
    invalidate(step, token, held)
    return True


def sweep_due(begun_ms: int, now_ms: int, patience_ms: int) -> bool:
    """Say whether a write has surely ended, by one clock of the host.

    `patience_ms`: longer than the send budget, upstream's deadline and the lapse of doubt together.
    """
    return now_ms - begun_ms > patience_ms


# ---- fetches


class Look(Enum):
    HIT = "hit"
    # Read upstream and fill: lease the row first.
    VACANT = "vacant"
    # Read upstream and leave it: another fetch is about to fill the row.
    LEASED = "leased"


def look(document: Document | None, row_id: bytes, fence: int, now_ms: int, lease_ms: int) -> Look:
    """Say what a fetch makes of a document. `lease_ms`: upstream's deadline, about."""
    # Two ids may share a digest: they take turns.
    if document is None or document[:2] != (row_id, fence):
        return Look.VACANT
    if document.value is not None:
        return Look.HIT
    return Look.LEASED if now_ms - document.leased_ms < lease_ms else Look.VACANT


def lease(
    step: Transaction, digest: int, row_id: bytes, mark: bytes, fence: int, now_ms: int
) -> None:
    """Take the right to fill, before upstream is read. `mark`: never used before.

    `fence`: as read before. Over anything: a lease serves nothing.
    """
    step.put(digest, Document(row_id, fence, lease=mark, leased_ms=now_ms))


def fill(step: Transaction, digest: int, mark: bytes, value: bytes) -> bool:
    """Keep a row read from upstream, if the lease is still there. Returns: whether it was."""
    document = step.get(digest)
    if document is None or document.lease != mark:
        return False
    step.put(digest, Document(document.id, document.fence, value))
    return True
