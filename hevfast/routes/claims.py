"""Claiming documents, keeping the claim, and changing stages.

`POST /v2/pipelines/{pipeline}/claim`, `.../documents/heartbeat` and `.../documents/stage`.
"""

from typing import TYPE_CHECKING

import msgspec

from hevfast.core.limits import PIPELINE_CALL_BYTES_MAX
from hevfast.edge.reply import reply_bytes, reply_json
from hevfast.pipelines.requests import read_change, read_claim, read_heartbeat
from hevfast.routes.call import Call
from hevfast.routes.chunk_stream import ChunkStream
from hevfast.routes.moves import count_moves

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.pipelines.store import PipelineStore

_encode = msgspec.json.Encoder().encode


class Claims:
    """Serves the three routes."""

    __slots__ = ("_gateway", "_stages", "_store")

    def __init__(self, gateway: "Gateway", store: "PipelineStore") -> None:
        self._gateway = gateway
        self._stages = gateway.stages
        self._store = store

    async def claim(self, call: Call) -> None:
        asked = read_claim(await call.body(PIPELINE_CALL_BYTES_MAX, self._gateway))
        claimed = await self._store.claim(
            call.pipeline,
            stage=asked.stage,
            claim_stage=asked.claim_stage,
            worker=asked.worker,
            limit=asked.limit,
            lease_ms=asked.lease_ms,
            prefix=asked.prefix,
        )
        await count_moves(self._stages, call.pipeline, claimed.moves)
        answer = _encode(
            {
                "pipeline_id": call.pipeline,
                "stage": asked.stage,
                "claim_stage": asked.claim_stage,
                "worker_id": asked.worker,
                "documents": claimed.documents,
            }
        )
        if asked.include_chunks:
            stream = ChunkStream(self._store, call.pipeline, claimed.documents)
            await stream.as_member(call.send, answer)
        else:
            await reply_bytes(call.send, 200, answer)

    async def heartbeat(self, call: Call) -> None:
        asked = read_heartbeat(await call.body(PIPELINE_CALL_BYTES_MAX, self._gateway))
        updated = await self._store.extend(
            call.pipeline, asked.documents, stage=asked.stage, worker=asked.worker
        )
        await _updated(call, asked.stage, updated)

    async def change(self, call: Call) -> None:
        asked = read_change(await call.body(PIPELINE_CALL_BYTES_MAX, self._gateway))
        changed = await self._store.move(
            call.pipeline,
            asked.documents,
            stage=asked.stage,
            from_stage=asked.from_stage,
            worker=asked.worker,
            reason=asked.reason,
            create_missing=asked.create_missing,
        )
        await count_moves(self._stages, call.pipeline, changed.moves, asked.reason)
        await _updated(call, asked.stage, changed.changed)


async def _updated(call: Call, stage: str, updated: int) -> None:
    answer = {"pipeline_id": call.pipeline, "stage": stage, "updated": updated}
    await reply_json(call.send, 200, answer)
