"""Jobs as files of the host, so that every worker knows those of the others.

A job is one small file that its worker rewrites as it goes on, and for some kinds a file of results
with one of places in it. All methods read or write files: call them in a thread.
"""

import contextlib
import os
import re
import time
from array import array
from pathlib import Path
from typing import Any, Final

import msgspec

# Seconds. A job that says it is running is rewritten every second; one that has not been for as
# long has lost its worker.
_SILENT_S: Final = 30.0

# Seconds, jobs and bytes. Finished jobs are kept within all three, the oldest go first.
_KEPT_S: Final = 3600.0
_KEPT_MAX: Final = 1000
_KEPT_BYTES: Final = 1024 * 1024 * 1024

# Results between two places that are noted.
_STRIDE: Final = 1000

_ID: Final = re.compile(r"[0-9a-f]{32}")
_STATE: Final = ".json"
_RESULTS: Final = ".results"
_PLACES: Final = ".places"

RUNNING: Final = "running"
FAILED: Final = "failed"

State = dict[str, Any]

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Shelf:
    """The jobs of one kind."""

    __slots__ = ("_folder", "_kind")

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind

    def put(self, state: State, *, new: bool) -> bool:
        """Write how a job is. False: it is not new and was removed, and so it stays."""
        path = self._path(state["namespace"], state["id"])
        if not new and not path.exists():
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(path)
        return True

    def get(self, namespace: str, job: str) -> State | None:
        if _ID.fullmatch(job) is None:
            return None
        return self._read(self._path(namespace, job))

    def all_of(self, namespace: str) -> list[State]:
        """Give a namespace's jobs, the latest first."""
        begins = f"{self._kind}.{namespace}."
        found = []
        for name in self._names():
            if name.startswith(begins) and _ID.fullmatch(name[len(begins) : -len(_STATE)]):
                state = self._read(self._folder / name)
                if state is not None:
                    found.append(state)
        return sorted(found, key=lambda state: str(state["created_at"]), reverse=True)

    def remove(self, namespace: str, job: str) -> bool:
        """Remove a job and its results; tell whether there was one."""
        if _ID.fullmatch(job) is None:
            return False
        path = self._path(namespace, job)
        there = path.exists()
        _unlink(path)
        return there

    def clear(self, namespace: str) -> None:
        """Remove all jobs of a namespace. Those of other workers end when they notice."""
        for state in self.all_of(namespace):
            _unlink(self._path(namespace, state["id"]))

    def results(self, namespace: str, job: str, offset: int, limit: int) -> list[bytes]:
        """Give results as they were written, from the one numbered `offset` on."""
        path = self._path(namespace, job)
        places = array("Q")
        places.frombytes(path.with_suffix(_PLACES).read_bytes())
        stride = offset // _STRIDE
        if stride >= len(places):
            return []
        with path.with_suffix(_RESULTS).open("rb") as file:
            file.seek(places[stride])
            for _ in range(offset % _STRIDE):
                file.readline()
            lines = (file.readline() for _ in range(limit))
            return [line[:-1] for line in lines if line]

    def writer(self, namespace: str, job: str) -> "ResultsWriter":
        return ResultsWriter(self._path(namespace, job))

    def tidy(self) -> None:
        """Remove finished jobs that are old or too many."""
        aged = []
        for name in self._names():
            path = self._folder / name
            with contextlib.suppress(OSError):
                aged.append((path.stat().st_mtime, path))
        aged.sort(reverse=True)
        now_s, held_bytes = time.time(), 0
        for n, (changed_s, path) in enumerate(aged):
            with contextlib.suppress(OSError):
                held_bytes += path.with_suffix(_RESULTS).stat().st_size
            age_s = now_s - changed_s
            surplus = age_s > _KEPT_S or n >= _KEPT_MAX or held_bytes > _KEPT_BYTES
            if surplus and age_s > _SILENT_S:
                _unlink(path)

    def _names(self) -> list[str]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        begins = self._kind + "."
        return [name for name in names if name.startswith(begins) and name.endswith(_STATE)]

    def _path(self, namespace: str, job: str) -> Path:
        return self._folder / f"{self._kind}.{namespace}.{job}{_STATE}"

    def _read(self, path: Path) -> State | None:
        try:
            changed_s = path.stat().st_mtime
            state: State = _decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        if state.get("status") == RUNNING and time.time() - changed_s > _SILENT_S:
            state |= {"status": FAILED, "error": "The worker that ran the job has ended."}
        return state


class ResultsWriter:
    """Writes results one after the other, and notes the place of each thousandth."""

    __slots__ = ("_path", "bytes_count", "count", "places")

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0
        self.bytes_count = 0
        self.places = array("Q")

    def add(self, results: list[bytes]) -> None:
        """Append results, none of which holds a line break."""
        for result in results:
            if self.count % _STRIDE == 0:
                self.places.append(self.bytes_count)
            self.count += 1
            self.bytes_count += len(result) + 1
        with self._path.with_suffix(_RESULTS).open("ab") as file:
            file.writelines(result + b"\n" for result in results)

    def finish(self) -> None:
        """Write the places; from then on the results can be read."""
        self.add([])
        self._path.with_suffix(_PLACES).write_bytes(self.places.tobytes())


def _unlink(path: Path) -> None:
    for each in (path, path.with_suffix(_RESULTS), path.with_suffix(_PLACES)):
        each.unlink(missing_ok=True)
