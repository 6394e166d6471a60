"""What the registry form asks of the store, as data: an adapter compiles it to the store's calls.

Every operation is atomic for its record, and a batch is one record after the other in any order.
Those that create a registry draw its random epoch when they run, never earlier: an epoch used
twice would make old records valid again.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from hevfast.cache.keys import Bumps, Keys

if TYPE_CHECKING:
    from hevfast.cache.registry import Fence


class Deed(IntEnum):
    """What becomes of one row's record; a batch keeps one byte a row."""

    PUT = 0
    # Put the base merged with the patch.
    MERGE = 1
    # Of a missing record: done as well.
    REMOVE = 2
    # Not touched: its bucket is bumped instead.
    LEAVE = 3


@dataclass(frozen=True, slots=True)
class Begin:
    """Insert a token; read fences, youth and tokens. Creates the registry, young, if it is absent.

    `keys` None: the token holds everything. Answer: the registry, its own token included.
    """

    token: bytes
    keys: Keys | None


@dataclass(frozen=True, slots=True)
class ReadBases:
    """Read the records of these rows, to merge patches onto them. Answer: row → record."""

    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReadRegistry:
    """Read fences (for these keys at least) and tokens. Answer: the registry, or None."""

    keys: Keys


@dataclass(frozen=True, slots=True)
class Mirror:
    """Put and remove records, unconditionally, in one batch. Answer: the rows not confirmed.

    `deeds` has one `Deed` for each row. A put replaces the whole record, lease included, by a
    value and its stamp, `fence.stamp(bucket)`. `bases` are the values to merge patches onto.
    A row that turns out not to be cacheable is removed instead.
    """

    keys: Keys
    deeds: bytes
    fence: "Fence"
    bases: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Bump, and remove my tokens, in one operation on an existing registry. Creates nothing.

    Answer: whether the first token was there, and the epoch; not there if there is no registry.
    """

    tokens: tuple[bytes, ...]
    bumps: Bumps


@dataclass(frozen=True, slots=True)
class Repair:
    """The same, creating the registry if it is absent, whoever removed the tokens, if any."""

    tokens: tuple[bytes, ...]
    bumps: Bumps


@dataclass(frozen=True, slots=True)
class DropTokens:
    """Remove tokens and do nothing else. Creates nothing."""

    tokens: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RemoveRegistry:
    """The bump that needs no free space: remove the registry. Absent: done as well."""


@dataclass(frozen=True, slots=True)
class CreateRegistry:
    """Create the registry, young, without a token, if it is absent. Answer: the registry."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Replace a record by a lease. `over` None: only if there is no record; else only this one.

    The generation only saves work: a lease over anything is safe, since it serves nothing.
    """

    lease: bytes
    over: int | None


@dataclass(frozen=True, slots=True)
class FillIfLease:
    """Replace a record by a value, if it exists *and* is this very lease. Answer: whether it was.

    A store that does not evaluate conditions on a missing record must be told to replace only:
    otherwise a fill brings back what a delete has removed.
    """

    lease: bytes
    value: bytes
    stamp: bytes


@dataclass(frozen=True, slots=True)
class Sweep:
    """If the token is there: bump, and remove it, in one operation. Creates nothing."""

    token: bytes
    bumps: Bumps


@dataclass(frozen=True, slots=True)
class Mature:
    """If the registry is young *and* of this epoch: not young any more, whole fence bumped."""

    epoch: bytes


# What a write may ask for.
StoreOp: TypeAlias = (
    Begin | ReadBases | ReadRegistry | Mirror | Finish | Repair | DropTokens | RemoveRegistry
)
