"""The pipelines' file of one host: opened after the fork, set aside when damaged, never deleted.

Every commit is on disk before it is answered: what a power cut takes was not promised to anybody,
and LMDB's pages are never in a state between two commits. So the file is trusted after any crash
that leaves it whole.
"""

import fcntl
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import lmdb

from hevfast.cache.lmdb_file import DAMAGE, check_size
from hevfast.core.clock import NS_PER_MS
from hevfast.pipelines.lmdb_pages import DATABASES
from hevfast.pipelines.store import UnableError

LOGGER = logging.getLogger("hevfast.pipelines")

# Processes that have the file open at once.
_READERS_MAX: Final = 1024

# A transaction is bad from its first step on if the root of a database cannot be read.
_DAMAGE: Final = (*DAMAGE, lmdb.BadTxnError)

# Seconds between attempts to open a file that could not be opened.
_RETRY_S: Final = 2.0

# Which boot the clock is counted from, and what is added to the time since that boot.
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_BOOT: Final = b"boot"
_OFFSET: Final = struct.Struct(">q")
_NOW: Final = b"now"


def boottime_ms() -> int:
    """Give the time since the machine started, sleep included: one clock for all its processes."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // NS_PER_MS


class PipelinesFile:
    """The open file and its databases."""

    def __init__(self, path: Path, bytes_max: int, clock: Callable[[], int]) -> None:
        check_size(path)
        self.bytes_max = bytes_max
        self.environment = lmdb.open(
            str(path),
            subdir=False,
            map_size=bytes_max,
            max_dbs=len(DATABASES),
            max_readers=_READERS_MAX,
            # Readers come and go within one turn of the loop; a slot a thread would leak slots.
            max_spare_txns=2,
            readahead=False,
        )
        try:
            self.databases: dict[str, Any] = {
                name: self.environment.open_db(name.encode()) for name in DATABASES
            }
            self.page_bytes = int(self.environment.stat()["psize"])
            self.identity = _identity(path)
            self._clock = clock
            self._offset_ms = self._offset()
        except BaseException:
            self.environment.close()
            raise

    def now_ms(self) -> int:
        return self._clock() + self._offset_ms

    def _offset(self) -> int:
        """Give what makes a time since the epoch of the time since the boot.

        It is chosen once a boot, so a system clock that is set does not move the pipelines'. After
        a boot the time goes on from what the system's clock says, and never from before the last
        time that was written here: leases go on lapsing while the machine is off.
        """
        boot = _BOOT_ID.read_bytes().strip() if _BOOT_ID.exists() else b"unknown"
        facts = self.databases["facts"]
        with self.environment.begin(write=True, db=facts) as transaction:
            known = transaction.get(_BOOT)
            if known is not None and known[_OFFSET.size :] == boot:
                return int(_OFFSET.unpack_from(known)[0])
            last = int.from_bytes(transaction.get(_NOW) or b"", "big")
            offset = max(time.time_ns() // NS_PER_MS, last) - self._clock()
            transaction.put(_BOOT, _OFFSET.pack(offset) + boot)
            return offset


class Files:
    """The file in use. Every transaction asks for it; another worker may have set it aside."""

    def __init__(self, folder: Path, bytes_max: int, clock: Callable[[], int]) -> None:
        self.path = folder / "pipelines.lmdb"
        self._bytes_max = bytes_max
        self._clock = clock
        self._file: PipelinesFile | None = None
        self._retry_s = 0.0
        # What a reader has met; the writer thread sees to it.
        self._reported: BaseException | None = None
        # Held by readers throughout their transactions, and by the writer thread while it turns to
        # another file: one that is closed under a reader ends the process.
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Files {self.path} {'open' if self._file else 'closed'}>"

    @contextmanager
    def reading(self) -> Iterator[PipelinesFile | None]:
        """Give the file in use for one read; None if the writer thread has to turn to it first."""
        if not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            file = self._file if self._reported is None else None
            if file is not None and file.identity != _identity(self.path):
                file = None
            yield file
        except (lmdb.Error, OSError) as error:
            self._reported = error
            raise UnableError("the pipelines' file cannot be read") from error
        finally:
            self._lock.release()

    def current(self) -> PipelinesFile:
        """Give the file in use, opened if need be. For the writer thread.

        Raises: UnableError if there is none.
        """
        if self._reported is not None:
            self.failed(self._reported)
            self._reported = None
        if self._file is not None and self._file.identity == _identity(self.path):
            return self._file
        if time.monotonic() < self._retry_s:
            raise UnableError("the pipelines' file could not be opened")
        try:
            with self._lock:
                self.close()
                self._file = self._opened()
        except (lmdb.Error, OSError) as error:
            self._retry_s = time.monotonic() + _RETRY_S
            LOGGER.error("the pipelines' file cannot be opened: %s", error)
            raise UnableError("the pipelines' file cannot be opened") from error
        return self._file

    def failed(self, error: BaseException) -> None:
        """Hear of a fault met in a transaction. For the writer thread."""
        if isinstance(error, lmdb.PanicError):
            # A commit failed half way, on a full disk say. The file is whole, this view is not.
            LOGGER.error("the pipelines' file is opened anew: %s", error)
            with self._lock:
                self.close()
        elif isinstance(error, _DAMAGE):
            with self._lock:
                identity = self._file.identity if self._file is not None else None
                self.close()
                with _alone(self.path):
                    self._set_aside(identity, error)
        else:
            LOGGER.warning("the pipelines' file failed: %s", error)

    def close(self) -> None:
        if self._file is not None:
            self._file.environment.close()
            self._file = None

    def _opened(self) -> PipelinesFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path):
            identity = _identity(self.path)
            try:
                return PipelinesFile(self.path, self._bytes_max, self._clock)
            except lmdb.PanicError:
                raise
            except DAMAGE as error:
                self._set_aside(identity, error)
            return PipelinesFile(self.path, self._bytes_max, self._clock)

    def _set_aside(self, identity: tuple[int, int] | None, error: BaseException) -> None:
        """Rename a damaged file, unless another worker has done so and begun a new one."""
        if identity is None or identity != _identity(self.path):
            return
        aside = self.path.with_name(f"pipelines-{time.time_ns()}.damaged")
        LOGGER.error(
            "the pipelines' file is damaged (%s): set aside as %s, and a new one begun. "
            "What was staged has to be staged again.",
            error,
            aside,
        )
        # The lock file first: a new file must not meet the old one's.
        self.path.with_name(self.path.name + "-lock").unlink(missing_ok=True)
        self.path.rename(aside)


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell one file from another at the same path."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Open or set aside while no other process of the host does."""
    lock = os.open(path.with_name("pipelines.open"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
