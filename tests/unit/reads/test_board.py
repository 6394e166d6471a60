"""What workers of a host show each other: marks, and stamps in flight that outlive their worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from hevfast.core.clock import Clock
from hevfast.reads import board as board_module
from hevfast.reads.board import Board
from hevfast.reads.flights import Flights, bucket_of
from hevfast.reads.mark import Mark, Standing
from hevfast.reads.marks import SLOTS, Marks
from hevfast.reads.rules import NONE

NS = b"ns"
BUCKET = bucket_of(NS)
DOUBT_S = 60.0


class Worker:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.flights = Flights(self.clock, DOUBT_S)
        self.board = Board(folder, self.clock, self.flights, DOUBT_S)

    def floor_ms(self) -> int:
        self.board.look()
        return self.board.floor_ms(BUCKET)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Worker, Worker]]:
    one, other = Worker(tmp_path), Worker(tmp_path)
    yield one, other
    one.board.close()
    other.board.close()


def test_a_write_is_in_flight_for_all_workers(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    assert other.floor_ms() == NONE
    flight = one.flights.begin(NS)
    assert other.floor_ms() == one.floor_ms() == flight.now_ms
    one.flights.end(flight, known=True)
    assert other.floor_ms() == one.floor_ms() == NONE


def test_a_lost_write_is_in_flight_until_its_doubt_lapses(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    flight = one.flights.begin(NS)
    one.flights.end(flight, known=False)
    one.flights.settle()
    assert other.floor_ms() == flight.now_ms
    with patch("hevfast.reads.flights.monotonic_s", lambda: 1e12):
        one.flights.settle()
    assert other.floor_ms() == NONE


def test_lost_writes_are_kept_together(workers: tuple[Worker, Worker]) -> None:
    one, _ = workers
    first = [one.flights.begin(NS) for _ in range(1000)]
    for flight in reversed(first):
        one.flights.end(flight, known=False)
    assert len(one.flights._doubts[BUCKET]) <= 2
    assert one.floor_ms() == first[0].now_ms


CRASH = """
import os, sys
from pathlib import Path
from tests.unit.reads.test_board import NS, Worker
worker = Worker(Path(sys.argv[1]))
print(worker.flights.begin(NS).now_ms, flush=True)
os._exit(9)
"""


def test_a_write_of_a_killed_worker_is_in_flight_until_its_doubt_lapses(tmp_path: Path) -> None:
    survivor = Worker(tmp_path)
    killed = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == 9
    assert survivor.floor_ms() == int(killed.stdout)
    # A worker that starts later knows it, too.
    later = Worker(tmp_path)
    assert later.floor_ms() == int(killed.stdout)
    with patch.object(board_module, "monotonic_s", lambda: 1e12):
        assert survivor.floor_ms() == NONE
    assert len([name for name in os.listdir(tmp_path) if "flights" in name]) == 2
    survivor.board.close()
    later.board.close()


def test_the_file_of_a_worker_that_left_with_nothing_in_flight_goes(tmp_path: Path) -> None:
    one, other = Worker(tmp_path), Worker(tmp_path)
    one.floor_ms()
    other.board.close()
    one.floor_ms()
    assert len([name for name in os.listdir(tmp_path) if "flights" in name]) == 1
    one.board.close()


def test_no_worker_stamps_before_another(workers: tuple[Worker, Worker]) -> None:
    """Not even when the system's clock is set back, and after a start."""
    one, other = workers
    now_ms = one.clock.now_ms()
    with patch("time.time_ns", lambda: 5_000_000):
        assert other.clock.now_ms() >= now_ms
        assert Worker(one.board._folder or Path()).clock.now_ms() >= now_ms


def test_marks_are_shared_and_outlive_their_workers(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    mark = Mark(5000, Standing.UPDATING)
    one.board.marks.raise_to(NS, mark, 6000)
    assert other.board.marks.read(NS) == (mark, 6000)
    folder = one.board._folder
    assert folder is not None
    again = Marks(folder / "marks")
    assert again.read(NS) == (mark, 6000)
    again.close()


def test_a_mark_never_goes_back_but_is_withdrawn_by_a_restart() -> None:
    marks = Marks(None)
    marks.raise_to(NS, Mark(5000, Standing.STABLE), 6000)
    marks.raise_to(NS, Mark(4000, Standing.UPDATING), 7000)
    assert marks.read(NS) == (Mark(5000, Standing.UPDATING), 7000)
    # Of a question that was asked before.
    marks.raise_to(NS, Mark(6500, Standing.STABLE), 6900)
    assert marks.read(NS) == (Mark(5000, Standing.UPDATING), 7000)
    marks.restart(NS, 8000)
    marks.raise_to(NS, Mark(7500, Standing.STABLE), 7999)
    assert marks.read(NS) == (Mark(None, Standing.UNKNOWN), 8000)
    marks.raise_to(NS, Mark(7900, Standing.STABLE), 8000)
    assert marks.read(NS)[0] == Mark(7900, Standing.STABLE)
    marks.close()


def test_more_namespaces_than_slots_are_never_mistaken_for_each_other() -> None:
    marks = Marks(None)
    count = SLOTS + SLOTS // 4
    for number in range(count):
        marks.raise_to(b"ns%d" % number, Mark(number + 1, Standing.STABLE), number + 1)
    found = [marks.read(b"ns%d" % number)[0].stable_as_of for number in range(count)]
    assert all(moment in (None, number + 1) for number, moment in enumerate(found))
    # Those asked about last are there.
    assert all(found[-1000:])
    marks.close()


def test_a_file_that_is_no_table_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "marks").write_bytes(b"something else" * 10)
    marks = Marks(tmp_path / "marks")
    assert marks.read(NS) == (Mark(), 0)
    marks.close()
