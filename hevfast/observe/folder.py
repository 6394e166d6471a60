"""The folder in which the workers of one gateway keep their counts, and read each other's.

    worker-<random>.cells    one a worker, locked by it as long as it lives
    folded-<random>.cells    the sum of dead workers' files
    folded                   JSON: which such sum counts, and which files are in it and no more
    names                    label values from outside that got a name of their own
    lock                     held while `folded` is changed
    parent                   locked as long as the gateway lives

A lock of the system's ends with its holder, however that ends, so a process number that is used
again misleads nobody. Nobody waits for a lock: what can't be done now is done another time.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hevfast.observe.catalogue import CATALOGUE, METRICS_DAMAGED, METRICS_DROPPED, Kind
from hevfast.observe.cells import Cells, Reading, Series, open_reading, series_of
from hevfast.observe.names import ATTEMPTS, Names, locked

_PREFIX: Final = "hevfast-metrics-"
# Where files are memory, so that no disk makes a worker wait for a page to be written out.
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of a random name is made in it

# Attempts at a listing that no fold has changed meanwhile. One can change it per start of a worker.
_LISTINGS: Final = 10


def make_folder() -> Path:
    """Make the folder, for the parent of the workers; remove those of parents that were killed."""
    root = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for old in root.glob(_PREFIX + "*"):
        # Not ours to look into, or gone by now.
        with contextlib.suppress(OSError):
            if _is_abandoned(old):
                shutil.rmtree(old)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    # Never closed: the lock says that the folder is in use, by this process or one it started.
    file = os.open(folder / "parent", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    return folder


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    file = os.open(folder / "parent", os.O_RDWR | os.O_CLOEXEC)
    try:
        return locked(file)
    finally:
        os.close(file)


class Counts(NamedTuple):
    """One file of counts, mapped: those of a worker that lives, or of one or more that do not."""

    reading: Reading
    alive: bool


class Folded(msgspec.Struct, frozen=True):
    """What was folded: the file that counts, and those that count no more."""

    into: str = ""
    gone: tuple[str, ...] = ()


_decode_folded = msgspec.json.Decoder(Folded).decode


class Folder:
    """The folder as one worker sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.names = Names(path / "names")

    def __repr__(self) -> str:
        return f"<Folder {self.path}>"

    def join(self) -> Cells:
        """Begin this worker's file, and fold those of the dead into one.

        It gets its name when it is locked: under one, it would be a dead worker's.
        """
        name = f"worker-{os.urandom(8).hex()}.cells"
        beginning = self.path / (name + ".new")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.open(beginning, flags, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        cells = Cells(file)
        # Never closed: its lock says that this worker lives.
        self._mine = file
        beginning.rename(self.path / name)
        self._fold()
        return cells

    # Reading

    def counts(self) -> list[Counts]:
        """Map every file that counts, once each, though workers come and go meanwhile.

        Raises: OSError if they came and went too often.
        """
        for _ in range(_LISTINGS):
            folded = self._folded()
            counts = self._listed(folded)
            if counts is not None and self._folded() == folded:
                return counts
        raise OSError("the files of counts change too fast to be read")

    def _folded(self) -> Folded:
        try:
            return _decode_folded((self.path / "folded").read_bytes())
        except FileNotFoundError:
            return Folded()

    def _listed(self, folded: Folded) -> list[Counts] | None:
        """Map the files; None if one went meanwhile."""
        paths = [path for path in self.path.glob("worker-*.cells") if path.name not in folded.gone]
        if folded.into:
            paths.append(self.path / folded.into)
        counts = []
        for path in paths:
            try:
                counts.append(Counts(open_reading(path), not _is_dead(path)))
            except FileNotFoundError:
                return None
        return counts

    # Folding

    def _fold(self) -> None:
        """Add up the dead workers' files into one, so that there are few more files than workers.

        Whoever reads meanwhile sees the old files or the new one: `folded` says which of them
        count, and is replaced at once.
        """
        if not locked(self._lock, ATTEMPTS):
            return
        try:
            before = self._folded()
            for path in self.path.glob("*.cells"):
                # Left by a worker that was killed while it folded.
                orphan = path.name.startswith("folded-") and path.name != before.into
                if orphan or path.name in before.gone:
                    path.unlink()
            dead = [path for path in self.path.glob("worker-*.cells") if _is_dead(path)]
            if dead:
                dead += [self.path / before.into] if before.into else []
                self._replace(Folded(self._sum(dead), tuple(path.name for path in dead)))
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _replace(self, folded: Folded) -> None:
        beginning = self.path / "folded.new"
        beginning.write_bytes(msgspec.json.encode(folded))
        beginning.rename(self.path / "folded")
        for name in folded.gone:
            (self.path / name).unlink()

    def _sum(self, paths: list[Path]) -> str:
        """Add up files into a new one and give its name. Gauges end with their workers."""
        name = f"folded-{os.urandom(8).hex()}.cells"
        with (self.path / name).open("x+b") as file:
            cells = Cells(file.fileno())
            places: dict[Series, int] = {}
            damaged = dropped = 0
            for path in paths:
                reading = open_reading(path)
                for counted in reading:
                    metric = CATALOGUE[counted.series.place]
                    if metric.kind is Kind.GAUGE:
                        continue
                    first = places.get(counted.series)
                    if first is None:
                        first = cells.take(metric, counted.series.labels)
                        places[counted.series] = first
                        dropped += not first
                    for cell, value in enumerate(counted.values, first):
                        cells.values[cell] += value
                damaged += reading.damaged
                reading.close()
            for metric, count in ((METRICS_DAMAGED, damaged), (METRICS_DROPPED, dropped)):
                if count:
                    first = places.get(series_of(metric)) or cells.take(metric, ())
                    cells.values[first] += count
            cells.close()
        return name


def _is_dead(path: Path) -> bool:
    """Tell whether nobody holds a file's lock.

    Raises: FileNotFoundError if it is gone.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Shared: others that look at the same time must not take each other for its holder.
        return locked(file, how=fcntl.LOCK_SH)
    finally:
        os.close(file)
