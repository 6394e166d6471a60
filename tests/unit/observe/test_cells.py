"""A worker's file of counts: what is written is read, and what is damaged is left out."""

import os
import struct
from pathlib import Path

import pytest

from hevfast.observe import cells as layout
from hevfast.observe.catalogue import CATALOGUE, LOOKUPS, UPSERT_BATCH, WORKERS
from hevfast.observe.cells import SCRAP_CELLS, Cells, Series, open_reading, series_of

LABELS = ("tpuf_ns", "ns", "hit")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker-1.cells"


def made(path: Path) -> Cells:
    return Cells(os.open(path, os.O_RDWR | os.O_CREAT))


def read(path: Path) -> tuple[dict[Series, list[float]], bool]:
    reading = open_reading(path)
    found = {counted.series: counted.values for counted in reading}
    damaged = reading.damaged
    reading.close()
    return found, damaged


def test_what_was_counted_is_read_by_others_at_once(path: Path) -> None:
    cells = made(path)
    first = cells.take(LOOKUPS, LABELS)
    rows = cells.take(UPSERT_BATCH, ("direct", 'a"\\\né'))
    cells.values[first] += 2.0
    cells.values[rows + 1] += 1.0
    found, damaged = read(path)
    assert found[series_of(LOOKUPS, *LABELS)] == [2.0]
    assert found[series_of(UPSERT_BATCH, "direct", 'a"\\\né')][1] == 1.0
    assert not damaged
    cells.values[first] += 1.0
    assert read(path)[0][series_of(LOOKUPS, *LABELS)] == [3.0]


def test_file_takes_no_more_of_the_disk_than_it_uses(path: Path) -> None:
    made(path).take(LOOKUPS, LABELS)
    assert path.stat().st_blocks * 512 <= 256 * 1024


@pytest.mark.parametrize("bound", ["CELLS_MAX", "index"])
def test_series_without_room_are_scrap_and_harm_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    cells = made(path)
    first = cells.take(LOOKUPS, LABELS)
    # As if nearly all had been taken.
    if bound == "index":
        cells._index_end = layout._FILE_BYTES - 3
    else:
        cells._taken = layout.CELLS_MAX - 1
    scrap = cells.take(UPSERT_BATCH, ("direct", "other"))
    assert scrap == 0
    for cell in range(UPSERT_BATCH.cells):
        cells.values[scrap + cell] += 1.0
    assert read(path) == ({series_of(LOOKUPS, *LABELS): [0.0]}, False)
    assert first >= SCRAP_CELLS


def test_disk_without_room_is_met_before_it_is_written_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing to a page that the disk has no room for would end the process."""
    cells = made(path)
    cells.take(LOOKUPS, LABELS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    taken = [cells.take(LOOKUPS, (f"s{n}", "ns", "hit")) for n in range(10_000)]
    assert 0 < taken.index(0) < 5000
    assert set(taken[taken.index(0) :]) == {0}
    found, damaged = read(path)
    assert len(found) == taken.index(0) + 1
    assert not damaged


def put(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


LINE = b'[%d,%d,"tpuf_ns","ns","hit"]\n' % (SCRAP_CELLS, CATALOGUE.index(LOOKUPS))

_PLACE = CATALOGUE.index(LOOKUPS)

DAMAGES = {
    "no JSON": b"x",
    "too few labels": b'[20,%d,"a","b"]' % _PLACE,
    "a place that is none": b'[20,9999,"a","b","c"]',
    "a negative place": b'[20,-1,"a","b","c"]',
    "a cell that is scrap": b'[0,%d,"a","b","c"]' % _PLACE,
    "a cell beyond the last": b'[9999999,%d,"a","b","c"]' % _PLACE,
    "a cell that is text": b'["20",%d,"a","b","c"]' % _PLACE,
    "no list": b"7",
    "an empty list": b"[]",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_line_is_left_out_and_told(path: Path, damage: str) -> None:
    cells = made(path)
    cells.values[cells.take(LOOKUPS, LABELS)] = 5.0
    cells.values[cells.take(WORKERS, ())] = 1.0
    put(path, layout._INDEX_AT, DAMAGES[damage].ljust(len(LINE) - 1))
    found, damaged = read(path)
    assert found == {series_of(WORKERS): [1.0]}
    assert damaged


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_cell_that_is_no_count_is_left_out_and_told(path: Path, value: float) -> None:
    cells = made(path)
    first = cells.take(LOOKUPS, LABELS)
    put(path, layout._HEAD_BYTES + 8 * first, struct.pack("=d", value))
    assert read(path) == ({}, True)


@pytest.mark.parametrize("size", [0, 100, 5000, layout._FILE_BYTES - 1])
def test_file_cut_short_is_damaged(path: Path, size: int) -> None:
    made(path).take(LOOKUPS, LABELS)
    os.truncate(path, size)
    assert read(path) == ({}, True)


def test_file_of_another_catalogue_is_not_read(path: Path) -> None:
    made(path).take(LOOKUPS, LABELS)
    put(path, 12, b"x")
    assert read(path) == ({}, True)


@pytest.mark.parametrize("kept", range(1, len(LINE)))
def test_line_half_written_is_no_damage(path: Path, kept: int) -> None:
    """A reader may come between, and a writer be killed."""
    cells = made(path)
    cells.take(LOOKUPS, LABELS)
    put(path, layout._INDEX_AT + kept, bytes(len(LINE) - kept))
    assert read(path) == ({}, False)
    # Parts of a line may show in any order.
    put(path, layout._INDEX_AT, bytes(kept) + LINE[kept:])
    assert read(path) == ({}, False)


def test_in_memory_it_is_the_same() -> None:
    cells = Cells()
    cells.values[cells.take(LOOKUPS, LABELS)] += 4.0
    for _ in range(2):
        reading = cells.read()
        assert [counted.values for counted in reading] == [[4.0]]
        reading.close()
