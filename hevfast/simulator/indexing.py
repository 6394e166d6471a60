"""The index that lags behind: which writes it has not seen yet, and what it shows instead."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .document import Document
from .limits import UNINDEXED_BYTES_MAX
from .values import Id


@dataclass(slots=True)
class Indexing:
    """How far the index is behind, for all namespaces; may be changed while writes wait.

    `lag_ms` is the time from a write's commit to its indexing. The namespaces in `held`, or all if
    it has "*", are not indexed at all until they are taken out again.
    """

    lag_ms: float = 0.0
    held: set[str] = field(default_factory=set)
    # Above this many bytes that are not indexed the service pushes back.
    unindexed_bytes_max: int = UNINDEXED_BYTES_MAX
    # How much of it, beginning with the oldest, an eventual query looks into.
    eventual_tail_bytes: int = 0
    clock: Callable[[], float] = time.monotonic

    @property
    def is_on(self) -> bool:
        return self.lag_ms > 0 or bool(self.held)

    def is_due(self, name: str, committed_s: float) -> bool:
        if name in self.held or "*" in self.held:
            return False
        return (self.clock() - committed_s) * 1000 >= self.lag_ms


@dataclass(slots=True)
class Commit:
    """One write that is not indexed: the versions that it replaced, None where there was none."""

    committed_s: float
    replaced: dict[Id, Document | None]
    size_bytes: int
    # Attributes with an index that is built when the write is indexed.
    built: list[str] = field(default_factory=list)


class Backlog:
    """The writes of one namespace that the index has not seen, oldest first."""

    def __init__(self) -> None:
        self._commits: deque[Commit] = deque()
        self.row_count = 0
        self.size_bytes = 0

    def __repr__(self) -> str:
        return f"<Backlog writes={len(self._commits)} rows={self.row_count}>"

    def __len__(self) -> int:
        return len(self._commits)

    def add(self, commit: Commit) -> None:
        self._commits.append(commit)
        self.row_count += len(commit.replaced)
        self.size_bytes += commit.size_bytes

    def indexed(self, name: str, indexing: Indexing) -> Iterator[Commit]:
        """Take out the writes that are due, in the order of their commits."""
        while self._commits and indexing.is_due(name, self._commits[0].committed_s):
            commit = self._commits.popleft()
            self.row_count -= len(commit.replaced)
            self.size_bytes -= commit.size_bytes
            yield commit

    def versions(self) -> Iterator[Document]:
        """All older versions that are kept."""
        for commit in self._commits:
            yield from filter(None, commit.replaced.values())

    def shown(self, tail_bytes: int) -> dict[Id, Document | None]:
        """The versions that an eventual query sees in place of today's.

        It looks into the oldest `tail_bytes` of what is not indexed, and no further.
        """
        hidden: list[Commit] = []
        seen_bytes = 0
        for commit in self._commits:
            seen_bytes += commit.size_bytes
            if seen_bytes > tail_bytes or tail_bytes == 0:
                hidden.append(commit)
        instead: dict[Id, Document | None] = {}
        for commit in reversed(hidden):
            instead.update(commit.replaced)
        return instead
