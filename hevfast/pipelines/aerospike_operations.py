"""What the pipelines ask of a store without transactions: operations on one record each.

A deed is a generator. It yields lists of operations, whose order within the list is nobody's, and
is sent the list of their answers: `Answer` for what was to be written, LOST for any of which
nothing is known. So one and the same deed runs against a cluster, and under an explorer that lets
gateways die between any two operations.
"""

from collections.abc import Generator, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeVar


class Answer(Enum):
    """What became of an operation."""

    DONE = "done"
    # Its condition did not hold: not done, and it will not be.
    REFUSED = "refused"
    # There is no such record: not done, and it will not be.
    MISSING = "missing"
    # There is no room for it: not done, and it will not be.
    FULL = "full"
    # It may have been done, or be done later, or never.
    LOST = "lost"


# ---- the book: one record a pipeline


class Look(NamedTuple):
    """Read the book: a `Book`, MISSING, or LOST.

    `bodies`: of open calls too. `doomed`: one of a deleted pipeline as well.
    """

    bodies: bool = False
    doomed: bool = False


class Open(NamedTuple):
    """Write down a call before it changes anything: an `Opened`, MISSING, FULL, or LOST.

    `positions`, `arrivals` (in the line of a stage) and `lapses` (in a bucket) are taken for it.
    """

    token: bytes
    body: bytes
    positions: int = 0
    stage: str = ""
    arrivals: int = 0
    bucket: int = 0
    lapses: int = 0


class Close(NamedTuple):
    """Count what a call has changed and strike it out, if it is still open: an `Answer`."""

    token: bytes
    stages: dict[str, int]
    reasons: dict[str, int]
    origins: dict[str, int]
    indexed: int
    # The second that they are indexed in.
    second: int


class Advance(NamedTuple):
    """Note that the segments of a line below this one are sealed."""

    stage: str
    segment: int


class Retire(NamedTuple):
    """Replace what is noted of a bucket, if it is what it was; None strikes it out."""

    bucket: int
    before: int
    after: int | None


class Book(NamedTuple):
    """A pipeline's book."""

    # The number of the call opened last, and the tokens of those open, with their bodies if asked.
    number: int
    open: dict[bytes, bytes]
    now_ms: int
    # By stage: places ever taken in its line, and the first segment that is not sealed.
    arrivals: dict[str, int]
    heads: dict[str, int]
    # By bucket: places ever taken in it; negative once it is sealed.
    buckets: dict[int, int]
    stages: dict[str, int]
    reasons: dict[str, int]
    origins: dict[str, int]
    rates: dict[int, int]


class Opened(NamedTuple):
    """A call's number, the last of the places taken for it, and the book's state then."""

    number: int
    position: int
    arrival: int
    lapse: int
    open: frozenset[bytes]
    now_ms: int
    reasons: frozenset[str]


# ---- documents


class Read(NamedTuple):
    """Read a document: a `Kept`, MISSING, or LOST."""

    document: str
    chunks: bool = False
    rows: bool = False


class Kept(NamedTuple):
    state: bytes
    generation: int
    chunks: bytes | None = None
    rows: bytes | None = None
    # Of the calls that were settled while this was not changed, the highest number; or above.
    settled: int = 0


class Put(NamedTuple):
    """Write a document, if its record is still the one that was read: an `Answer`.

    `generation` 0: if there is none. `chunks`, `rows`: None leaves them; empty removes them.
    """

    document: str
    state: bytes
    generation: int
    chunks: bytes | None = None
    rows: bytes | None = None


class Touch(NamedTuple):
    """Make a new generation of a record, so that no write on condition of the old one succeeds.

    It says that calls up to `number` have been settled: one of them that reads the record only now
    has to leave it alone.
    """

    document: str
    generation: int
    number: int


class PutPart(NamedTuple):
    document: str
    token: bytes
    piece: int
    data: bytes


class DropPart(NamedTuple):
    document: str
    token: bytes
    piece: int


class ReadPart(NamedTuple):
    """bytes, MISSING, or LOST."""

    document: str
    token: bytes
    piece: int


class Erase(NamedTuple):
    """Remove a document's record, whatever it is."""

    document: str


# ---- segments: records of hints, in the order of their keys


class Hint(NamedTuple):
    """Put hints into a segment, all of them, unless it is sealed: an `Answer`."""

    segment: bytes
    hints: dict[bytes, bytes]


class Drop(NamedTuple):
    """Remove hints; give back `reserved` places of the cursor."""

    segment: bytes
    keys: list[bytes]
    reserved: int = 0


class Reserve(NamedTuple):
    """Read hints from the cursor on and move it behind them, or `anew`, from the first on."""

    segment: bytes
    places: int
    anew: bool = False


class Glance(NamedTuple):
    """Read the first hints with keys below `end`, if there is one: `Hints` or LOST."""

    segment: bytes
    most: int
    end: bytes | None = None


class Hints(NamedTuple):
    """Some hints of a segment, and how many it has in all; told by a Glance, these alone."""

    hints: dict[bytes, bytes]
    total: int


class Seal(NamedTuple):
    """Take in no more hints, if a segment is empty: an `Answer`."""

    segment: bytes


class Remove(NamedTuple):
    """Remove a segment's record."""

    segment: bytes


class Burn(NamedTuple):
    """Remove the book."""


# ---- others


class Pause(NamedTuple):
    """Wait."""

    seconds: float


Op = (
    Look | Open | Close | Advance | Retire | Read | Put | Touch | PutPart | DropPart | ReadPart
    | Erase | Hint | Drop | Reserve | Glance | Seal | Remove | Burn | Pause
)  # fmt: skip

T = TypeVar("T")
Deed = Generator[Sequence[Op], list[Any], T]
