"""Staging documents and reading their chunks back, one and many.

`PUT .../documents/{doc}`, `GET .../documents/{doc}/chunks`, and with POST `.../documents` and
`.../documents/chunks`.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from hevfast.core.errors import GatewayError
from hevfast.core.limits import (
    PIPELINE_BATCH_BYTES_MAX,
    PIPELINE_CALL_BYTES_MAX,
    PIPELINE_DOCUMENT_BYTES_MAX,
)
from hevfast.edge.reply import reply_bytes, reply_json
from hevfast.pipelines import store as pipeline_store
from hevfast.pipelines.listing import decoded
from hevfast.pipelines.model import PENDING
from hevfast.pipelines.requests import check_document, read_several
from hevfast.pipelines.staging import (
    CHUNKS,
    DOCUMENTS,
    ChunkIds,
    DocumentChunks,
    decode_chunks,
)
from hevfast.pipelines.store import DOCUMENTS_MAX, Absent, Staged, UnableError
from hevfast.routes.call import Call
from hevfast.routes.chunk_stream import ChunkStream
from hevfast.routes.moves import count_moves

if TYPE_CHECKING:
    from hevfast.gateway import Gateway

# Documents, and bytes of chunks, given to the store at once out of a batch.
_AT_ONCE: Final = 1000
_AT_ONCE_BYTES: Final = 8 * 1024 * 1024

# Documents of a batch that are checked before others have their turn.
_CHECKED_AT_ONCE: Final = 16

_LOST: Final = "The document's chunks are lost; stage it again."
_TOO_LARGE: Final = "The store does not take so many bytes for one document; split it."
_UNABLE: Final = "The store cannot keep the document now; try again."


class Staging:
    """Serves the routes of chunks."""

    __slots__ = ("_gateway", "_store")

    def __init__(self, gateway: "Gateway", store: pipeline_store.PipelineStore) -> None:
        self._gateway = gateway
        self._store = store

    async def one(self, call: Call) -> None:
        body = await call.body(PIPELINE_DOCUMENT_BYTES_MAX, self._gateway)
        reading = CHUNKS.read(body)
        ids = ChunkIds()
        for n, part in enumerate(reading):
            if n:
                await asyncio.sleep(0)
            ids.take(part)
        count = len(ids.ids)
        staging = pipeline_store.Staging(call.document, reading.array, count)
        (staged,), moves = await self._store.stage(call.pipeline, [staging])
        await count_moves(self._gateway.stages, call.pipeline, moves)
        if staged is Staged.UNABLE:
            raise UnableError
        if staged is Staged.TOO_LARGE:
            raise GatewayError("payload_too_large", _TOO_LARGE)
        answer = {
            "pipeline_id": call.pipeline,
            "document_id": call.document,
            "stage": PENDING,
            "chunk_count": count,
            "chunk_ids": ids.ids,
        }
        await reply_json(call.send, 200, answer)

    async def several(self, call: Call) -> None:
        body = await call.body(PIPELINE_BATCH_BYTES_MAX, self._gateway)
        documents: list[DocumentChunks] = []
        for n, part in enumerate(DOCUMENTS.read(body)):
            if n:
                await asyncio.sleep(0)
            documents += part
            if len(documents) > DOCUMENTS_MAX:
                message = f"`documents` has more than {DOCUMENTS_MAX} entries; split it."
                raise GatewayError("validation_error", message)
        del body
        # Also tells of a pipeline that does not exist when there is nothing to stage.
        await self._store.pipeline(call.pipeline)
        batch = Batch()
        await batch.check(documents)
        del documents
        for some in batch.portions():
            await self._keep(call.pipeline, some, batch)
        await reply_json(call.send, 200, batch.answer(call.pipeline))

    async def _keep(
        self, pipeline: str, some: list[pipeline_store.Staging], batch: "Batch"
    ) -> None:
        try:
            words, moves = await self._store.stage(pipeline, some)
            await count_moves(self._gateway.stages, pipeline, moves)
        except UnableError:
            if not batch.kept:
                raise
            # Others are staged already, and the caller has to learn which.
            words = [Staged.UNABLE] * len(some)
        batch.told(some, words)

    async def chunks(self, call: Call) -> None:
        (found,) = await self._store.chunks(call.pipeline, [call.document])
        if found is Absent.UNKNOWN:
            raise GatewayError("not_found", "There is no document with this id in the pipeline.")
        if found is Absent.LOST:
            raise GatewayError("not_found", _LOST)
        assert isinstance(found, bytes)
        await reply_bytes(call.send, 200, found)

    async def several_chunks(self, call: Call) -> None:
        ids = read_several(await call.body(PIPELINE_CALL_BYTES_MAX, self._gateway))
        stream = ChunkStream(self._store, call.pipeline, ids)
        await stream.as_list(call.send)


class Batch:
    """Documents staged in one call: what is to be kept, what became of it, what was refused."""

    __slots__ = ("_failed", "_staged", "_stagings", "kept")

    def __init__(self) -> None:
        self._stagings: list[pipeline_store.Staging] = []
        self._staged: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self.kept = False

    async def check(self, documents: list[DocumentChunks]) -> None:
        """Check each document by itself: one that is refused leaves the others alone."""
        named: set[str] = set()
        for n, document in enumerate(documents):
            if n % _CHECKED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                if document.id in named:
                    raise GatewayError("validation_error", "The document is named twice.")
                self._stagings.append(_staging(document))
                named.add(document.id)
            except GatewayError as error:
                self._fail(document.id, error.code, error.detail)

    def portions(self) -> Iterator[list[pipeline_store.Staging]]:
        """Give what is to be kept in portions of bounded size."""
        some: list[pipeline_store.Staging] = []
        size = 0
        for staging in self._stagings:
            if some and (len(some) == _AT_ONCE or size + len(staging.chunks) > _AT_ONCE_BYTES):
                yield some
                some, size = [], 0
            some.append(staging)
            size += len(staging.chunks)
        if some:
            yield some

    def told(self, some: list[pipeline_store.Staging], words: list[Staged]) -> None:
        self.kept = True
        for staging, word in zip(some, words, strict=True):
            if word is Staged.STAGED:
                entry = {
                    "document_id": staging.document,
                    "stage": PENDING,
                    "chunk_count": staging.chunk_count,
                }
                self._staged.append(entry)
            elif word is Staged.TOO_LARGE:
                self._fail(staging.document, "payload_too_large", _TOO_LARGE)
            else:
                self._fail(staging.document, "cache_cold", _UNABLE)

    def answer(self, pipeline: str) -> dict[str, object]:
        return {
            "pipeline_id": pipeline,
            "staged": len(self._staged),
            "documents": self._staged,
            "failed": self._failed,
        }

    def _fail(self, document: str, code: str, message: str) -> None:
        self._failed.append({"document_id": document, "error": code, "message": message})


def _staging(document: DocumentChunks) -> pipeline_store.Staging:
    """Raises: GatewayError for a document that cannot be staged."""
    check_document(document.id)
    array = bytes(document.chunks)
    if not array:
        raise GatewayError("validation_error", "The document has no `chunks`.")
    ids = ChunkIds()
    ids.take(decoded(decode_chunks, array))
    return pipeline_store.Staging(document.id, array, len(ids.ids))
