"""Everything of Turbopuffer's API that the gateway does not handle itself, passed on untouched."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

from hevfast.cache.store import Touched
from hevfast.core.limits import PASS_WHOLE_BYTES_MAX
from hevfast.core.paths import changes_namespace, check_passthrough
from hevfast.edge.auth import authorize
from hevfast.edge.body import check_length, read_body, stream_body
from hevfast.edge.head import Head
from hevfast.edge.reply import relay
from hevfast.edge.target import target_of
from hevfast.routes.settling import sent_between

if TYPE_CHECKING:
    from hevfast.cache.store import Store
    from hevfast.gateway import Gateway
    from hevfast.upstream.exchange import Answer


class Passthrough:
    """Sends a request on as it is. Writes are refused: they would arrive without a stamp."""

    __slots__ = ("_gateway",)

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        gateway = self._gateway
        head = Head(scope["headers"])
        authorization = authorize(head.authorization, gateway.api_key)
        check_passthrough(scope["method"], scope["raw_path"])
        target = target_of(scope)
        check_length(head.length, gateway.settings.body_bytes_max)

        head.forward.append((b"authorization", authorization))
        if head.encoding:
            head.forward.append((b"content-encoding", head.encoding))
        upload = await self._upload(scope, receive, head)
        namespace = changes_namespace(scope["method"], scope["raw_path"])
        if gateway.cache is not None and namespace:
            answer = await self._voiding(
                gateway.cache, namespace, scope["method"], target, head, upload
            )
        else:
            answer = await self._send(scope["method"], target, head, upload)
        if isinstance(answer.body, bytes):
            await relay(send, answer)
            return
        gone = asyncio.ensure_future(_disconnect(receive)) if upload.complete else None
        try:
            await relay(send, answer, gone)
        finally:
            if gone is not None:
                gone.cancel()

    async def _send(self, method: str, target: str, head: Head, upload: "Upload") -> "Answer":
        return await self._gateway.exchange.send(
            method, target, head.forward, upload.body, upload.size, deed="passthrough"
        )

    async def _voiding(
        self,
        cache: "Store",
        namespace: bytes,
        method: str,
        target: str,
        head: Head,
        upload: "Upload",
    ) -> "Answer":
        """Send a request that may change any row of a namespace, and void what is cached of it."""
        sending = partial(self._send, method, target, head, upload)
        return await sent_between(cache, Touched(namespace, None), sending)

    async def _upload(self, scope: Any, receive: Any, head: Head) -> "Upload":
        bytes_max = self._gateway.settings.body_bytes_max
        silence = self._gateway.silence
        # HTTP/2 needs neither header to carry a body, so there one has to look.
        unknown = head.chunked or scope["http_version"].startswith("2")
        if head.length is None and not unknown:
            return Upload(None, None)
        if head.length is not None and head.length <= PASS_WHOLE_BYTES_MAX:
            body = await read_body(receive, head.length, bytes_max, silence)
            return Upload(bytes(body), len(body))
        pieces = stream_body(receive, bytes_max, silence)
        if head.length is None and not head.chunked:
            first = await anext(pieces, None)
            if first is None:
                return Upload(None, None)
            return Upload(_resumed(first, pieces), None)
        return Upload(pieces, head.length)


class Upload:
    """The body of a request that is passed on: none, whole, or still coming."""

    __slots__ = ("_pieces", "body", "complete", "size")

    def __init__(self, body: bytes | AsyncIterator[bytes] | None, size: int | None) -> None:
        self.size = size
        self.complete = body is None or isinstance(body, bytes)
        self.body = body if body is None or isinstance(body, bytes) else self._watched(body)

    async def _watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
        self.complete = True


async def _resumed(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _disconnect(receive: Any) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
