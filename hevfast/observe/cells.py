"""The counts of one worker: an array of 64-bit floats, and an index that says what they stand for.

In a file that is mapped, so that others read it while it is written, and after its writer was
killed. A page of head; the cells; the index, one JSON line a series: its first cell, the metric's
place in the catalogue, its label values. What follows the last line is zero. A cell is aligned, so
it is written and read in one access each; a line that is only half there has no end yet and is left
for the next reading.
"""

import mmap
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hevfast.observe.catalogue import CATALOGUE, Metric

_MAGIC: Final = b"hevcell1" + zlib.crc32(repr(CATALOGUE).encode()).to_bytes(8, "big")
_HEAD_BYTES: Final = 4096

# All of Layer's series for 5000 namespaces that are written, fetched and queried take about 1.2
# million cells, and 120,000 lines of some 60 bytes.
CELLS_MAX: Final = 3 << 19
INDEX_BYTES_MAX: Final = 1 << 23
_INDEX_AT: Final = _HEAD_BYTES + 8 * CELLS_MAX
_FILE_BYTES: Final = _INDEX_AT + INDEX_BYTES_MAX

# Bytes. Names of namespaces have up to 128, and set names a prefix of up to 32.
_LINE_BYTES_MAX: Final = 1024

# Bytes taken from the disk at once. The file is sparse: writing to a part that the disk has no room
# for would end the process, so each part is taken before it is used.
_STEP_BYTES: Final = 64 * 1024

# Cells that mean nothing. What found no room is counted there, so that counting need not ask.
SCRAP_CELLS: Final = max(metric.cells for metric in CATALOGUE)

_PLACES: Final = {metric.name: place for place, metric in enumerate(CATALOGUE)}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[int | str]).decode


class Series(NamedTuple):
    """A metric, by its place in the catalogue, with the values of its labels."""

    place: int
    labels: tuple[str, ...]


def series_of(metric: Metric, *labels: str) -> Series:
    return Series(_PLACES[metric.name], labels)


class Cells:
    """The array and its index, for their one writer."""

    __slots__ = ("_file", "_index_end", "_map", "_taken", "_taken_to", "values")

    def __init__(self, file: int | None = None) -> None:
        """Begin anew in an empty file, open for reading and writing; or in memory."""
        if file is not None:
            os.ftruncate(file, _FILE_BYTES)
        self._file = file
        # Up to where the disk's room is ours, of cells and of index.
        self._taken_to = [0, _INDEX_AT]
        self._map = mmap.mmap(-1 if file is None else file, _FILE_BYTES)
        self._taken = 0
        self._index_end = _INDEX_AT
        # The first step holds head and scrap, and a worker that cannot have it must not start.
        if not self._take_room(0, _STEP_BYTES):
            raise OSError("no room for counts")
        self._map[: len(_MAGIC)] = _MAGIC
        self.values = memoryview(self._map)[_HEAD_BYTES:_INDEX_AT].cast("d")
        self._taken = SCRAP_CELLS

    def __repr__(self) -> str:
        return f"<Cells {self._taken} taken>"

    def take(self, metric: Metric, labels: tuple[str, ...]) -> int:
        """Give the first cell of a new series, or 0, the scrap, if there is no room for it."""
        first = self._taken
        line = _encode([first, _PLACES[metric.name], *labels]) + b"\n"
        if len(line) > _LINE_BYTES_MAX:
            return 0
        cells_end = _HEAD_BYTES + 8 * (first + metric.cells)
        index_end = self._index_end + len(line)
        # A byte of zero must follow.
        if cells_end > _INDEX_AT or index_end >= _FILE_BYTES:
            return 0
        if not (self._take_room(0, cells_end) and self._take_room(1, index_end)):
            return 0
        self._map[self._index_end : index_end] = line
        self._taken += metric.cells
        self._index_end = index_end
        return first

    def _take_room(self, part: int, end: int) -> bool:
        """Take the disk's room up to `end`; False if it has none."""
        start = self._taken_to[part]
        if end <= start:
            return True
        end += -end % _STEP_BYTES
        if self._file is not None and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(self._file, start, end - start)
            except OSError:
                return False
        self._taken_to[part] = end
        return True

    def read(self) -> "Reading":
        """Read what this worker has counted."""
        return Reading(self._map, shared=True)

    def close(self) -> None:
        self.values.release()
        self._map.close()


class Counted(NamedTuple):
    """One series as it was read."""

    series: Series
    values: list[float]


class Reading:
    """Counts as they are, in the worker's own memory or in another's file.

    `damaged`: something in it cannot be what a worker wrote; it is left out.
    """

    def __init__(self, held: mmap.mmap, *, shared: bool = False) -> None:
        self._map = held
        self._shared = shared
        self.damaged = len(held) != _FILE_BYTES or held[: len(_MAGIC)] != _MAGIC

    def __iter__(self) -> Iterator[Counted]:
        if self.damaged:
            return
        with memoryview(self._map)[_HEAD_BYTES:_INDEX_AT].cast("d") as cells:
            for line in self._lines():
                counted = _counted(line, cells)
                if counted is None:
                    self.damaged = True
                else:
                    yield counted

    def _lines(self) -> Iterator[bytes]:
        at = _INDEX_AT
        while (end := self._map.find(b"\n", at, at + _LINE_BYTES_MAX)) >= 0:
            line = self._map[at:end]
            if b"\0" in line:
                # Half of it is there; of a writer that was killed, there never will be more.
                return
            yield line
            at = end + 1

    def close(self) -> None:
        if not self._shared:
            self._map.close()


def _counted(line: bytes, cells: "memoryview[float]") -> Counted | None:
    """Read one series; None if it makes no sense."""
    try:
        first, place, *labels = _decode(line)
    except (msgspec.DecodeError, ValueError):
        return None
    if not isinstance(first, int) or not isinstance(place, int):
        return None
    if not SCRAP_CELLS <= first < CELLS_MAX or not 0 <= place < len(CATALOGUE):
        return None
    metric = CATALOGUE[place]
    if len(labels) != len(metric.labels):
        return None
    values = list(map(float, cells[first : first + metric.cells]))
    # No count is negative, endless, or not a number.
    if len(values) != metric.cells or not all(0 <= value < float("inf") for value in values):
        return None
    return Counted(Series(place, tuple(map(str, labels))), values)


def open_reading(path: Path) -> Reading:
    """Map a worker's file. One that cannot be mapped, as it is empty, counts as damaged.

    Raises: FileNotFoundError if it is gone.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Reading(mmap.mmap(file, 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return Reading(mmap.mmap(-1, 1))
    finally:
        os.close(file)
