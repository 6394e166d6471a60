"""The marks of all namespaces in one file that the workers of a host have mapped.

A head with the latest time that any of them has stamped with, then a table of slots. A namespace
has its slot among the few behind its hash's place; if all are taken, the one that was asked about
longest ago gives way: that one's mark is learnt anew. Slots are changed under a lock and read
without: numbers are aligned, and the name is looked at again after they were read.
"""

import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from hevfast.reads.mark import NOTHING_KNOWN, Mark, Standing

SLOTS: Final = 1 << 16
# Slots that a namespace may have.
_REACH: Final = 16

_HEAD_BYTES: Final = 4096
# Name in two halves; moment; when upstream was asked, with the standing in the lowest bits.
_SLOT_NUMBERS: Final = 4
_FILE_BYTES: Final = _HEAD_BYTES + 8 * _SLOT_NUMBERS * SLOTS
_MAGIC: Final = b"hevmark1"
_MAGIC_NUMBER: Final = int.from_bytes(_MAGIC, "little")
# Place of the latest time, in units of 8 bytes.
_CLOCK: Final = 1
_FIRST: Final = _HEAD_BYTES // 8
_STANDING_BITS: Final = 2

Name = tuple[int, int]


@lru_cache(maxsize=4096)
def _name_of(namespace: bytes) -> Name:
    digest = hashlib.blake2b(namespace, digest_size=16).digest()
    # Never the name of an empty slot.
    return int.from_bytes(digest[:8], "big") | 1, int.from_bytes(digest[8:], "big")


class Marks:
    """The table; `path` None: in the memory of this worker, and forgotten with it."""

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with self._alone():
            if self._file is not None and os.fstat(self._file).st_size != _FILE_BYTES:
                os.ftruncate(self._file, 0)
                # Room is taken now: a mapped page that the disk has no room for ends the process.
                os.posix_fallocate(self._file, 0, _FILE_BYTES)
            self._map = mmap.mmap(-1 if self._file is None else self._file, _FILE_BYTES)
            self._numbers = memoryview(self._map).cast("Q")
            if self._numbers[0] != _MAGIC_NUMBER:
                self._map[:] = bytes(_FILE_BYTES)
                self._numbers[0] = _MAGIC_NUMBER
        self.clock = self._numbers[_CLOCK : _CLOCK + 1]

    def close(self) -> None:
        self.clock.release()
        self._numbers.release()
        self._map.close()
        if self._file is not None:
            os.close(self._file)

    def read(self, namespace: bytes) -> tuple[Mark, int]:
        """Give a mark, and when upstream was last asked for it (0: never)."""
        name = _name_of(namespace)
        for at in _places(name):
            if self._holds(at, name):
                moment, asked = self._numbers[at + 2], self._numbers[at + 3]
                # It may have got another owner while it was read.
                if self._holds(at, name):
                    return _mark(moment, asked), asked >> _STANDING_BITS
        return NOTHING_KNOWN, 0

    def raise_to(self, namespace: bytes, mark: Mark, asked_ms: int) -> None:
        """Take in a mark learnt by a question at this time; an older one than the last is void."""
        name, moment = _name_of(namespace), mark.stable_as_of or 0
        with self._alone():
            at = self._claimed(name)
            if asked_ms >= self._numbers[at + 3] >> _STANDING_BITS:
                if moment > self._numbers[at + 2]:
                    self._numbers[at + 2] = moment
                self._numbers[at + 3] = asked_ms << _STANDING_BITS | mark.standing

    def restart(self, namespace: bytes, from_ms: int) -> None:
        """Withdraw a mark; only questions asked from this time on can give another."""
        name = _name_of(namespace)
        with self._alone():
            at = self._claimed(name)
            self._numbers[at + 2] = 0
            self._numbers[at + 3] = from_ms << _STANDING_BITS

    def _claimed(self, name: Name) -> int:
        """Give the slot of a name, made its own if it had none."""
        places = _places(name)
        for at in places:
            if self._holds(at, name):
                return at
        at = min(places, key=lambda place: int(self._numbers[place + 3]))
        self._empty(at)
        self._numbers[at + 1] = name[1]
        self._numbers[at] = name[0]
        return at

    def _empty(self, at: int) -> None:
        # The name first, so that no reader takes the zeros for its owner's.
        self._numbers[at] = 0
        self._numbers[at + 2] = 0
        self._numbers[at + 3] = 0

    def _holds(self, at: int, name: Name) -> bool:
        return bool(self._numbers[at] == name[0] and self._numbers[at + 1] == name[1])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other workers from changing the table; held for some microseconds."""
        if self._file is None:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def _mark(moment: int, asked: int) -> Mark:
    return Mark(moment or None, Standing(asked & ((1 << _STANDING_BITS) - 1)))


def _places(name: Name) -> list[int]:
    first = name[1]
    return [_FIRST + _SLOT_NUMBERS * ((first + step) % SLOTS) for step in range(_REACH)]
