"""The pipelines that many gateways share: Aerospike, without transactions over records.

What a document is stands in its own record, and is changed on condition that the record is still
the one that was read. All else that has to agree with it is kept by the order of steps in a call:
see `aerospike_call`. Time is that of the server that holds the pipeline's book.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

# The client's own stubs leave its helpers out.
from aerospike_helpers.batch import records as batch  # type: ignore[import-untyped]
from aerospike_helpers.operations import operations as op  # type: ignore[import-untyped]

from hevfast.cache.aerospike_caller import Caller
from hevfast.cache.aerospike_client import DONE, AerospikeCluster, Key
from hevfast.core.limits import SLICE_BYTES
from hevfast.pipelines import aerospike_claims as claims
from hevfast.pipelines import aerospike_deeds as deeds
from hevfast.pipelines import aerospike_reading as reading
from hevfast.pipelines.aerospike_access import Access
from hevfast.pipelines.aerospike_catalogue import Catalogue
from hevfast.pipelines.aerospike_gathering import Gathering, parted
from hevfast.pipelines.aerospike_keeper import Keeper
from hevfast.pipelines.aerospike_keys import UPSERT
from hevfast.pipelines.aerospike_repeating import CALL_DOCUMENTS_MAX
from hevfast.pipelines.aerospike_runner import TRIP_MS, Runner
from hevfast.pipelines.model import Pipeline
from hevfast.pipelines.store import (
    RATE_WINDOW_S,
    Absent,
    Changed,
    Claimed,
    Counts,
    Move,
    Opened,
    Staged,
    Staging,
    Tell,
    UnableError,
    UnknownPipelineError,
    parts_of,
    tell_nobody,
)

LOGGER = logging.getLogger("hevfast.pipelines")

# Bytes. Chunks of one document.
CHUNKS_BYTES_MAX: Final = 16 * 1024 * 1024

# Documents whose chunks are read at once.
_READ_AT_ONCE: Final = 64

# Milliseconds that upstream counts as pushing back, from each time it has done so.
PUSHED_BACK_MS: Final = 10_000

_MS: Final = 1000


class AerospikePipelines:
    """A `PipelineStore` on an Aerospike cluster.

    `namespace`: one whose records never expire and are never evicted. `clock`: the time in force,
    in ms, by the server's.
    """

    def __init__(
        self,
        hosts: Sequence[tuple[str, int]],
        namespace: str,
        *,
        set_prefix: str = "hevfast_",
        cluster_name: str = "",
        clock: Callable[[int], int] = int,
        tell: Tell = tell_nobody,
    ) -> None:
        self._tell = tell
        self._cluster = AerospikeCluster(hosts, cluster_name)
        self._runner = Runner(Caller(self._cluster, least_ms=TRIP_MS), clock)
        self._catalogue = Catalogue(self._runner.do, namespace, set_prefix)
        self.access = Access(self._runner, self._catalogue)
        self._gathering = Gathering(self.access)
        self._pushes = (namespace, set_prefix + "pipe_pushes")
        self._upkeep: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<AerospikePipelines {self.access!r}>"

    async def open(self) -> None:
        await self._cluster.open()
        keeper = Keeper(self._runner, self.access, self._catalogue, self._tell)
        self._upkeep = asyncio.create_task(keeper.run())

    async def close(self) -> None:
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        await self._gathering.close()
        await self._cluster.close()

    # Pipelines

    async def create(self, pipeline: Pipeline) -> bool:
        return await self._catalogue.create(pipeline)

    async def pipelines(self) -> list[Pipeline]:
        return [entry.pipeline for entry in await self._catalogue.entries()]

    async def pipeline(self, pipeline: str) -> Pipeline:
        return (await self.access.find(pipeline)).entry.pipeline

    async def pause(self, pipeline: str, paused: bool) -> Pipeline:
        entry = await self._catalogue.pause(pipeline, paused)
        if entry is None:
            raise UnknownPipelineError(pipeline)
        return entry.pipeline

    async def delete(self, pipeline: str) -> None:
        await self._catalogue.doom((await self.access.find(pipeline)).entry)

    async def counts(self, pipeline: str) -> Counts:
        book = await self.access.run(pipeline, reading.look)
        known = self.access.known(pipeline)
        pushed_ms = 0
        if known is not None:
            namespace = known.entry.pipeline.target_namespace
            read = batch.Read(self._pushed(namespace), [op.read("t")])
            await self._runner.do([read])
            pushed_ms = read.record[2]["t"] if read.result == DONE else 0
        after_s = book.now_ms // _MS - RATE_WINDOW_S
        return Counts(
            book.stages,
            book.reasons,
            sum(count for second, count in book.rates.items() if second > after_s),
            book.now_ms < pushed_ms + PUSHED_BACK_MS,
        )

    async def push_back(self, namespace: str) -> None:
        noted = op.write("t", self._runner.about_ms())
        await self._runner.do([batch.Write(self._pushed(namespace), [noted], None, UPSERT)])

    def _pushed(self, namespace: str) -> Key:
        return (*self._pushes, bytearray(namespace.encode()))

    # Chunks

    async def stage(
        self, pipeline: str, stagings: Sequence[Staging]
    ) -> tuple[list[Staged], list[Move]]:
        words = [
            Staged.UNABLE if len(each.chunks) <= CHUNKS_BYTES_MAX else Staged.TOO_LARGE
            for each in stagings
        ]
        # Of several stagings of one document the last holds.
        last: dict[str, int] = {}
        for at, each in enumerate(stagings):
            if words[at] is Staged.UNABLE:
                last.pop(each.document, None)
                last[each.document] = at
        if len(last) == 1:
            (at,) = last.values()
            word, moves = await self._gathering.stage(pipeline, stagings[at])
            done = {stagings[at].document: word}
        else:
            done, moves = await self._stage(pipeline, [stagings[at] for at in last.values()])
        for at, each in enumerate(stagings):
            if words[at] is Staged.UNABLE:
                words[at] = done.get(each.document, Staged.UNABLE)
        return words, moves

    async def _stage(
        self, pipeline: str, stagings: Sequence[Staging]
    ) -> tuple[dict[str, Staged], list[Move]]:
        done: dict[str, Staged] = {}
        moves: list[Move] = []
        if not stagings:
            await self.access.find(pipeline)
            return done, moves
        for part in parted(stagings):
            try:
                words, some = await self.access.run(pipeline, partial(deeds.stage, stagings=part))
            except UnableError:
                if not done:
                    raise
                break
            done |= {each.document: word for each, word in zip(part, words, strict=True)}
            moves += some
        return done, moves

    async def chunks(self, pipeline: str, documents: Sequence[str]) -> list[bytes | Absent]:
        found: list[bytes | Absent] = []
        while True:
            rest = documents[len(found) : len(found) + _READ_AT_ONCE]
            found += await self.access.run(
                pipeline, partial(reading.read_chunks, documents=rest, bytes_max=SLICE_BYTES)
            )
            if len(found) >= len(documents):
                return found

    # Documents

    async def claim(
        self,
        pipeline: str,
        *,
        stage: str,
        claim_stage: str,
        worker: str,
        limit: int,
        lease_ms: int,
        prefix: str,
    ) -> Claimed:
        if (await self.access.find(pipeline)).entry.pipeline.paused:
            return Claimed([], [])
        terms = claims.Terms(stage, claim_stage, worker, lease_ms, prefix)
        return await self.access.run(pipeline, lambda desk: claims.claim(desk, terms, limit))

    async def extend(
        self, pipeline: str, documents: Sequence[str], *, stage: str, worker: str
    ) -> int:
        extended = 0
        for part in parts_of(documents, CALL_DOCUMENTS_MAX):
            extended += await self.access.run(
                pipeline,
                partial(deeds.extend, documents=part, stage=stage, worker=worker),
            )
        return extended

    async def move(
        self,
        pipeline: str,
        documents: Sequence[str],
        *,
        stage: str,
        from_stage: str | None,
        worker: str | None,
        reason: str,
        create_missing: bool,
    ) -> Changed:
        changed = Changed(0, [])
        for part in parts_of(documents, CALL_DOCUMENTS_MAX):
            some = await self.access.run(
                pipeline,
                partial(
                    deeds.move,
                    documents=part,
                    stage=stage,
                    from_stage=from_stage,
                    worker=worker,
                    reason=reason,
                    create_missing=create_missing,
                ),
            )
            changed = Changed(changed.changed + some.changed, changed.moves + some.moves)
        return changed

    async def open_document(
        self, pipeline: str, document: str, worker: str | None
    ) -> Opened | None:
        return await self.access.run(
            pipeline, partial(reading.opened, document=document, worker=worker)
        )

    async def index_document(
        self, pipeline: str, document: str, generation: int, rows: bytes, worker: str | None
    ) -> Changed:
        return await self.access.run(
            pipeline, lambda desk: deeds.index(desk, document, generation, rows, worker)
        )
