"""What pipelines cost a document, and whether that stays so as a pipeline grows.

`python -m bench.micro.bench_pipelines --documents 1000 100000 1000000` fills a pipeline in batches
and measures each deed at every size, processor time of the whole process, with the largest ratio to
the smallest size; `--late` tells how late the event loop gets beside batches. With `--aerospike
HOST:PORT` they are in a cluster, whose own time is not in the figures but with `--wall`.
"""

import argparse
import asyncio
import gc
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import uvloop

from hevfast.pipelines.aerospike_store import AerospikePipelines
from hevfast.pipelines.lmdb_store import LmdbPipelines
from hevfast.pipelines.model import Pipeline
from hevfast.pipelines.store import PipelineStore, Staged, Staging

# Four chunks, 2 KiB.
CHUNKS = b"[" + b",".join(b'{"id":"%d","text":"%s"}' % (n, b"x" * 490) for n in range(4)) + b"]"
BATCH = 10_000
SINGLE = 640
AT_ONCE = 64
LEASE_MS = 900_000


# Statuses read for one measure.
STATUSES = 50


def embedded(folder: Path) -> PipelineStore:
    return LmdbPipelines(folder, 1 << 36)


def shared(host: str) -> PipelineStore:
    """Give pipelines in a cluster, in sets of their own."""
    name, _, port = host.rpartition(":")
    prefix = f"bench{time.time_ns() % 10**9}_"
    return AerospikePipelines([(name, int(port))], "hevlayer_registry", set_prefix=prefix)


class Subject(NamedTuple):
    """A store, and ids that nobody has used yet."""

    store: PipelineStore
    ids: Iterator[str]

    def fresh(self, count: int) -> list[Staging]:
        return [Staging(next(self.ids), CHUNKS, 4) for _ in range(count)]


async def opened(store: PipelineStore, ordered: bool = False) -> Subject:
    """`ordered`: ids as one who counts gives them, not in no order at all."""
    await store.open()
    await store.create(Pipeline("p", "books", "cosine_distance", "2026-01-01T00:00:00Z"))
    chance = random.Random(5)
    if ordered:
        return Subject(store, (f"asin-{number:016x}" for number in itertools.count()))
    return Subject(store, iter(lambda: f"asin-{chance.getrandbits(64):016x}", ""))


# ---- deeds; each gives how many documents it was for


async def stage_batch(subject: Subject, count: int = BATCH) -> int:
    words, _ = await subject.store.stage("p", subject.fresh(count))
    assert words == [Staged.STAGED] * count
    return count


async def stage_singly(subject: Subject, count: int = SINGLE) -> int:
    stagings = subject.fresh(count)

    async def some(first: int) -> None:
        for staging in stagings[first::AT_ONCE]:
            words, _ = await subject.store.stage("p", [staging])
            assert words == [Staged.STAGED]

    await asyncio.gather(*map(some, range(AT_ONCE)))
    return count


async def claim(subject: Subject, count: int = BATCH) -> list[str]:
    claimed = await subject.store.claim(
        "p",
        stage="pending",
        claim_stage="embedding",
        worker="w",
        limit=count,
        lease_ms=LEASE_MS,
        prefix="",
    )
    assert len(claimed.documents) == count
    return claimed.documents


async def read(subject: Subject, documents: list[str]) -> int:
    assert set(await subject.store.chunks("p", documents)) == {CHUNKS}
    return len(documents)


async def beat(subject: Subject, documents: list[str]) -> int:
    count = await subject.store.extend("p", documents, stage="embedding", worker="w")
    assert count == len(documents)
    return count


async def release(subject: Subject, documents: list[str]) -> int:
    return await _moved(subject, documents, "pending")


async def complete(subject: Subject, documents: list[str]) -> int:
    return await _moved(subject, documents, "indexed")


async def _moved(subject: Subject, documents: list[str], stage: str) -> int:
    done = await subject.store.move(
        "p",
        documents,
        stage=stage,
        from_stage="embedding",
        worker="w",
        reason="",
        create_missing=False,
    )
    assert done.changed == len(documents)
    return done.changed


async def index_singly(subject: Subject, documents: list[str]) -> int:
    async def some(first: int) -> None:
        for each in documents[first::AT_ONCE]:
            found = await subject.store.open_document("p", each, "w")
            assert found is not None
            assert found.writable
            done = await subject.store.index_document(
                "p", each, found.generation, b'["1","2"]', None
            )
            assert done.changed == 1

    await asyncio.gather(*map(some, range(AT_ONCE)))
    return len(documents)


async def statuses(subject: Subject) -> None:
    for _ in range(STATUSES):
        await subject.store.counts("p")


# ---- at sizes

T = TypeVar("T")

Costs = dict[str, float]


async def measured(subject: Subject, batch: int, single: int, clock: Callable[[], float]) -> Costs:
    """Measure every deed once; the number of documents waiting is the same after it."""
    costs: Costs = {}

    async def cost(deed: str, work: Awaitable[T], documents: int) -> T:
        began = clock()
        done = await work
        costs[deed] = (clock() - began) / documents * 1e6
        return done

    await cost("stage, batch", stage_batch(subject, batch), batch)
    await cost("stage, singly", stage_singly(subject, single), single)
    documents = await cost("claim", claim(subject, batch), batch)
    await cost("read chunks", read(subject, documents), batch)
    await cost("heartbeat", beat(subject, documents), batch)
    await cost("release", release(subject, documents), batch)
    await cost("complete", complete(subject, await claim(subject, batch)), batch)
    documents = await claim(subject, single)
    await cost("open and index, singly", index_singly(subject, documents), single)
    await cost("status", statuses(subject), STATUSES)
    return costs


async def at_sizes(
    store: PipelineStore,
    sizes: list[int],
    rounds: int,
    batch: int = BATCH,
    single: int = SINGLE,
    clock: Callable[[], float] = time.process_time,
    ordered: bool = False,
) -> dict[int, Costs]:
    """Give the least cost of some rounds, at each number of documents."""
    subject = await opened(store, ordered)
    found: dict[int, Costs] = {}
    count = 0
    for size in sizes:
        while count < size:
            count += await stage_batch(subject, min(BATCH, size - count))
        all_rounds = [await measured(subject, batch, single, clock) for _ in range(rounds)]
        found[size] = {deed: min(each[deed] for each in all_rounds) for deed in all_rounds[0]}
    await subject.store.close()
    return found


async def lateness_ms(subject: Subject, batches: int) -> list[float]:
    """Give how late each turn of the loop came while batches were staged, claimed and completed."""
    late: list[float] = []

    async def watch() -> None:
        # A turn every millisecond: what is above that is the wait for the interpreter's lock.
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append((time.perf_counter() - began - 0.001) * 1e3)

    stagings = [subject.fresh(BATCH) for _ in range(batches)]
    # These are the bench's: the collector's walks over them are not the store's doing.
    gc.freeze()
    watching = asyncio.create_task(watch())
    for some in stagings:
        await subject.store.stage("p", some)
        await complete(subject, await claim(subject))
    watching.cancel()
    gc.unfreeze()
    return sorted(late)


# ---- in the test suite, and `make bench`


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, Subject]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        subject = runner.run(opened(embedded(tmp_path)))
        yield runner, subject
        runner.run(subject.store.close())


@pytest.mark.parametrize("deed", [stage_batch, stage_singly])
def bench_staging(
    benchmark: Any,
    runner: tuple[asyncio.Runner, Subject],
    deed: Callable[[Subject], Awaitable[int]],
) -> None:
    """10,000 documents in one call, or 640 singly, 64 at a time."""
    run, subject = runner

    async def once() -> int:
        return await deed(subject)

    assert benchmark(lambda: run.run(once())) in (BATCH, SINGLE)


def bench_claim_and_complete(benchmark: Any, runner: tuple[asyncio.Runner, Subject]) -> None:
    """10,000 documents; what is claimed is staged outside of the measure."""
    run, subject = runner

    async def once() -> int:
        return await complete(subject, await claim(subject))

    benchmark.pedantic(
        lambda: run.run(once()), setup=lambda: run.run(stage_batch(subject)) and None, rounds=3
    )
    counts = run.run(subject.store.counts("p"))
    assert set(counts.stages) == {"indexed"}


def test_costs_do_not_grow_with_the_pipeline(tmp_path: Path) -> None:
    """Twenty times the documents; the bound is for a shared machine, the bench has the ratios."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as run:
        found = run.run(at_sizes(embedded(tmp_path), [1000, 20_000], 3, 500, 256))
    small, large = found.values()
    slower = {deed: large[deed] / small[deed] for deed in small if large[deed] > 3 * small[deed]}
    assert not slower


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.micro.bench_pipelines")
    parser.add_argument("--documents", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--late", action="store_true", help="lateness of the event loop instead")
    parser.add_argument("--aerospike", metavar="HOST:PORT", help="a cluster that keeps them")
    parser.add_argument("--ordered", action="store_true", help="ids in order, not in none")
    parser.add_argument("--wall", action="store_true", help="time that passes instead")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    store = shared(options.aerospike) if options.aerospike else embedded(folder)
    clock = time.perf_counter if options.wall else time.process_time
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as run:
            if options.late:
                subject = run.run(opened(store))
                late = run.run(lateness_ms(subject, options.rounds))
                run.run(subject.store.close())
                shares = ", ".join(
                    f"p{share:g} {late[int(len(late) * share / 100)]:.2f}"
                    for share in (50, 99, 99.9)
                )
                print(f"{len(late)} turns, late by ms: {shares}, max {late[-1]:.2f}")
                return
            given = options.documents, options.rounds
            found = run.run(at_sizes(store, *given, clock=clock, ordered=options.ordered))
        first, last = found[options.documents[0]], found[options.documents[-1]]
        print("us a document".ljust(24), *(f"{size:>10,d}" for size in found), "     ratio")
        for deed in first:
            costs = (f"{each[deed]:10.1f}" for each in found.values())
            print(deed.ljust(24), *costs, f"{last[deed] / first[deed]:10.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
