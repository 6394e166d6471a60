"""Where stores live: each kind is opened, closed and opened again over the same data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import lmdb

from hevfast.pipelines.lmdb_pages import DATABASES
from hevfast.pipelines.lmdb_store import LmdbPipelines
from hevfast.pipelines.model import Pipeline
from hevfast.pipelines.store import Changed, Claimed, Move, PipelineStore, Staged, Staging
from tests.contract.pipelines.aerospike_home import AerospikeHome
from tests.model.pipeline_audit import Tables, audit


class Home(Protocol):
    """One place of data. At most one store of it is open at a time."""

    # Moves told of in the background.
    told: list[Move]

    async def open(self) -> PipelineStore: ...

    async def close(self) -> None: ...

    def stop(self) -> None:
        """End what the home itself has begun."""

    def pass_ms(self, span_ms: int) -> None:
        """Let time pass, for the store that is open and those to come."""


class LmdbHome:
    def __init__(self, folder: Path, bytes_max: int = 1 << 28) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self.now_ms = 1_000_000
        self.told: list[Move] = []
        self._store: LmdbPipelines | None = None

    async def open(self) -> LmdbPipelines:
        self._store = LmdbPipelines(self.folder, self.bytes_max, lambda: self.now_ms, self._hear)
        await self._store.open()
        return self._store

    async def _hear(self, pipeline: str, moves: Sequence[Move]) -> None:
        assert pipeline == "p"
        self.told += moves

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()
            self._store = None
            wrong = audit(tables_of(self.folder / "pipelines.lmdb"))
            assert not wrong, wrong

    def stop(self) -> None:
        """Its file is the test's."""

    def pass_ms(self, span_ms: int) -> None:
        self.now_ms += span_ms


def tables_of(path: Path) -> Tables:
    """Read all that is in a file that nobody has open."""
    tables: Tables = {}
    with lmdb.open(str(path), subdir=False, max_dbs=len(DATABASES), readonly=True) as environment:
        databases = {name: environment.open_db(name.encode()) for name in DATABASES}
        with environment.begin() as transaction:
            for name, database in databases.items():
                with transaction.cursor(database) as cursor:
                    tables[name] = dict(cursor)
    return tables


# By name: a home in a folder of its own.
HOMES: dict[str, Callable[[Path], Home]] = {"lmdb": LmdbHome, "aerospike": AerospikeHome}

PIPELINE = Pipeline("p", "books", "cosine_distance", "2026-01-01T00:00:00Z")


def pipeline(name: str) -> Pipeline:
    return PIPELINE._replace(id=name)


def chunks_of(document: str, version: int = 1) -> bytes:
    return b'[{"id":"%s-0", "text":"version %d"}]' % (document.encode(), version)


def staging(document: str, version: int = 1) -> Staging:
    return Staging(document, chunks_of(document, version), 1)


async def put(store: PipelineStore, *documents: str, version: int = 1) -> None:
    words, _ = await store.stage("p", [staging(each, version) for each in documents])
    assert words == [Staged.STAGED] * len(documents)


async def take(
    store: PipelineStore,
    limit: int = 100,
    worker: str = "w1",
    stage: str = "pending",
    claim_stage: str = "embedding",
    lease_ms: int = 1000,
    prefix: str = "",
) -> list[str]:
    return (await claimed(store, limit, worker, stage, claim_stage, lease_ms, prefix)).documents


async def claimed(
    store: PipelineStore,
    limit: int = 100,
    worker: str = "w1",
    stage: str = "pending",
    claim_stage: str = "embedding",
    lease_ms: int = 1000,
    prefix: str = "",
) -> Claimed:
    return await store.claim(
        "p",
        stage=stage,
        claim_stage=claim_stage,
        worker=worker,
        limit=limit,
        lease_ms=lease_ms,
        prefix=prefix,
    )


async def move(
    store: PipelineStore,
    *documents: str,
    stage: str,
    from_stage: str | None = None,
    worker: str | None = None,
    reason: str = "",
    create_missing: bool = False,
) -> Changed:
    return await store.move(
        "p",
        documents,
        stage=stage,
        from_stage=from_stage,
        worker=worker,
        reason=reason,
        create_missing=create_missing,
    )


async def stages(store: PipelineStore) -> dict[str, int]:
    """Give the stages that hold documents."""
    counts = await store.counts("p")
    return {stage: count for stage, count in counts.stages.items() if count}
