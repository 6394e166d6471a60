"""What a call is planned to do, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hevfast.pipelines.aerospike_operations import Book, Opened
from hevfast.pipelines.aerospike_state import Before, Hinted, Parts, Spot, State
from hevfast.pipelines.model import Document


@dataclass(slots=True)
class Desk:
    """What one gateway keeps of a pipeline. `draw` gives tokens that no other call has."""

    draw: Callable[[], bytes]
    # The server's time, about; what is decided by time goes by the book's answers.
    about_ms: Callable[[], int]
    # Calls that this gateway could not close.
    unsettled: set[bytes] = field(default_factory=set)
    # The segment of lapses that the next claim begins with, if there are many.
    due: int = 0
    # Stages that too many have come back to at once, and until when they count as that.
    crowded_ms: dict[str, int] = field(default_factory=dict)

    def is_crowded(self, stage: str) -> bool:
        return self.about_ms() < self.crowded_ms.get(stage, 0)


class Wish(NamedTuple):
    """What a document is to become; `chunks`, `rows`: None leaves them, empty removes them."""

    document: Document
    chunks: bytes | None = None
    rows: bytes | None = None
    parts: Parts = Parts()
    # Whether it comes back to a stage that it has waited in.
    returns: bool = False
    # For a document that vanished: what it was.
    before: Before | None = None


class Found(NamedTuple):
    """A hint that was found: where, and whose call put it."""

    spot: Spot
    hinted: Hinted


Decide = Callable[[int, State | None, Opened, int], Wish | None]


@dataclass(slots=True)
class Plan:
    """Which documents a call may change, and how. `decide` is told one's number and position."""

    documents: Sequence[str]
    decide: Decide
    positions: int = 0
    # Whether documents that are missing may be created.
    creates: bool = False
    # The line that documents may be put into, and the bucket that leases may be; none: none may.
    line: str = ""
    bucket: int | None = None
    # Chunks that do not fit into a document's record, in pieces.
    pieces: dict[int, list[bytes]] = field(default_factory=dict)
    # The hints that the documents were found by, as of a book read before.
    found: Sequence[Found] = ()
    book: Book | None = None
    # What documents were that have vanished.
    befores: Sequence[Before] = ()
    # Places of cursors to give back, by segment.
    reserved: dict[bytes, int] = field(default_factory=dict)


class Change(NamedTuple):
    number: int
    before: State | None
    after: State


@dataclass(slots=True)
class Outcome:
    """What became of a call's documents, by their numbers in the plan."""

    now_ms: int = 0
    changed: list[Change] = field(default_factory=list)
    # Not changed, since others were at it: another call may.
    again: list[int] = field(default_factory=list)
    # Nothing is known, or there is no room.
    failed: list[int] = field(default_factory=list)
    # There is a hint, and it is in order, but no record.
    vanished: list[int] = field(default_factory=list)
    # Another gateway is settling this call, and counts what it has found.
    settled: bool = False
