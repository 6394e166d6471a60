"""What a write of the registry form hears, and what it wants done: the words of its driver.

The driver carries out the actions, and reports each store operation by one event: its answer, or
`Lost`, or `Full`. It never decides anything.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from hevfast.cache.keys import Keys
from hevfast.cache.operations import RemoveRegistry, Repair, StoreOp
from hevfast.cache.records import Record
from hevfast.cache.registry import Registry, Token

# ---- events: answers of the store


@dataclass(frozen=True, slots=True)
class Began:
    registry: Registry


@dataclass(frozen=True, slots=True)
class Bases:
    """The records of the patched rows, as far as there are any."""

    records: tuple[tuple[int, Record], ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The digest lists that tokens kept elsewhere, as far as they were found.

    Also worth sending without any, while upstream works: it makes the write pick its elders then,
    and not at its end.
    """

    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    registry: Registry | None


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The batch is through; these rows failed or are in doubt."""

    unconfirmed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Finished:
    """Whether my token was there, and the registry's epoch (empty if there is none)."""

    there: bool
    epoch: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """Repair, removal of tokens, or removal of the registry is confirmed."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The store operation failed, or nobody knows: it may have landed, or land later, or never.

    What surely did not land (a busy record) is better tried again than reported.
    """


@dataclass(frozen=True, slots=True)
class Full:
    """The store, or the record, has no room for the operation. It can still read and remove."""


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """No time is left to reach the store. Heard only instead of a further repair."""


# ---- events: upstream


@dataclass(frozen=True, slots=True)
class Applied:
    """Upstream said OK.

    `kinds`: what it did to each row, if that is not what was asked or was not told at the start;
    `Kind.UNSTATED` for a row that its answer does not settle. `keys`: the same keys once more, in
    the order of `kinds`, if they were given in another one.

    For a write that holds everything, `keys` is the complete list of what it changed; without one,
    everything counts as changed.

    `last` False: these are some of the rows, and others follow once the store has taken these. A
    row that is in two of the parts is `Kind.UNSTATED` in the later one.
    """

    kinds: bytes | None = None
    keys: Keys | None = None
    last: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """Upstream refused, or the request was never sent and never will be."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection was lost: upstream may have applied the request, or may still do so."""


@dataclass(frozen=True, slots=True)
class Crowded:
    """The same, and too many writes are in doubt already: nobody will see to the end of this."""


@dataclass(frozen=True, slots=True)
class DoubtLapsed:
    """As long after that as upstream may still apply a request whose connection is lost.

    `keys`, not `last`: some of the rows; the others follow by `Applied`, all of them unstated.
    """

    keys: Keys | None = None
    last: bool = True


StoreEvent: TypeAlias = (
    Began | Bases | Resolved | Looked | Mirrored | Finished | Done | Lost | Full | OutOfTime
)
Event: TypeAlias = StoreEvent | Applied | Rejected | Unknown | Crowded | DoubtLapsed


# ---- actions


class Verdict(Enum):
    """What the client is told."""

    APPLIED = "applied"
    # Upstream's refusal, or the reason why the request was not sent.
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    # The store cannot be reached and stale hits are not acceptable; nothing was sent.
    UNAVAILABLE = "unavailable"
    # The same, but upstream has applied the write. No promise is given for it.
    UNREPAIRED = "unrepaired"


@dataclass(frozen=True, slots=True)
class Send:
    """Send the last byte of the request, if `may_send` says so; else report `Rejected`."""


@dataclass(frozen=True, slots=True)
class Answer:
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AwaitLapse:
    """Report `DoubtLapsed` in due time, even though the client is answered."""


@dataclass(frozen=True, slots=True)
class Owe:
    """Run this when the store is back, before this replica serves hits of the namespace again."""

    debt: Repair | RemoveRegistry


Action: TypeAlias = StoreOp | Send | Answer | AwaitLapse | Owe
