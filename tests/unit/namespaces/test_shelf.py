"""Jobs as files: what is kept, what is found, and what is let go."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from hevfast.namespaces import shelf as shelves
from hevfast.namespaces.shelf import Shelf

NS = "a.b"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "jobs", "scan")


def state(number: int, namespace: str = NS, **more: Any) -> dict[str, Any]:
    usual = {"id": f"{number:032x}", "namespace": namespace, "status": "completed"}
    return {**usual, "created_at": f"2026-01-01T00:00:{number:02}Z", **more}


def aged(shelf: Shelf, job: dict[str, Any], seconds: float) -> None:
    then = time.time() - seconds
    os.utime(shelf._path(job["namespace"], job["id"]), (then, then))


def test_jobs_are_found_by_their_namespace_alone(shelf: Shelf) -> None:
    assert shelf.all_of(NS) == []
    for number, namespace in enumerate([NS, "a", "a.b.c", "b", NS]):
        assert shelf.put(state(number, namespace), new=True)
    assert shelf.all_of(NS) == [state(4), state(0)]
    assert shelf.all_of("a") == [state(1, "a")]
    assert shelf.get(NS, state(4)["id"]) == state(4)
    assert shelf.get("a", state(4)["id"]) is None


def test_kinds_do_not_see_each_other(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(state(1), new=True)
    assert Shelf(tmp_path / "jobs", "warm").all_of(NS) == []


@pytest.mark.parametrize("job", ["", "x", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32])
def test_what_is_no_id_is_no_path(shelf: Shelf, job: str) -> None:
    assert shelf.get(NS, job) is None
    assert not shelf.remove(NS, job)


def test_a_removed_job_does_not_come_back(shelf: Shelf) -> None:
    shelf.put(state(1), new=True)
    assert shelf.put(state(1), new=False)
    assert shelf.remove(NS, state(1)["id"])
    assert not shelf.remove(NS, state(1)["id"])
    assert not shelf.put(state(1), new=False)
    assert shelf.all_of(NS) == []


def test_a_job_that_nobody_tends_has_failed(shelf: Shelf) -> None:
    running = state(1, status="running")
    shelf.put(running, new=True)
    aged(shelf, running, shelves._SILENT_S - 5)
    assert shelf.all_of(NS) == [running]
    aged(shelf, running, shelves._SILENT_S + 5)
    (found,) = shelf.all_of(NS)
    assert found["status"] == "failed"
    assert found["error"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_file_is_no_job(shelf: Shelf, damage: bytes) -> None:
    shelf.put(state(1), new=True)
    shelf._path(NS, state(1)["id"]).write_bytes(damage)
    assert shelf.get(NS, state(1)["id"]) is None
    assert shelf.all_of(NS) == []


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_results_are_read_from_any_place(shelf: Shelf, count: int) -> None:
    shelf.put(state(1), new=True)
    results = [b'"%d"' % n for n in range(count)]
    writer = shelf.writer(NS, state(1)["id"])
    for start in range(0, count, 700):
        writer.add(results[start : start + 700])
    writer.finish()
    assert writer.count == count
    for offset in (0, 1, 998, 999, 1000, 1001, 1999, 2000, 2499, 2500, 10**9):
        for limit in (1, 7, 10_000):
            found = shelf.results(NS, state(1)["id"], offset, limit)
            assert found == results[offset : offset + limit]


def test_results_go_with_their_job(shelf: Shelf) -> None:
    shelf.put(state(1), new=True)
    writer = shelf.writer(NS, state(1)["id"])
    writer.add([b"1"])
    writer.finish()
    shelf.remove(NS, state(1)["id"])
    assert list(shelf._folder.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        shelf.results(NS, state(1)["id"], 0, 1)


def test_old_jobs_are_let_go(shelf: Shelf) -> None:
    for number in range(3):
        shelf.put(state(number), new=True)
    aged(shelf, state(0), shelves._KEPT_S + 5)
    shelf.tidy()
    assert shelf.all_of(NS) == [state(2), state(1)]


def test_the_oldest_of_too_many_are_let_go(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "_KEPT_MAX", 2)
    for number in range(4):
        shelf.put(state(number), new=True)
        aged(shelf, state(number), 600 - number)
    shelf.tidy()
    assert shelf.all_of(NS) == [state(3), state(2)]


def test_the_oldest_are_let_go_when_results_are_too_large(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "_KEPT_BYTES", 25)
    for number in range(4):
        shelf.put(state(number), new=True)
        shelf.writer(NS, state(number)["id"]).add([b"123456789"])
        aged(shelf, state(number), 600 - number)
    shelf.tidy()
    assert shelf.all_of(NS) == [state(3), state(2)]


def test_a_job_that_is_tended_is_never_let_go(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "_KEPT_MAX", 0)
    shelf.put(state(1, status="running"), new=True)
    shelf.tidy()
    assert len(shelf.all_of(NS)) == 1


def test_all_of_a_namespace_is_cleared(shelf: Shelf) -> None:
    shelf.put(state(1), new=True)
    shelf.put(state(2, "a"), new=True)
    shelf.clear(NS)
    assert shelf.all_of(NS) == []
    assert len(shelf.all_of("a")) == 1
