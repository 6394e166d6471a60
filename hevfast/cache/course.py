"""Where one write of the registry form is: a frozen value, and nothing else."""

from enum import Enum
from typing import NamedTuple, TypeAlias

from hevfast.cache.events import Action, Answer
from hevfast.cache.keys import NO_BUMPS, WHOLE, Bumps, Keys
from hevfast.cache.registry import Fence, Token
from hevfast.cache.rows import Kind


class Mode(Enum):
    """What a replica does with writes while it cannot reach the store."""

    # Goes on, and owes the bumps. Until they are paid, others may serve the old rows.
    OPEN = "open"
    # Refuses writes. No window, but writes depend on the store.
    REFUSE = "refuse"


class Phase(Enum):
    BEGINNING = "beginning"
    # No room for a token: the registry is being removed, which protects the write as well.
    VOIDING = "voiding"
    WORKING = "working"
    DROPPING = "dropping"
    CLEARING = "clearing"
    # Too many are in doubt: the registry is being removed, and the young one looks after the rest.
    FORSAKING = "forsaking"
    DOUBTING = "doubting"
    BASING = "basing"
    LOOKING = "looking"
    MIRRORING = "mirroring"
    # Some rows are through; the others have yet to be told.
    AMID = "amid"
    FINISHING = "finishing"
    REPAIRING = "repairing"
    REMOVING = "removing"
    OVER = "over"


class Course(NamedTuple):
    """Where a write is.

    A tuple, since a write takes eight steps and a tuple is replaced in a sixth of the time.
    `keys` None: it may change everything. `kinds` has one `Kind` a row, or is empty while unknown.
    """

    phase: Phase
    mode: Mode
    keys: Keys | None
    kinds: bytes
    # My token and what its begin read; None while, and if, no begin is confirmed.
    token: bytes | None = None
    fence: Fence | None = None
    young: bool = False
    # Tokens of others as read at begin.
    seen: tuple[Token, ...] = ()
    # Tokens of mine not tried yet, and those whose begin may have landed unseen.
    spare: tuple[bytes, ...] = ()
    stray: tuple[bytes, ...] = ()
    # The rows that are being ended, in the order of `kinds`, and whether others follow.
    rows: Keys | None = None
    more: bool = False
    # Rows with the values their patches may be merged onto, and whether they were read at all.
    bases: tuple[tuple[int, bytes], ...] = ()
    based: bool = False
    deeds: bytes = b""
    bumps: Bumps = NO_BUMPS
    answered: bool = False

    def tokens(self) -> tuple[bytes, ...]:
        return (self.token, *self.stray) if self.token is not None else self.stray


Step: TypeAlias = tuple[Course, tuple[Action, ...]]


def patched(course: Course) -> tuple[int, ...]:
    """Give the rows whose base is worth reading.

    None while the registry is young: a write that began under its lost predecessor may be in
    flight, and no token tells of it.
    """
    if course.young or Kind.PATCH not in course.kinds:
        return ()
    return tuple(row for row, kind in enumerate(course.kinds) if kind == Kind.PATCH)


def fences(course: Course) -> Bumps:
    """Give the fences of all that a write may have changed."""
    return WHOLE if course.keys is None else Bumps.of(course.keys.buckets())


def over(course: Course, *actions: Action) -> Step:
    """End the write; a client that was answered already is not answered twice."""
    end = Course(Phase.OVER, course.mode, None, b"", answered=True)
    if course.answered:
        actions = tuple(action for action in actions if not isinstance(action, Answer))
    return end, actions
