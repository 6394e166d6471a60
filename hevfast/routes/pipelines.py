"""The pipeline routes: who serves which path, and a pipeline's own life.

`/v2/pipelines`, `/v2/pipelines/{pipeline}`, and its `status`, `pause` and `resume`.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hevfast.core.clock import MS_PER_S
from hevfast.core.errors import GatewayError
from hevfast.core.limits import PIPELINE_CALL_BYTES_MAX
from hevfast.edge.auth import authorize
from hevfast.edge.head import Head
from hevfast.edge.reply import relay, reply_json
from hevfast.pipelines.model import Pipeline
from hevfast.pipelines.paths import Place, named
from hevfast.pipelines.requests import read_create
from hevfast.pipelines.status import status_of
from hevfast.pipelines.store import (
    STAGES_MAX,
    TooManyPipelinesError,
    TooManyStagesError,
    UnableError,
    UnknownPipelineError,
)
from hevfast.routes.call import Call
from hevfast.routes.claims import Claims
from hevfast.routes.door import Door
from hevfast.routes.staging import Staging
from hevfast.routes.vectors import Vectors

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.pipelines.store import PipelineStore
    from hevfast.routes.write import Write

Handler = Callable[[Call], Awaitable[None]]

# Places whose answer is, or depends on, what is staged: there the store is the document cache.
_OF_CHUNKS: Final = (Place.DOCUMENT, Place.DOCUMENTS, Place.CHUNKS, Place.SEVERAL_CHUNKS)

# Seconds. A store that is unable now is tried again after as long.
_RETRY_AFTER: Final = ((b"retry-after", b"1"),)


class Pipelines:
    """Serves all routes below `/v2/pipelines`."""

    __slots__ = ("_door", "_gateway", "_routes", "_store")

    def __init__(self, gateway: "Gateway", store: "PipelineStore", write: "Write") -> None:
        self._gateway = gateway
        self._store = store
        self._door = Door(gateway)
        staging = Staging(gateway, store)
        claims = Claims(gateway, store)
        vectors = Vectors(gateway, store, write)
        # Which scope a caller's key needs goes beside the method here once keys have scopes.
        self._routes: Mapping[Place, Mapping[str, Handler]] = {
            Place.PIPELINES: {"GET": self._list, "POST": self._create},
            Place.PIPELINE: {"GET": self._get, "DELETE": self._delete},
            Place.STATUS: {"GET": self._status},
            Place.PAUSE: {"POST": self._pause},
            Place.RESUME: {"POST": self._resume},
            Place.CLAIM: {"POST": claims.claim},
            Place.HEARTBEAT: {"POST": claims.heartbeat},
            Place.STAGE: {"POST": claims.change},
            Place.DOCUMENT: {"PUT": staging.one},
            Place.DOCUMENTS: {"POST": staging.several},
            Place.CHUNKS: {"GET": staging.chunks},
            Place.SEVERAL_CHUNKS: {"POST": staging.several_chunks},
            Place.VECTORS: {"PUT": vectors.put},
        }

    async def close(self) -> None:
        await self._door.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = Head(scope["headers"])
        authorization = authorize(head.authorization, self._gateway.api_key)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        target = named(method, scope["raw_path"])
        handler = _handler(self._routes[target.place], method)
        call = Call(scope, receive, send, head, authorization, target)
        try:
            if not self._door.stands_open and await self._refused(call):
                return
            await handler(call)
        except UnknownPipelineError as error:
            raise GatewayError("not_found", "There is no pipeline with this id.") from error
        except TooManyStagesError as error:
            raise GatewayError(
                "validation_error", f"The pipeline has {STAGES_MAX} stages of its own already."
            ) from error
        except UnableError as error:
            raise _unable(target.place, error) from error

    async def _refused(self, call: Call) -> bool:
        """Answer a caller whose key upstream does not take; tell whether that was so."""
        if call.place is Place.PIPELINES:
            # Whom a new one is for is in the body.
            if call.scope["method"] == "POST":
                return False
            namespace = b""
        else:
            namespace = await self._namespace_of(call.pipeline)
        return await self._turned_away(call, namespace)

    async def _namespace_of(self, pipeline: str) -> bytes:
        try:
            return await self._door.namespace_of(pipeline)
        except UnknownPipelineError:
            # Only whom upstream takes is told which pipelines there are.
            return b""

    async def _turned_away(self, call: Call, namespace: bytes) -> bool:
        refusal = await self._door.refusal(call.authorization, namespace)
        if refusal is not None:
            await relay(call.send, refusal)
        return refusal is not None

    async def _create(self, call: Call) -> None:
        asked = read_create(await call.body(PIPELINE_CALL_BYTES_MAX, self._gateway))
        if await self._turned_away(call, asked.target_namespace.encode()):
            return
        created_at = _rfc3339(self._gateway.clock.now_ms())
        pipeline = Pipeline(*asked, created_at=created_at)
        if not await self._store.create(pipeline):
            raise GatewayError("conflict", "There is a pipeline with this id already.")
        self._door.forget(pipeline.id)
        await reply_json(call.send, 201, _plain(pipeline))

    async def _list(self, call: Call) -> None:
        pipelines = await self._store.pipelines()
        await reply_json(call.send, 200, {"pipelines": [_plain(each) for each in pipelines]})

    async def _get(self, call: Call) -> None:
        await reply_json(call.send, 200, _whole(await self._store.pipeline(call.pipeline)))

    async def _pause(self, call: Call) -> None:
        await reply_json(call.send, 200, _whole(await self._store.pause(call.pipeline, True)))

    async def _resume(self, call: Call) -> None:
        await reply_json(call.send, 200, _whole(await self._store.pause(call.pipeline, False)))

    async def _delete(self, call: Call) -> None:
        await self._store.delete(call.pipeline)
        self._door.forget(call.pipeline)
        gone = {"status": "OK", "message": "The pipeline is deleted; rows upstream stay."}
        await reply_json(call.send, 200, gone)

    async def _status(self, call: Call) -> None:
        counts = await self._store.counts(call.pipeline)
        await reply_json(call.send, 200, status_of(call.pipeline, counts))


def _handler(routes: Mapping[str, Handler], method: str) -> Handler:
    handler = routes.get(method)
    if handler is None:
        allowed = ", ".join([*routes, "HEAD"] if "GET" in routes else routes)
        raise GatewayError(
            "method_not_allowed",
            f"{method[:32]} is not allowed on this path; allowed: {allowed}.",
            headers=((b"allow", allowed.encode()),),
        )
    return handler


def _unable(place: Place, error: UnableError) -> GatewayError:
    if isinstance(error, TooManyPipelinesError):
        return GatewayError("conflict", "There are too many pipelines; delete one first.")
    if place in _OF_CHUNKS:
        return GatewayError(
            "cache_cold",
            "The store of staged documents cannot be used now; nothing is known to have been done. "
            "Try again.",
            fields={"cache_state": "cold"},
            headers=_RETRY_AFTER,
        )
    return GatewayError(
        "service_unavailable",
        "The store of the pipelines cannot be used now; nothing is known to have been done. "
        "Try again.",
        headers=_RETRY_AFTER,
    )


def _rfc3339(now_ms: int) -> str:
    moment = datetime.fromtimestamp(now_ms / MS_PER_S, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(pipeline: Pipeline) -> dict[str, object]:
    return {
        "id": pipeline.id,
        "target_namespace": pipeline.target_namespace,
        "distance_metric": pipeline.distance_metric,
        "created_at": pipeline.created_at,
    }


def _whole(pipeline: Pipeline) -> dict[str, object]:
    return {**_plain(pipeline), "paused": pipeline.paused}
