"""Which label values from outside get a name of their own in metrics: the first so many of each.

Of all workers together, and for as long as the gateway runs: a series that had its own name keeps
it. In a file that workers append to, a JSON line a name.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

import msgspec

from hevfast.observe.catalogue import ADMITTED_MAX

# Attempts at a lock that another worker holds for some ten microseconds.
ATTEMPTS: Final = 500

_decode = msgspec.json.Decoder(tuple[str, str]).decode
_encode = msgspec.json.Encoder().encode


def locked(file: int, attempts: int = 1, how: int = fcntl.LOCK_EX) -> bool:
    """Lock a file if nobody holds it. It is never waited for: its holder may have been stopped."""
    for _ in range(attempts):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, how | fcntl.LOCK_NB)
            return True
    return False


class Names:
    """The names as one worker knows them; without a file, there is only this one."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = None
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._read_to = 0
        self._admitted: dict[str, set[str]] = {label: set() for label in ADMITTED_MAX}

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(names)} {label}" for label, names in self._admitted.items())
        return f"<Names {counts}>"

    def has(self, label: str, value: str) -> bool:
        return value in self._admitted[label]

    def admits(self, label: str, value: str) -> bool:
        """Tell whether a name may be shown, after admitting it if there is room for it."""
        admitted = self._admitted[label]
        if value in admitted:
            return True
        if self._is_full(label):
            return False
        if self._file is None:
            admitted.add(value)
            return True
        if not locked(self._file, ATTEMPTS):
            # Not now: this once it is one of the others.
            return False
        try:
            self._catch_up(self._file)
            if value not in admitted and not self._is_full(label):
                # A line that a killed worker left half written ends here.
                line = b"\n" + _encode((label, value)) + b"\n"
                self._read_to += os.pwrite(self._file, line, self._read_to)
                admitted.add(value)
            return value in admitted
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _is_full(self, label: str) -> bool:
        # Names are only ever added, so what is known to be full is full.
        return len(self._admitted[label]) >= ADMITTED_MAX[label]

    def _catch_up(self, file: int) -> None:
        """Read what other workers have added."""
        added = os.pread(file, os.fstat(file).st_size - self._read_to, self._read_to)
        self._read_to += len(added)
        for line in added.split(b"\n"):
            with contextlib.suppress(msgspec.DecodeError, ValueError):
                label, value = _decode(line)
                if label in self._admitted:
                    self._admitted[label].add(value)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
