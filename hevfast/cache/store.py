"""What the gateway asks of a document cache, whichever store holds it.

A write *begins* before it is sent and *ends* when upstream's answer is known; in between it holds a
ticket. A fetch *reads*; for what it misses it gets leases, reads upstream, and *fills* them. Safety
does not depend on any of these calls succeeding: a store that cannot do one makes what it holds of
those rows unusable instead.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.witness import Condition

# Rows of one kind, in the order of the body: digest, id text, and the attributes to keep. No
# attributes: the row is only taken out of the cache.
Part = tuple[Kind, list[tuple[bytes, bytes, bytes | None]]]


class Touched(NamedTuple):
    """The rows that a write may change: their digests, or everything in the namespace.

    Digests are sorted, packed 4 bytes each in the host's order.
    """

    namespace: bytes
    digests: bytes | None

    @property
    def rows_count(self) -> int:
        """Rows, 0 for everything."""
        return len(self.digests) // 4 if self.digests is not None else 0


class Ticket(NamedTuple):
    """A write between its begin and its end."""

    touched: Touched
    # None: the store could not be told of the write, which it must make up for at the end.
    token: bytes | None
    # What the store needs at the end; as a rule the fence as it was at the begin, which the write's
    # rows carry: whatever is voided while the write is in flight stays void.
    fence: int = 0
    # Whether patches may be merged onto cached rows.
    may_merge: bool = False
    # The store cannot be told, and the write must not be sent. There is nothing to end.
    refused: bool = False


class Lease(NamedTuple):
    """The right to fill one missing row, until a write touches it."""

    namespace: bytes
    digest: bytes
    mark: bytes


class Found(NamedTuple):
    """What a read found, in the order of its ids."""

    rows: list[bytes | None]
    # One for each missing row; None where another fetch holds the lease or none could be had.
    leases: list[Lease | None]
    # The store could not be asked: nothing is known about what it holds.
    broken: bool


class Store(Protocol):
    """A document cache. No method raises for a fault of the store."""

    async def open(self) -> None:
        """Open it in this worker, after the fork."""

    async def close(self) -> None: ...

    async def begin(self, touched: Touched) -> Ticket:
        """Announce a write; awaited before its last byte goes to upstream."""

    async def end(self, ticket: Ticket, outcome: Outcome, parts: Iterable[Part]) -> bool:
        """Keep what the write made, or see to it that nothing older is served; before the 200.

        False: not even that could be done, and the write must not be answered 200.
        `parts` may be iterated more than once, or not at all.
        """

    def hit(self, namespace: bytes, text: bytes) -> bytes | None:
        """Give a cached row if that needs no waiting; None says nothing: ask `read`."""

    async def read(self, namespace: bytes, ids: Sequence[bytes]) -> Found: ...

    async def fill(self, lease: Lease, row: bytes) -> bool:
        """Keep a row that upstream gave after the lease was taken. False: the store failed."""

    def condition(self) -> Condition:
        """Say how the store is, as far as that is known without asking it."""
