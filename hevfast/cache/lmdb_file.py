"""The LMDB file in use: opened after the fork, set aside when damaged, discarded after a reboot."""

import errno
import logging
import struct
from pathlib import Path
from typing import Any, Final, cast

import lmdb

from hevfast.cache.fence_page import FencePage
from hevfast.cache.witness import NOBODY, Witness
from hevfast.core.names import Failure, Replaced

LOGGER = logging.getLogger("hevfast.cache")

# The file is not synced to disk at each commit: after a crash of the machine its pages may be of
# any age, and an old one would be served as fresh. The kernel's boot number tells that apart.
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_DATABASES: Final = 4

# Magic number; page size (the first field of the first of two root records of 48 bytes); last page;
# transaction number.
_META: Final = struct.Struct("=I20xI92xQQ")
_META_BYTES: Final = 16 + _META.size
_META_MAGIC: Final = 0xBEEFC0DE
_PAGE_MIN: Final = 512
_PAGE_MAX: Final = 65536

# What LMDB raises for a file that cannot be trusted any more. A full one is not among them.
DAMAGE: Final = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
)

# What it raises for a file that has no room; or it gives the system's error number. A full disk
# that cuts a write short is EIO to LMDB, though, like any write that fails.
_FULL: Final = (lmdb.DiskError, lmdb.MapFullError)
_NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class View:
    """One transaction, with what the rules need of it; values are copies, never views of pages."""

    __slots__ = ("_cursors", "_transaction", "file")

    def __init__(self, file: "LmdbFile", transaction: lmdb.Transaction) -> None:
        self.file = file
        self._transaction = transaction
        # One a database, closed with the transaction: making one costs more than a look with it.
        self._cursors: dict[Any, lmdb.Cursor] = {}

    def get(self, database: Any, key: bytes) -> bytes | None:
        # The transaction was opened without `buffers`, so what comes is bytes. Arguments by place,
        # here and below: the library takes half as long again for those by name.
        return cast("bytes | None", self._transaction.get(key, None, database))

    def put(self, database: Any, key: bytes, value: bytes) -> None:
        self._transaction.put(key, value, True, True, False, database)

    def put_many(self, database: Any, pairs: list[tuple[bytes, bytes]]) -> None:
        with self._transaction.cursor(database) as cursor:
            cursor.putmulti(pairs)

    def delete(self, database: Any, key: bytes) -> None:
        self._transaction.delete(key, b"", database)

    def has_prefix(self, database: Any, prefix: bytes) -> bool:
        """Tell whether a key begins with the prefix."""
        cursor = self._cursor(database)
        return bool(cursor.set_range(prefix)) and cast("bytes", cursor.key()).startswith(prefix)

    def prefixed(self, database: Any, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Give all entries whose keys begin with the prefix."""
        entries = []
        cursor = self._cursor(database)
        found = cursor.set_range(prefix)
        while found:
            key = cast("bytes", cursor.key())
            if not key.startswith(prefix):
                break
            entries.append((key, cast("bytes", cursor.value())))
            found = cursor.next()
        return entries

    def _cursor(self, database: Any) -> lmdb.Cursor:
        cursor = self._cursors.get(database)
        if cursor is None:
            cursor = self._cursors[database] = self._transaction.cursor(database)
        return cursor

    def delete_from(self, database: Any, start: bytes, count: int) -> bytes:
        """Delete entries from a key on, round the end to the beginning; give the last one's key."""
        with self._transaction.cursor(database) as cursor:
            found = cursor.set_range(start)
            for _ in range(count):
                if not found and not cursor.first():
                    break
                start = cast("bytes", cursor.key())
                found = cursor.delete()
        return start

    def bytes_of(self, database: Any) -> int:
        """Give the size of a database in bytes, its pages counted whole."""
        stat = self._transaction.stat(database)
        pages: int = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * self.file.page_bytes


class LmdbFile:
    """The environment of one generation and its databases."""

    def __init__(self, folder: Path, page: FencePage, bytes_max: int) -> None:
        self.generation = page.generation
        self.path = folder / f"cache-{self.generation}.lmdb"
        check_size(self.path)
        self.bytes_max = bytes_max
        self.environment = lmdb.open(
            str(self.path),
            subdir=False,
            map_size=bytes_max,
            max_dbs=_DATABASES,
            # Losing the last moments at a crash of the machine loses nothing: see the boot number.
            sync=False,
            metasync=False,
            # Readers come and go within one turn of the loop; a slot a thread would leak slots.
            max_spare_txns=2,
            readahead=False,
        )
        self.documents = self.environment.open_db(b"documents")
        self.tokens = self.environment.open_db(b"tokens")
        self.namespaces = self.environment.open_db(b"namespaces")
        self.page_bytes = int(self.environment.stat()["psize"])

    def boot_is_ours(self) -> bool:
        """Tell whether the file was made since the machine started; claim a new one."""
        now = _BOOT_ID.read_bytes() if _BOOT_ID.exists() else b"unknown"
        with self.environment.begin(write=True, db=self.namespaces) as transaction:
            made = transaction.get(b"boot")
            if made is None:
                transaction.put(b"boot", now)
            return made in (None, now)

    def close(self) -> None:
        self.environment.close()


def check_size(path: Path) -> None:
    """Refuse a file shorter than the pages it counts: reading one it lacks ends the process.

    Source: LMDB's file format, version 1. Two meta pages begin the file; behind a page header of
    16 bytes each has its magic number, the page size and, after both root records, its last page.
    """
    size = path.stat().st_size if path.exists() else 0
    if not size:
        return
    with path.open("rb") as file:
        first = file.read(_META_BYTES)
        magic, page_bytes, last, _ = _META.unpack(first.ljust(_META_BYTES, b"\0")[16:])
        if magic != _META_MAGIC or not _PAGE_MIN <= page_bytes <= _PAGE_MAX:
            raise lmdb.CorruptedError("the file does not begin like one of LMDB")
        file.seek(page_bytes)
        second = file.read(_META_BYTES).ljust(_META_BYTES, b"\0")
        magic, _, other, _ = _META.unpack(second[16:])
    pages = max(last, other if magic == _META_MAGIC else 0) + 1
    if size < pages * page_bytes:
        raise lmdb.CorruptedError("the file is shorter than its own count of pages")


def failure_of(error: BaseException) -> Failure:
    """Give what kind of failure an error of the file is."""
    if isinstance(error, DAMAGE):
        return Failure.DAMAGED
    # Of the system's own errors, and of LMDB's that stem from one.
    code = getattr(error, "errno", None) or getattr(error, "code", None)
    return Failure.FULL if code in _NO_ROOM or isinstance(error, _FULL) else Failure.FAILED


def open_file(folder: Path, page: FencePage, bytes_max: int, witness: Witness = NOBODY) -> LmdbFile:
    """Open the file in use; a damaged or outlived one is set aside and a new one begun.

    Raises: OSError or lmdb.Error if not even a new file can be opened.
    """
    for _ in range(2):
        try:
            if not page.opening():
                raise lmdb.CorruptedError("workers end again and again with this file open")
            file = LmdbFile(folder, page, bytes_max)
            if file.boot_is_ours():
                _remove_outlived(folder, file.path)
                return file
            file.close()
            if page.replace(file.generation):
                witness.replaced(Replaced.OUTLIVED)
        except DAMAGE as error:
            LOGGER.warning("the cache file is damaged and set aside: %s", error)
            if set_aside(folder, page, page.generation):
                witness.replaced(Replaced.DAMAGED)
    return LmdbFile(folder, page, bytes_max)


def set_aside(folder: Path, page: FencePage, generation: int) -> bool:
    """Turn all workers to a new file; the damaged one keeps its bytes under another name.

    False: another worker did so already.
    """
    if not page.replace(generation):
        return False
    path = folder / f"cache-{generation}.lmdb"
    if path.exists():
        path.rename(path.with_suffix(".damaged"))
    return True


def _remove_outlived(folder: Path, path: Path) -> None:
    """Remove files of earlier generations; one damaged file is kept for whoever wants to look."""
    for other in folder.glob("cache-*.lmdb*"):
        if other != path and not other.name.startswith(path.name):
            other.unlink(missing_ok=True)
    for old in sorted(folder.glob("cache-*.damaged"), key=lambda each: each.stat().st_mtime)[:-1]:
        old.unlink(missing_ok=True)
