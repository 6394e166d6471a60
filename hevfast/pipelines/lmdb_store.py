"""The pipelines of one host: LMDB, shared by its worker processes.

Calls for many documents are done in parts, so that others get their turn between.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hevfast.core.limits import SLICE_BYTES
from hevfast.pipelines.lmdb_file import boottime_ms
from hevfast.pipelines.lmdb_keys import namespace_key, place_key, place_of
from hevfast.pipelines.lmdb_pages import Pages
from hevfast.pipelines.lmdb_step import LAPSED_AT_ONCE, Step, chunks_of, document_of, opened
from hevfast.pipelines.lmdb_transactions import Transactions
from hevfast.pipelines.model import Pipeline
from hevfast.pipelines.store import (
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
    parts_of,
    tell_nobody,
)

if TYPE_CHECKING:
    from hevfast.pipelines.lmdb_book import Book

# Bytes. Chunks of one document; they lie in the file in one piece, which a full one may lack.
CHUNKS_BYTES_MAX: Final = 16 * 1024 * 1024

# Documents, and bytes of their chunks, in one transaction: some milliseconds of work.
_PART: Final = 500
_PART_BYTES: Final = 4 * 1024 * 1024

# Documents read on the loop in one go.
_READ_AT_ONCE: Final = 64
_LISTED_AT_ONCE: Final = 64

# Milliseconds that upstream counts as pushing back, from each time it has done so.
PUSHED_BACK_MS: Final = 10_000


class LmdbPipelines:
    """A `PipelineStore` on LMDB. `bytes_max`: of the file; `clock`: ms, shared by its processes."""

    def __init__(
        self,
        folder: Path,
        bytes_max: int,
        clock: Callable[[], int] = boottime_ms,
        tell: Tell = tell_nobody,
    ) -> None:
        self._transactions = Transactions(folder, bytes_max, clock, tell)
        self._do = self._transactions.do
        self._do_part = self._transactions.do_part
        self._read = self._transactions.read

    def __repr__(self) -> str:
        return f"<LmdbPipelines {self._transactions!r}>"

    async def open(self) -> None:
        await self._transactions.open()

    async def close(self) -> None:
        await self._transactions.close()

    # Pipelines

    async def create(self, pipeline: Pipeline) -> bool:
        return await self._do(lambda pages: pages.create(pipeline))

    async def pipelines(self) -> list[Pipeline]:
        found: list[Book] = []
        while True:
            last = found[-1].number if found else 0
            next_ones = partial(Pages.created_after, number=last, count=_LISTED_AT_ONCE)
            some = await self._read(next_ones)
            found += some
            if len(some) < _LISTED_AT_ONCE:
                return [book.pipeline for book in found]
            await asyncio.sleep(0)

    async def pipeline(self, pipeline: str) -> Pipeline:
        return await self._read(lambda pages: pages.book(pipeline).pipeline)

    async def pause(self, pipeline: str, paused: bool) -> Pipeline:
        def deed(pages: Pages) -> Pipeline:
            book = pages.book(pipeline)
            book.pipeline = book.pipeline._replace(paused=paused)
            return book.pipeline

        return await self._do(deed)

    async def delete(self, pipeline: str) -> None:
        await self._do(lambda pages: pages.remove(pipeline))

    async def counts(self, pipeline: str) -> Counts:
        def look(pages: Pages) -> Counts:
            book = pages.book(pipeline)
            key = namespace_key(book.pipeline.target_namespace.encode())
            until = pages.get(pages.pushed, key)
            pushed_back = until is not None and place_of(until) > pages.now_ms
            return Counts(book.stages, book.reasons, book.indexed(pages.now_ms), pushed_back)

        return await self._read(look)

    async def push_back(self, namespace: str) -> None:
        key = namespace_key(namespace.encode())
        await self._do(
            lambda pages: pages.put(pages.pushed, key, place_key(pages.now_ms + PUSHED_BACK_MS))
        )

    # Chunks

    async def stage(
        self, pipeline: str, stagings: Sequence[Staging]
    ) -> tuple[list[Staged], list[Move]]:
        words = [
            Staged.UNABLE if len(each.chunks) <= CHUNKS_BYTES_MAX else Staged.TOO_LARGE
            for each in stagings
        ]
        fitting = [at for at, word in enumerate(words) if word is Staged.UNABLE]
        moves: list[Move] = []
        if not fitting:
            await self.pipeline(pipeline)
        for part in _parted(stagings, fitting):
            some = [stagings[at] for at in part]

            def deed(pages: Pages, some: list[Staging] = some) -> list[Move]:
                step = Step(pages, pages.book(pipeline))
                pages.demand_room()
                step.stage(some)
                return step.moves

            try:
                moves += await self._do_part(deed, len(some))
            except UnableError:
                if Staged.STAGED in words:
                    break
                raise
            for at in part:
                words[at] = Staged.STAGED
        return words, moves

    async def chunks(self, pipeline: str, documents: Sequence[str]) -> list[bytes | Absent]:
        found: list[bytes | Absent] = []
        while True:
            rest = documents[len(found) : len(found) + _READ_AT_ONCE]
            found += await self._read(partial(_some_chunks, pipeline=pipeline, documents=rest))
            if len(found) >= len(documents):
                return found
            await asyncio.sleep(0)

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
        claimed = Claimed([], [])
        while True:
            count = min(limit - len(claimed.documents), _PART)

            def deed(pages: Pages, count: int = count) -> tuple[Claimed, bool]:
                book = pages.book(pipeline)
                if book.pipeline.paused:
                    return Claimed([], []), False
                step = Step(pages, book)
                some = step.claim(
                    stage=stage,
                    claim_stage=claim_stage,
                    worker=worker,
                    limit=count,
                    lease_ms=lease_ms,
                    prefix=prefix,
                )
                return some, len(some.documents) == count or step.lapsed == LAPSED_AT_ONCE

            try:
                some, more = await self._do_part(deed, count)
            except UnableError:
                if claimed.documents:
                    return claimed
                raise
            claimed.documents.extend(some.documents)
            claimed.moves.extend(some.moves)
            if not more or len(claimed.documents) >= limit:
                return claimed

    async def extend(
        self, pipeline: str, documents: Sequence[str], *, stage: str, worker: str
    ) -> int:
        extended = 0
        for part in parts_of(documents, _PART):

            def deed(pages: Pages, part: Sequence[str] = part) -> int:
                step = Step(pages, pages.book(pipeline))
                return step.extend(part, stage=stage, worker=worker)

            extended += await self._do_part(deed, len(part))
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
        changed = 0
        moves: list[Move] = []
        for part in parts_of(documents, _PART):

            def deed(pages: Pages, part: Sequence[str] = part) -> Changed:
                step = Step(pages, pages.book(pipeline))
                if create_missing:
                    pages.demand_room()
                return step.move(
                    part,
                    stage=stage,
                    from_stage=from_stage,
                    worker=worker,
                    reason=reason,
                    create_missing=create_missing,
                )

            some = await self._do_part(deed, len(part))
            changed += some.changed
            moves += some.moves
        return Changed(changed, moves)

    async def open_document(
        self, pipeline: str, document: str, worker: str | None
    ) -> Opened | None:
        return await self._read(
            lambda pages: opened(pages, pages.book_number(pipeline), document, worker)
        )

    async def index_document(
        self, pipeline: str, document: str, generation: int, rows: bytes, worker: str | None
    ) -> Changed:
        def deed(pages: Pages) -> Changed:
            return Step(pages, pages.book(pipeline)).index(document, generation, rows, worker)

        return await self._do(deed)


def _some_chunks(pages: Pages, pipeline: str, documents: Sequence[str]) -> list[bytes | Absent]:
    """Read chunks of the first of some documents: of one at least, and then up to a bound."""
    number = pages.book_number(pipeline)
    found: list[bytes | Absent] = []
    read_bytes = 0
    for each in documents:
        kept = document_of(pages, number, each)
        if kept is None:
            found.append(Absent.UNKNOWN)
            continue
        chunks = chunks_of(pages, number, kept.document)
        if chunks is None:
            # Created without chunks, or indexed and rid of them; otherwise they are lost.
            found.append(Absent.LOST if kept.document.chunk_count else b"[]")
            continue
        found.append(chunks)
        read_bytes += len(chunks)
        if read_bytes >= SLICE_BYTES:
            break
    return found


def _parted(stagings: Sequence[Staging], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Cut a call into parts of at most _PART documents and _PART_BYTES, or one document."""
    part: list[int] = []
    part_bytes = 0
    for at in numbers:
        size = len(stagings[at].chunks)
        if part and (len(part) == _PART or part_bytes + size > _PART_BYTES):
            yield part
            part, part_bytes = [], 0
        part.append(at)
        part_bytes += size
    if part:
        yield part
