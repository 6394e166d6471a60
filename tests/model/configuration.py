"""What is explored in one go: some writes, some fetches, and how often each fault may happen."""

from dataclasses import dataclass, field

from hevfast.cache.coherence import Mode
from hevfast.cache.keys import DIGESTS_INLINE_MAX

FAULTS = (
    "evict",  # the store drops a record
    "lose_registry",
    "lose_all",
    "crash",  # a writer stops for ever, without a word
    "early",  # a token is swept although its owner is alive
    "doubt",  # a put or remove fails, or lands unseen, or lands later
    "begin",  # a begin fails, or lands unseen, or lands later
    "fail",  # the same for every other operation on the registry
    "late",  # the registry is found old enough, but that operation lands later
    "full",  # the store has no room, until it has again
    "hopeless",  # a write runs out of time to reach the store
)


@dataclass(frozen=True)
class Write:
    """A write and the outcomes it may have.

    `kind`: put, patch, delete; everything (no ids known), filter (a complete list of ids known).
    `outcomes`: O applied, M applied but this row not affected, R rejected, U connection lost, C
    lost and too many in doubt already, N never sent. A write that hears none of them ends by a
    fault only.
    """

    kind: str
    keys: tuple[int, ...] = (0,)
    outcomes: str = "O"


@dataclass(frozen=True)
class Configuration:
    name: str
    writes: tuple[Write, ...]
    # The key of each fetch.
    fetches: tuple[int, ...] = ()
    # The bucket of each key.
    buckets: tuple[int, ...] = (0,)
    mode: Mode = Mode.REFUSE
    cached: bool = True
    # Whether the first registry is young: the one before it was lost just now.
    young: bool = False
    # Whether the store hears only at the end what a write does to its rows.
    late_kinds: bool = False
    # Whether the rows of a write are ended one after the other.
    parted: bool = False
    # Whether fetches read the registry and then the record, and never the other way round.
    one_order: bool = False
    # Whether the cache must agree with upstream once all is quiet.
    settles: bool = True
    # Digests that fit into a token; more are kept elsewhere, and looked up by who needs them.
    inline_max: int = DIGESTS_INLINE_MAX
    faults: dict[str, int] = field(default_factory=dict)

    def budget(self) -> tuple[int, ...]:
        assert set(self.faults) <= set(FAULTS), self.faults
        return tuple(self.faults.get(fault, 0) for fault in FAULTS)

    @property
    def numbers(self) -> range:
        return range(len(self.buckets))


def puts(count: int, outcomes: str = "O") -> tuple[Write, ...]:
    return tuple(Write("put", outcomes=outcomes) for _ in range(count))


def spent(budget: tuple[int, ...], fault: str) -> tuple[int, ...]:
    at = FAULTS.index(fault)
    return (*budget[:at], budget[at] - 1, *budget[at + 1 :])


def can(budget: tuple[int, ...], fault: str) -> bool:
    return budget[FAULTS.index(fault)] > 0


def row_after(kind: str, writer: int, row: bytes | None) -> bytes | None:
    """Give what upstream has after a write: rows have two attributes, a patch sets one of them."""
    if kind == "put":
        return bytes((writer, writer))
    if kind == "patch":
        if row is None:
            return None
        return bytes((writer, row[1])) if writer % 2 else bytes((row[0], writer))
    return None
