"""Claimers in several processes, some killed: `python -m tests.contract.pipelines.claimers`.

Each process claims documents and completes them, and writes down what it was told, one line a
claim or completion, in a file that a killed process leaves behind. `judge` reads those.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext, suppress
from itertools import pairwise
from pathlib import Path

from hevfast.pipelines.lmdb_file import boottime_ms
from hevfast.pipelines.lmdb_store import LmdbPipelines
from hevfast.pipelines.store import PipelineStore, UnableError
from tests.contract.pipelines import aerospike_home
from tests.contract.pipelines.homes import PIPELINE, audit, move, put, stages, tables_of, take

# By name: a store on a folder, which other processes have open too.
STORES: dict[str, Callable[[Path], PipelineStore]] = {
    "lmdb": lambda folder: LmdbPipelines(folder, 1 << 32),
    "aerospike": aerospike_home.store_of,
}

AT_ONCE = 20

# Seconds that a claimer leaves a store alone which is unable.
_UNABLE_S = 0.05

_NAME = "tests.contract.pipelines.claimers"
_ROOT = Path(__file__).parents[3]


class Process:
    """One process of claimers."""

    def __init__(self, kind: str, folder: Path, number: int, claimers: int, lease_ms: int) -> None:
        self.log = folder / f"claims-{number}.log"
        words = [kind, str(folder), str(number), str(claimers), str(lease_ms)]
        command = [sys.executable, "-m", _NAME, "work", *words]
        self.process = subprocess.Popen(command, cwd=_ROOT)
        self._read = self._claims = 0

    def claims(self) -> int:
        """Count the claims written so far."""
        if self.log.exists():
            with self.log.open() as log:
                log.seek(self._read)
                self._claims += sum(line.startswith("claimed") for line in log)
                self._read = log.tell()
        return self._claims

    def lines(self) -> list[str]:
        """Give the lines written so far; a killed process may have cut its last one short."""
        if not self.log.exists():
            return []
        return self.log.read_text().split("\n")[:-1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


def run(
    kind: str,
    folder: Path,
    *,
    documents: int,
    processes: int,
    claimers: int,
    kills: int,
    lease_ms: int,
    seconds: float,
) -> str:
    """Let claimers work until all documents are indexed; give what was wrong, or nothing."""
    with (
        aerospike_home.served(folder) if kind == "aerospike" else nullcontext(),
        aerospike_home.patience(),
    ):
        return _run(kind, folder, documents, processes, claimers, kills, lease_ms, seconds)


def _run(
    kind: str,
    folder: Path,
    documents: int,
    processes: int,
    claimers: int,
    kills: int,
    lease_ms: int,
    seconds: float,
) -> str:
    asyncio.run(_fill(kind, folder, documents))
    ends = time.monotonic() + seconds
    begun: list[Process] = []

    def begin() -> None:
        begun.append(Process(kind, folder, len(begun), claimers, lease_ms))

    try:
        for _ in range(processes):
            begin()
        for kill in range(kills):
            # Spread over the run: at each share of the documents that has been claimed.
            while sum(each.claims() for each in begun) < documents * (kill + 1) // (kills + 2):
                if time.monotonic() > ends:
                    return "too slow to kill anybody"
                time.sleep(0.02)
            begun[kill].kill()
            begin()
        for each in begun[kills:]:
            if each.process.wait(max(0.1, ends - time.monotonic())):
                return f"a process ended with {each.process.returncode}"
    except subprocess.TimeoutExpired:
        return "documents are left over"
    finally:
        for each in begun:
            each.kill()
    wrong = judge([line for each in begun for line in each.lines()], lease_ms)
    return wrong or asyncio.run(_left(kind, folder, documents))


async def _fill(kind: str, folder: Path, documents: int) -> None:
    store = STORES[kind](folder)
    await store.open()
    assert await store.create(PIPELINE)
    for start in range(0, documents, 1000):
        await put(store, *[f"d{n:06d}" for n in range(start, min(documents, start + 1000))])
    await store.close()


async def _left(kind: str, folder: Path, documents: int) -> str:
    store = STORES[kind](folder)
    await store.open()
    found = await stages(store)
    wrong = await aerospike_home.audit(store) if kind == "aerospike" else ""
    await store.close()
    if wrong:
        return wrong
    if kind == "lmdb":
        wrong = audit(tables_of(folder / "pipelines.lmdb"))
        if wrong:
            return wrong
    return "" if found == {"indexed": documents} else f"left is {found}"


def judge(lines: list[str], lease_ms: int) -> str:
    """Look for a document that two had at a time, or that was completed twice."""
    claims = defaultdict[str, list[tuple[int, int]]](list)
    completed = set()
    for line in lines:
        word, document, began_ms, ended_ms = line.split()
        if word == "claimed":
            claims[document].append((int(began_ms), int(ended_ms)))
        elif document in completed:
            return f"{document} was completed twice"
        else:
            completed.add(document)
    for document, spans in claims.items():
        spans.sort()
        for (began_ms, _), (_, ended_ms) in pairwise(spans):
            # The first lease was given at its beginning or later, the second at its end or before.
            if ended_ms < began_ms + lease_ms:
                return f"{document} was claimed twice within {ended_ms - began_ms} ms"
    return "" if claims else "nobody claimed anything"


async def work(kind: str, folder: Path, number: int, claimers: int, lease_ms: int) -> None:
    store = STORES[kind](folder)
    await store.open()
    # Not buffered: what was told before a kill is on record.
    log = os.open(folder / f"claims-{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(word: str, documents: list[str], began_ms: int) -> None:
        now_ms = boottime_ms()
        os.write(log, "".join(f"{word} {d} {began_ms} {now_ms}\n" for d in documents).encode())

    async def claim(worker: str) -> None:
        while True:
            began_ms = boottime_ms()
            try:
                mine = await take(store, AT_ONCE, worker, lease_ms=lease_ms)
            except UnableError:
                # A machine with too much to do. What was claimed unheard lapses.
                await asyncio.sleep(_UNABLE_S)
                continue
            note("claimed", mine, began_ms)
            with suppress(UnableError):
                if not mine and set(await stages(store)) == {"indexed"}:
                    return
            if not mine:
                await asyncio.sleep(0.02)
            for each in mine:
                with suppress(UnableError):
                    done = await move(store, each, stage="indexed", worker=worker)
                    if done.changed:
                        note("completed", [each], began_ms)

    await asyncio.gather(*[claim(f"{number}-{each}") for each in range(claimers)])
    await store.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {_NAME}", description=__doc__)
    parser.add_argument("kind", nargs="?", default="lmdb", choices=STORES)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--claimers", type=int, default=4, help="in each process")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--lease-ms", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        wrong = run(
            options.kind,
            Path(folder),
            documents=options.documents,
            processes=options.processes,
            claimers=options.claimers,
            kills=options.kills,
            lease_ms=options.lease_ms,
            seconds=600,
        )
        print(wrong or f"as promised, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        kind, folder, *words = sys.argv[2:]
        with aerospike_home.patience():
            asyncio.run(work(kind, Path(folder), *map(int, words)))
        sys.exit(0)
    sys.exit(main())
