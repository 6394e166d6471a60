"""Namespaces as a whole: the list of them, the metadata and the deletion of one."""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hevfast.cache.store import Touched
from hevfast.core.clock import MS_PER_S, monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.edge.reply import relay, reply_bytes, reply_json
from hevfast.edge.target import target_of
from hevfast.namespaces.asking import Asking, RefusedError, read_as
from hevfast.namespaces.marker import Marker, read_marker
from hevfast.namespaces.metadata import Metadata, entry_of, layer_of, read_metadata, with_layer
from hevfast.namespaces.shards import rows_without_shard
from hevfast.routes.call import Visit
from hevfast.routes.settling import sent_between
from hevfast.upstream.exchange import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hevfast.gateway import Gateway
    from hevfast.routes.surface import Handler
    from hevfast.routes.warm import Warming

# Questions about namespaces of lists that one worker has under way at once (layer-api 6.2).
_PARALLEL: Final = 16

# Pages of lists that are kept; the ones made first are forgotten first. One has 1000 namespaces at
# most, some hundred KiB.
_PAGES_MAX: Final = 64

# Parameters of the list that upstream knows.
_LIST_PARAMETERS: Final = (b"prefix=", b"cursor=", b"page_size=")

_DELETED: Final = {"status": "OK", "message": "The namespace and what was cached of it are gone."}


class _Named(msgspec.Struct):
    id: str


class _Listed(msgspec.Struct):
    namespaces: list[_Named]
    next_cursor: str | None = None


_decode_list = msgspec.json.Decoder(_Listed).decode
_encode = msgspec.json.Encoder().encode


class Namespaces:
    """Serves the routes."""

    __slots__ = ("_gateway", "_kept_s", "_pages", "_turns", "_warming", "when_deleted")

    def __init__(self, gateway: "Gateway", warming: "Warming") -> None:
        self._gateway = gateway
        self._warming = warming
        # Awaited with the name of a namespace that is gone.
        self.when_deleted: list[Callable[[bytes], Awaitable[None]]] = []
        self._turns = asyncio.Semaphore(_PARALLEL)
        self._kept_s = gateway.settings.namespace_list_cache_ttl_ms / MS_PER_S
        # By key and parameters: what one caller may see another may not.
        self._pages: OrderedDict[tuple[bytes, bytes], tuple[float, bytes]] = OrderedDict()

    def handlers(self) -> "dict[str, Handler]":
        return {
            "list_namespaces": self._list,
            "get_namespace_metadata": self._metadata,
            "delete_namespace": self._delete,
        }

    async def _metadata(self, visit: Visit) -> None:
        namespace = visit.namespace
        body, layer = await self.described(visit.authorization, namespace)
        await reply_bytes(visit.send, 200, with_layer(body, namespace, layer))

    async def described(self, authorization: bytes, namespace: bytes) -> tuple[bytes, Any]:
        """Give upstream's metadata as they are, and Layer's block.

        Raises: RefusedError, with upstream's answer if there is no such namespace.
        """
        asking = Asking(self._gateway.exchange, authorization)
        body = await asking.metadata(namespace)
        metadata = read_metadata(body)
        marker = await self._marker(asking, namespace, metadata)
        lag_rows = 0
        if marker is not None:
            lag_rows = await rows_without_shard(asking, namespace, marker, metadata)
        self._gateway.watermark.watch(namespace, authorization)
        stability = self._gateway.watermark.of(namespace)
        return body, layer_of(metadata, stability, marker, lag_rows)

    async def _marker(self, asking: Asking, namespace: bytes, metadata: Metadata) -> Marker | None:
        # Without its attributes in the schema no marker was ever written.
        marker = await read_marker(asking, namespace) if metadata.may_have_marker else None
        self._gateway.markers.learn(namespace, marker)
        return marker

    # The list

    async def _list(self, visit: Visit) -> None:
        query: bytes = visit.scope["query_string"]
        kept = visit.authorization, query
        until, page = self._pages.get(kept, (0.0, b""))
        if until <= monotonic_s():
            page = await self._page(visit, query)
            self._pages.pop(kept, None)
            self._pages[kept] = monotonic_s() + self._kept_s, page
            if len(self._pages) > _PAGES_MAX:
                self._pages.popitem(last=False)
        await reply_bytes(visit.send, 200, page)

    async def _page(self, visit: Visit, query: bytes) -> bytes:
        # Checks the query's bytes, too.
        target_of(visit.scope)
        wanted = [part for part in query.split(b"&") if part.startswith(_LIST_PARAMETERS)]
        target = "/v1/namespaces"
        if wanted:
            target += "?" + b"&".join(wanted).decode("ascii")
        asking = Asking(self._gateway.exchange, visit.authorization)
        listed: _Listed = read_as(_decode_list, await asking.get(target, "list"))
        names = [each.id for each in listed.namespaces]
        async with asyncio.TaskGroup() as group:
            entries = [group.create_task(self._entry(asking, name)) for name in names]
        page: dict[str, Any] = {"namespaces": [entry.result() for entry in entries]}
        if listed.next_cursor:
            page["next_cursor"] = listed.next_cursor
        return _encode(page)

    async def _entry(self, asking: Asking, name: str) -> dict[str, Any]:
        """Describe one namespace; one whose metadata cannot be had is listed all the same."""
        namespace = name.encode()
        cache_state = self._warming.state(namespace)
        try:
            async with self._turns:
                body = await asking.metadata(namespace)
            metadata = read_metadata(body)
        except RefusedError as refused:
            error = refused.text()
        except GatewayError as fault:
            error = fault.detail
        else:
            entry = entry_of(name, metadata, self._gateway.watermark.of(namespace))
            return entry | {"cache_state": cache_state}
        return {"id": name, "name": name, "cache_state": cache_state, "metadata_error": error}

    # The deletion

    async def _delete(self, visit: Visit) -> None:
        gateway, namespace = self._gateway, visit.namespace
        target = target_of(visit.scope)
        headers = [*visit.head.forward, (b"authorization", visit.authorization)]

        async def sending() -> Answer:
            answer = await gateway.exchange.send(
                "DELETE", target, headers, None, None, deed="delete"
            )
            # One that is gone already is what was asked for. What is cached of it goes, too.
            if answer.status == 404:
                await _dropped(answer)
                return Answer(200, [], b"")
            return answer

        if gateway.cache is not None:
            answer = await sent_between(gateway.cache, Touched(namespace, None), sending)
        else:
            answer = await sending()
        if answer.status >= 300:
            await relay(visit.send, answer)
            return
        await _dropped(answer)
        gateway.markers.forget(namespace)
        self._pages.clear()
        for forget in self.when_deleted:
            await forget(namespace)
        await reply_json(visit.send, 200, _DELETED)


async def _dropped(answer: Answer) -> None:
    if not isinstance(answer.body, bytes):
        await answer.body.aclose()
