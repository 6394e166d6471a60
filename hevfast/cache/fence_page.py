"""One page of memory that all workers of a host share: the store file in use, and its fence.

The page is a small file mapped into every worker. Reading it costs a memory access; changing it
needs neither a transaction nor a free page of the store, so a store that is full or damaged can
still be voided at once for every worker.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hevfast.cache.transactional import Page

_PAGE_BYTES: Final = 4096
_MAGIC: Final = b"hevfast1"

# Places of the numbers, in units of 8 bytes: the store file in use; the fence, which every document
# carries, and the time of the last write that could not be announced (0: none); how often the file
# was opened since it last served for a while.
_GENERATION: Final = 1
_FENCE: Final = 2
_MARKED: Final = 3
_OPENED: Final = 4

# A mapped page that is damaged can end the process that reads it, which is then started again and
# reads it again. After so many opens without a quiet moment the file is not trusted any more.
_OPENED_MAX: Final = 16


class FencePage:
    """The page; opened in each worker after the fork."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "fence", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with self._alone():
            if os.fstat(self._file).st_size != _PAGE_BYTES:
                os.ftruncate(self._file, _PAGE_BYTES)
            self._map = mmap.mmap(self._file, _PAGE_BYTES)
            if self._map[:8] != _MAGIC:
                # Another format, or a file cut short: what records say of it means nothing, so the
                # numbers must be ones that no record has seen.
                fresh = int.from_bytes(os.urandom(6), "big")
                self._map[:40] = _MAGIC + struct.pack("=QQQQ", fresh, fresh, 0, 0)
        # Aligned numbers are read and written in one access each.
        self._numbers = memoryview(self._map).cast("Q")

    def __repr__(self) -> str:
        return f"<FencePage generation {self.generation}, {self.read()}>"

    @property
    def generation(self) -> int:
        """The number of the store file in use."""
        return int(self._numbers[_GENERATION])

    @property
    def fence(self) -> int:
        """The fence alone, for hits."""
        return int(self._numbers[_FENCE])

    def read(self) -> Page:
        """Give fence and mark. The fence first: whoever changes both, changes it last."""
        fence = int(self._numbers[_FENCE])
        marked_ms = int(self._numbers[_MARKED])
        return Page(fence, marked_ms or None)

    def change(self, rule: Callable[[Page], Page]) -> None:
        """Change fence and mark by a rule, with no other worker between."""
        with self._alone():
            after = rule(self.read())
            self._numbers[_MARKED] = after.marked_ms or 0
            self._numbers[_FENCE] = after.fence

    def replace(self, generation: int) -> bool:
        """Turn to a new store file, unless another worker did so already; tell who did."""
        with self._alone():
            if self._numbers[_GENERATION] != generation:
                return False
            self._numbers[_GENERATION] += 1
            self._numbers[_FENCE] += 1
            self._numbers[_OPENED] = 0
            return True

    def opening(self) -> bool:
        """Count an open; tell whether the file may still be trusted."""
        with self._alone():
            self._numbers[_OPENED] += 1
            return bool(self._numbers[_OPENED] <= _OPENED_MAX)

    def served(self) -> None:
        """Note that the file has served for a while without harm."""
        self._numbers[_OPENED] = 0

    def close(self) -> None:
        self._numbers.release()
        self._map.close()
        os.close(self._file)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other workers from changing the page; held for a few microseconds."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
