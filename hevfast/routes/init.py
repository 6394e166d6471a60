"""`POST /v2/namespaces/{ns}/init`: the marker of a namespace, and shards for the rows it has."""

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from hevfast.core.clock import monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.edge.head import Head
from hevfast.edge.reply import reply_json
from hevfast.namespaces.asking import Asking, RefusedError
from hevfast.namespaces.jobs import Job, Jobs
from hevfast.namespaces.marker import Marker, read_marker, write_marker
from hevfast.namespaces.metadata import Metadata, read_metadata
from hevfast.namespaces.shards import rows_without_shard, without_shard
from hevfast.routes.call import Visit

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.namespaces.shelf import Shelf
    from hevfast.routes.namespaces import Namespaces
    from hevfast.routes.write import Write
    from hevfast.settings import Settings

_BODY_BYTES_MAX: Final = 64 * 1024

# Shards that a namespace may have, as in the setting of their usual count.
_SHARDS_MAX: Final = 65_536

_JSON: Final = (b"content-type", b"application/json")


class InitRequest(msgspec.Struct):
    """The body of an init; it may be left out."""

    schema_version: int | None = None
    shard_count: int | None = None


_decode = msgspec.json.Decoder(InitRequest).decode


class Init:
    """Serves the route."""

    __slots__ = ("_gateway", "_jobs", "_namespaces", "_write")

    def __init__(
        self, gateway: "Gateway", shelf: "Shelf", namespaces: "Namespaces", write: "Write"
    ) -> None:
        self._gateway = gateway
        self._jobs = Jobs(shelf)
        self._namespaces = namespaces
        self._write = write

    async def close(self) -> None:
        await self._jobs.close()

    async def forget(self, namespace: bytes) -> None:
        """Forget a namespace that is deleted."""
        await self._jobs.forget(namespace)

    async def __call__(self, visit: Visit) -> None:
        namespace = visit.namespace
        asked = _read(await visit.body(_BODY_BYTES_MAX, self._gateway))
        if asked.shard_count is not None:
            await self._mark(visit, Marker(asked.shard_count, asked.schema_version or 1))
        _, layer = await self._namespaces.described(visit.authorization, namespace)
        await reply_json(visit.send, 200, {"namespace": namespace.decode(), "layer": layer})

    async def _mark(self, visit: Visit, marker: Marker) -> None:
        gateway, namespace = self._gateway, visit.namespace
        fault = _fault(marker, gateway.settings)
        if fault:
            raise GatewayError("validation_error", fault)
        asking = Asking(gateway.exchange, visit.authorization)
        metadata = read_metadata(await asking.metadata(namespace))
        if metadata.type_of("id") not in ("string", ""):
            raise GatewayError(
                "validation_error",
                "The marker's id is a string, and the ids of this namespace are "
                f"`{metadata.type_of('id')}`.",
            )
        held = await read_marker(asking, namespace) if metadata.may_have_marker else None
        if held is None:
            held = await self._made(asking, namespace, marker, metadata)
            metadata = read_metadata(await asking.metadata(namespace))
        elif held.shard_count != marker.shard_count:
            raise GatewayError("conflict", f"The namespace has {held.shard_count} shards already.")
        gateway.markers.learn(namespace, held)
        await self._backfill(visit, asking, held, metadata)

    async def _made(
        self, asking: Asking, namespace: bytes, marker: Marker, metadata: Metadata
    ) -> Marker:
        """Write the marker.

        This worker's writes go by it before it is written, and it is dated later than any write
        that did not: a write chooses its count and its stamp in one step of the loop.
        """
        gateway = self._gateway
        gateway.markers.learn(namespace, marker)
        marker = marker._replace(made_ms=gateway.clock.now_ms() + 1)
        try:
            await write_marker(asking, namespace, marker, metadata)
        except BaseException:
            gateway.markers.forget(namespace)
            raise
        return marker

    async def _backfill(
        self, visit: Visit, asking: Asking, marker: Marker, metadata: Metadata
    ) -> None:
        """Begin to give their shards to the rows that lack them, if that is not under way."""
        namespace = visit.namespace
        lag_rows = await rows_without_shard(asking, namespace, marker, metadata)
        if not lag_rows or self._jobs.running(namespace) is not None:
            return
        settings = self._gateway.settings
        page_size, pause_s = settings.backfill_rows, 1 / settings.backfill_rps
        authorization = visit.authorization

        async def work(job: Job) -> None:
            filters = without_shard(marker, metadata)
            async for rows in asking.pages(namespace, filters, page_size, rows_a_turn=page_size):
                begun_s = monotonic_s()
                await self._patch(authorization, namespace, [bytes(row["id"]) for row in rows])
                await job.scanned(len(rows))
                await asyncio.sleep(max(0.0, pause_s - (monotonic_s() - begun_s)))

        job = Job(self._jobs.shelf, namespace, None, {})
        job.rows_expected = lag_rows
        await self._jobs.start(job, work, None)

    async def _patch(self, authorization: bytes, namespace: bytes, ids: list[bytes]) -> None:
        """Patch rows with nothing but the stamps, on the course of every other write."""
        answer = await self._write.apply(
            namespace,
            f"/v2/namespaces/{namespace.decode()}",
            Head([_JSON]),
            authorization,
            b'{"patch_columns":{"id":[%b]}}' % b",".join(ids),
        )
        if answer.status != 200:
            raise RefusedError(answer)


def _fault(marker: Marker, settings: "Settings") -> str:
    """Say why rows would not be stamped by a marker, "" if they are."""
    if settings.shard_stamp == "never":
        return "Rows get no shard here (HEVFAST_SHARD_STAMP=never), so none can be counted."
    own = marker.shard_count == settings.shard_count
    if settings.shard_stamp == "always" and settings.workers > 1 and not own:
        return (
            "Other workers would go on stamping for LAYER_SHARD_COUNT shards, which they do not "
            "ask about; set HEVFAST_SHARD_STAMP=initialised, or use that count."
        )
    return ""


def _read(body: bytes | bytearray) -> InitRequest:
    if not body.strip():
        return InitRequest()
    try:
        asked = _decode(body)
    except msgspec.ValidationError as error:
        raise GatewayError("validation_error", str(error)) from error
    except msgspec.DecodeError as error:
        raise GatewayError("bad_request", f"The body is not valid JSON: {error}") from error
    if asked.shard_count is not None and not 1 <= asked.shard_count <= _SHARDS_MAX:
        raise GatewayError("validation_error", f"`shard_count` is not within 1..{_SHARDS_MAX}.")
    if asked.schema_version is not None and asked.schema_version < 1:
        raise GatewayError("validation_error", "`schema_version` is not 1 or more.")
    return asked
