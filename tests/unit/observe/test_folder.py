"""The folder of all workers: no count is lost or counted twice, whoever dies and whenever."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hevfast.observe import folder as folders
from hevfast.observe.catalogue import ADMITTED_MAX, METRICS_DAMAGED, OWED, WORKERS
from hevfast.observe.cells import series_of
from hevfast.observe.folder import Folder, make_folder, remove_folder
from hevfast.observe.names import Names


class Worker:
    """A worker as far as its counts go. What a kill leaves is its file, without a lock."""

    def __init__(self, path: Path, counted: int = 0) -> None:
        self.folder = Folder(path)
        self.cells = self.folder.join()
        self.cells.values[self.cells.take(WORKERS, ())] = 1
        self._first = self.cells.take(OWED, ())
        self.count(counted)

    def count(self, number: int) -> None:
        self.cells.values[self._first] += number

    def die(self) -> None:
        os.close(self.folder._mine)
        # The map holds the file, too.
        self.cells.close()


def seen(folder: Folder) -> tuple[float, int]:
    """Give what was counted and how many workers live, as a scrape finds them."""
    total, alive = 0.0, 0
    for counts in folder.counts():
        alive += counts.alive
        for counted in counts.reading:
            if counted.series == series_of(OWED):
                total += counted.values[0]
        counts.reading.close()
    return total, alive


def test_any_worker_sees_what_all_have_counted(tmp_path: Path) -> None:
    workers = [Worker(tmp_path, 10**n) for n in range(4)]
    assert [seen(each.folder) for each in workers] == [(1111.0, 4)] * 4


def test_what_the_dead_have_counted_stays_and_their_gauges_go(tmp_path: Path) -> None:
    first, second = Worker(tmp_path, 1), Worker(tmp_path, 10)
    first.die()
    assert seen(second.folder) == (11.0, 1)
    third = Worker(tmp_path, 100)
    assert seen(second.folder) == seen(third.folder) == (111.0, 2)
    # The dead one's has been folded, and its gauge was left behind.
    (folded,) = tmp_path.glob("folded-*.cells")
    found = {counted.series for counted in folders.open_reading(folded)}
    assert found == {series_of(OWED)}


def test_however_many_die_there_are_few_files(tmp_path: Path) -> None:
    for number in range(50):
        Worker(tmp_path, 1).die()
        assert len(list(tmp_path.iterdir())) <= 7, number
    assert seen(Worker(tmp_path).folder)[0] == 50.0


@pytest.mark.parametrize("step", range(8))
def test_fold_amid_a_reading_neither_loses_nor_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whichever file the reader has come to."""
    reader = Worker(tmp_path, 1)
    Worker(tmp_path, 10).die()
    Worker(tmp_path, 100).die()
    Worker(tmp_path, 1000).die()
    open_reading, calls = folders.open_reading, 0

    def opened(path: Path) -> object:
        nonlocal calls
        calls += 1
        if calls == step + 1:
            monkeypatch.setattr(folders, "open_reading", open_reading)
            Worker(tmp_path, 10_000)
        return open_reading(path)

    monkeypatch.setattr(folders, "open_reading", opened)
    # What came in between may count, or not yet.
    assert seen(reader.folder)[0] in (1111.0, 11_111.0)
    monkeypatch.setattr(folders, "open_reading", open_reading)
    assert seen(reader.folder)[0] == (11_111.0 if calls > step else 1111.0)


@pytest.mark.parametrize("dead", [1, 2])
def test_fold_between_the_list_and_the_listing_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead: int
) -> None:
    """Files that the list does not name as folded are gone by then."""
    reader = Worker(tmp_path, 1)
    victims = [Worker(tmp_path, 10) for _ in range(dead)]
    for victim in victims:
        victim.die()
    listed, calls = reader.folder._listed, 0

    def after_a_fold(folded: folders.Folded) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            Worker(tmp_path)
        return listed(folded)

    monkeypatch.setattr(reader.folder, "_listed", after_a_fold)
    assert seen(reader.folder)[0] == 1.0 + 10 * dead
    assert calls == 2


def test_reading_that_never_comes_to_an_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Worker(tmp_path, 1)
    monkeypatch.setattr(reader.folder, "_listed", lambda _: None)
    with pytest.raises(OSError, match="too fast"):
        reader.folder.counts()


class Killed(BaseException):
    pass


STEPS = [
    (name, after, n) for name in ("rename", "unlink", "open") for after in (0, 1) for n in (1, 2, 3)
]


@pytest.mark.parametrize(("name", "after", "number"), STEPS)
def test_worker_killed_while_it_folds_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: int, number: int
) -> None:
    """At each step that changes the folder, before it and after it."""
    for count in (1, 10, 100):
        Worker(tmp_path, count).die()
    reader = Worker(tmp_path, 1000)
    Worker(tmp_path, 10_000).die()
    original: Any = getattr(Path, name)
    calls = 0

    def killed(self: Path, *words: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        result = original(self, *words, **named) if calls < number or after else None
        if calls >= number:
            if isinstance(result, io.IOBase):
                result.close()
            raise Killed
        return result

    with monkeypatch.context() as patched:
        patched.setattr(Path, name, killed)
        with contextlib.suppress(Killed):
            Worker(tmp_path)
    assert seen(reader.folder)[0] == 11_111.0
    assert seen(Worker(tmp_path, 100_000).folder)[0] == 111_111.0
    assert seen(reader.folder)[0] == 111_111.0
    assert len(list(tmp_path.glob("folded-*.cells"))) == 1


def test_damaged_file_of_a_dead_worker_is_told_for_ever_and_harms_no_other(tmp_path: Path) -> None:
    dead = Worker(tmp_path, 1)
    dead.die()
    (path,) = tmp_path.glob("worker-*.cells")
    path.write_bytes(b"x" * 100)
    Worker(tmp_path, 10).die()
    last = Worker(tmp_path, 100)
    assert seen(last.folder)[0] == 110.0
    told = [
        counted.values
        for counts in last.folder.counts()
        for counted in counts.reading
        if counted.series == series_of(METRICS_DAMAGED)
    ]
    assert told == [[1.0]]


CHILD = """
import os, sys
from pathlib import Path
from hevfast.observe.catalogue import OWED
from hevfast.observe.folder import Folder
folder = Folder(Path(sys.argv[1]))
cells = folder.join()
first = cells.take(OWED, ())
for _ in range(1000):
    cells.values[first] += 1
print("counted", flush=True)
os.read(0, 1)
"""


def test_kill_loses_nothing_and_its_lock_is_free_at_once(tmp_path: Path) -> None:
    reader = Worker(tmp_path)
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"counted\n"
        assert seen(reader.folder) == (1000.0, 2)
        child.kill()
        child.wait()
    assert seen(reader.folder) == (1000.0, 1)
    assert seen(Worker(tmp_path, 1).folder) == (1001.0, 2)


def test_lock_that_is_held_for_ever_stops_nobody(tmp_path: Path) -> None:
    """Its holder may have been stopped, not killed."""
    first = Worker(tmp_path, 1)
    Worker(tmp_path, 10).die()
    assert folders.locked(first.folder._lock)
    assert folders.locked(first.folder.names._file or -1)
    second = Worker(tmp_path, 100)
    assert seen(second.folder)[0] == 111.0
    assert not second.folder.names.admits("namespace", "ns")


# Names


def test_names_are_bounded_over_all_workers(tmp_path: Path) -> None:
    first, second = Names(tmp_path / "names"), Names(tmp_path / "names")
    bound = ADMITTED_MAX["pipeline_id"]
    for number in range(bound):
        assert (first, second)[number % 2].admits("pipeline_id", f"p{number}")
    for names in (first, second, Names(tmp_path / "names")):
        assert not names.admits("pipeline_id", "one more")
        assert all(names.admits("pipeline_id", f"p{number}") for number in range(bound))
        assert names.admits("namespace", "p0")


def test_name_half_written_by_a_killed_worker_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "names"
    first = Names(path)
    assert first.admits("namespace", "a")
    with path.open("ab") as file:
        file.write(b'["namespace","b')
    second = Names(path)
    assert second.admits("namespace", 'c"\n')
    assert first.admits("namespace", "d")
    third = Names(path)
    assert third.admits("namespace", "e")
    assert all(third.has("namespace", name) for name in ("a", 'c"\n', "d"))


# The parent's part


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "_IN_MEMORY", tmp_path)
    return tmp_path


def test_folder_left_by_a_killed_parent_is_removed_and_one_in_use_is_not(root: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from hevfast.observe import folder;"
        "folder._IN_MEMORY = Path(sys.argv[1]); folder.make_folder();"
        "print('made', flush=True); os.read(0, 1)"
    )
    command = [sys.executable, "-c", code, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"made\n"
        mine = make_folder()
        assert len(list(root.iterdir())) == 2
        parent.kill()
        parent.wait()
    other = make_folder()
    assert set(root.iterdir()) == {mine, other}
    remove_folder(mine)
    assert list(root.iterdir()) == [other]
