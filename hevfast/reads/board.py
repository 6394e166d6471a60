"""What the workers of a host show each other of their reads and writes: files that all have mapped.

    marks              the marks of all namespaces, and the latest time stamped with
    flights-<random>   one a worker, locked by it as long as it lives: its stamps in flight

A lock of the system's ends with its holder, however that ends. The stamps of a worker that died
count until upstream cannot apply its writes any more.
"""

import contextlib
import fcntl
import mmap
import os
from pathlib import Path
from typing import Final

from hevfast.core.clock import Clock, Numbers, monotonic_s
from hevfast.reads.flights import BUCKETS, Flights
from hevfast.reads.marks import Marks
from hevfast.reads.rules import NONE

_PAGE_BYTES: Final = 8 * BUCKETS
_PREFIX: Final = "flights-"


class _Page:
    """The stamps in flight of one worker."""

    __slots__ = ("_file", "_map", "dead_since_s", "numbers")

    def __init__(self, file: int) -> None:
        self._file = file
        self._map = mmap.mmap(file, _PAGE_BYTES)
        self.numbers = memoryview(self._map).cast("Q")
        self.dead_since_s: float | None = None

    def look(self, now_s: float) -> None:
        """See whether the worker lives."""
        if self.dead_since_s is None and _free(self._file):
            self.dead_since_s = now_s

    def close(self) -> None:
        self.numbers.release()
        self._map.close()
        os.close(self._file)


class Board:
    """The files as one worker sees them. `folder` None: only this worker is known."""

    def __init__(self, folder: Path | None, clock: Clock, flights: Flights, doubt_s: float) -> None:
        self._folder = folder
        self._doubt_s = doubt_s
        self._others: dict[str, _Page] = {}
        self._own: _Page | None = None
        self._name = ""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.marks = Marks(folder / "marks" if folder is not None else None)
        clock.share(self.marks.clock)
        if folder is not None:
            self._own = self._begin(folder)
            flights.show_on(self._own.numbers)
        else:
            self._numbers: Numbers = memoryview(bytearray(_PAGE_BYTES)).cast("Q")
            flights.show_on(self._numbers)

    def __repr__(self) -> str:
        return f"<Board {self._folder} with {len(self._others)} other workers>"

    def close(self) -> None:
        """Leave; what is still in doubt counts on, as that of a worker that died."""
        for page in self._others.values():
            page.close()
        if self._own is not None:
            self._own.close()
        self.marks.close()

    def look(self) -> None:
        """See which workers there are. Called after the time was noted by which floors are used:
        a worker that joins later stamps later.
        """
        if self._folder is None:
            return
        now_s = monotonic_s()
        names = {name for name in os.listdir(self._folder) if name.startswith(_PREFIX)}
        for name in names - self._others.keys() - {self._name}:
            # One that is being removed may be gone by now.
            with contextlib.suppress(FileNotFoundError):
                self._others[name] = _Page(os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC))
        for name, page in list(self._others.items()):
            page.look(now_s)
            since_s = page.dead_since_s
            lapsed = since_s is not None and now_s - since_s > self._doubt_s
            if name not in names or lapsed or (since_s is not None and _is_clear(page)):
                (self._folder / name).unlink(missing_ok=True)
                page.close()
                del self._others[name]

    def floor_ms(self, bucket: int) -> int:
        """Give the smallest stamp that is in flight on this host in a bucket, or NONE."""
        own = self._own.numbers if self._own is not None else self._numbers
        return min(own[bucket], *(page.numbers[bucket] for page in self._others.values()), NONE)

    def _begin(self, folder: Path) -> _Page:
        """Make this worker's page. It gets its name when it is locked: under one, it would be a
        dead worker's.
        """
        self._name = f"{_PREFIX}{os.urandom(8).hex()}"
        beginning = folder / f"new-{self._name}"
        file = os.open(beginning, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.posix_fallocate(file, 0, _PAGE_BYTES)
        page = _Page(file)
        for bucket in range(BUCKETS):
            page.numbers[bucket] = NONE
        beginning.rename(folder / self._name)
        return page


def _is_clear(page: _Page) -> bool:
    return all(floor == NONE for floor in page.numbers)


def _free(file: int) -> bool:
    """Tell whether nobody holds the lock of a file."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True
