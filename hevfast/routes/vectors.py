"""Writing a document's vectors: `PUT /v2/pipelines/{pipeline}/documents/{doc}/vectors`.

The rows take the course of any other write; when upstream has taken them the document is `indexed`.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from hevfast.core.clock import monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.core.limits import PIPELINE_VECTORS_BYTES_MAX
from hevfast.edge.reply import relay
from hevfast.pipelines.requests import read_worker
from hevfast.pipelines.store import UnableError, UnknownPipelineError
from hevfast.pipelines.vectors import VECTORS, WriteBody
from hevfast.routes.call import Call
from hevfast.routes.moves import count_moves

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.pipelines.model import Pipeline
    from hevfast.pipelines.store import Opened, PipelineStore
    from hevfast.routes.write import Write
    from hevfast.upstream.exchange import Answer

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False, "": False}

# The rows are written, and the document was staged or claimed anew meanwhile, or is gone.
_NOT_INDEXED: Final = (b"x-layer-warning", b"document_changed_not_indexed")


class Vectors:
    """Serves the route."""

    __slots__ = ("_gateway", "_store", "_write")

    def __init__(self, gateway: "Gateway", store: "PipelineStore", write: "Write") -> None:
        self._gateway = gateway
        self._store = store
        self._write = write

    async def put(self, call: Call) -> None:
        begun_s = monotonic_s()
        try:
            worker, replace = _wishes(call)
            pipeline, opened, rows, body = await self._prepared(call, worker, replace)
        except GatewayError as error:
            self._gateway.writes.rejected(error)
            raise
        answer = await self._write.apply(
            pipeline.target_namespace.encode(),
            f"/v2/namespaces/{pipeline.target_namespace}",
            call.head,
            call.authorization,
            body,
            begun_s=begun_s,
            pipeline=call.pipeline,
        )
        if 200 <= answer.status < 300:
            await self._index(call, opened, rows.ids(), worker, answer)
        await relay(call.send, answer)

    async def _prepared(
        self, call: Call, worker: str | None, replace: bool
    ) -> "tuple[Pipeline, Opened, WriteBody, bytearray]":
        """Read what is asked for; give the pipeline, the document, its rows, and their body."""
        body = await call.body(PIPELINE_VECTORS_BYTES_MAX, self._gateway)
        pipeline = await self._store.pipeline(call.pipeline)
        rows = WriteBody(pipeline.distance_metric)
        for n, part in enumerate(VECTORS.read(body)):
            if n:
                await asyncio.sleep(0)
            rows.take(part)
        opened = await self._open(call, worker)
        return pipeline, opened, rows, rows.finished(opened.rows if replace else None)

    async def _open(self, call: Call, worker: str | None) -> "Opened":
        opened = await self._store.open_document(call.pipeline, call.document, worker)
        if opened is None:
            raise GatewayError("not_found", "There is no document with this id in the pipeline.")
        if not opened.writable:
            raise GatewayError(
                "conflict", "The worker does not hold the document: its lease has ended."
            )
        return opened

    async def _index(
        self, call: Call, opened: "Opened", ids: bytes, worker: str | None, answer: "Answer"
    ) -> None:
        """Mark the document before the caller hears of success."""
        try:
            changed = await self._store.index_document(
                call.pipeline, call.document, opened.generation, ids, worker
            )
        except UnableError as error:
            if not isinstance(answer.body, bytes):
                await answer.body.aclose()
            raise GatewayError(
                "service_unavailable",
                "The rows are written, but the document could not be marked `indexed`. Send the "
                "same request again; it does no harm.",
                headers=((b"retry-after", b"1"),),
            ) from error
        except UnknownPipelineError:
            answer.headers.append(_NOT_INDEXED)
            return
        if not changed.changed:
            answer.headers.append(_NOT_INDEXED)
        await count_moves(self._gateway.stages, call.pipeline, changed.moves)


def _wishes(call: Call) -> tuple[str | None, bool]:
    """Give the worker that must hold the document, if any, and whether rows are replaced."""
    if not call.scope["query_string"]:
        return None, False
    given = call.query()
    worker = given.get("worker_id")
    flag = given.get("replace", "").lower()
    if flag not in _FLAGS:
        raise GatewayError("validation_error", "`replace` is neither true nor false.")
    return None if worker is None else read_worker(worker), _FLAGS[flag]
