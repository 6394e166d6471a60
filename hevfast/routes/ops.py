"""Routes for those who run the gateway: is it alive, does it want requests."""

import os
from typing import TYPE_CHECKING, Any

from hevfast import __version__
from hevfast.core.errors import GatewayError
from hevfast.core.names import StoreKind
from hevfast.edge.reply import SERVER, reply_error, reply_json
from hevfast.observe.exposition import CONTENT_TYPE

if TYPE_CHECKING:
    from hevfast.cache.witness import Condition
    from hevfast.gateway import Gateway
    from hevfast.observe.exposition import Exposition

_OK = {"status": "ok", "version": __version__}
_ALLOW = ((b"allow", b"GET, HEAD"),)


class Health:
    """Answers 200 as long as the process can answer at all, and says how the cache is.

    The store is not asked: one that hangs must not make this worker look dead.
    """

    __slots__ = ("_gateway",)

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _check_method(scope)
        cache = self._gateway.cache
        await reply_json(send, 200, {**_OK, "cache": _told(cache.condition() if cache else None)})


class Ready:
    """Answers 503 while the drain marker exists, so that no new requests are sent here."""

    __slots__ = ("_marker",)

    def __init__(self, gateway: "Gateway") -> None:
        self._marker = gateway.settings.drain_marker_path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _check_method(scope)
        # One stat call on a local file, less than a thread switch would cost.
        if not os.path.exists(self._marker):  # noqa: ASYNC240
            await reply_json(send, 200, _OK)
            return
        error = GatewayError(
            "gateway_draining",
            "The gateway is about to stop; use another one.",
            fields={"status": "draining", "version": __version__},
        )
        await reply_error(send, error)


class Metrics:
    """Answers with the counts of all workers, whichever is asked."""

    __slots__ = ("_exposition",)

    def __init__(self, exposition: "Exposition") -> None:
        self._exposition = exposition

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _check_method(scope)
        try:
            pieces = await self._exposition.pieces()
        except OSError as error:
            raise GatewayError(
                "service_unavailable", f"The counts cannot be read now: {error}."
            ) from error
        length = b"%d" % sum(map(len, pieces))
        headers = [SERVER, (b"content-type", CONTENT_TYPE), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class NotFound:
    """Answers every path that no route has."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise GatewayError("not_found", "No such path.")


def _told(condition: "Condition | None") -> dict[str, Any]:
    """Say how the cache is."""
    if condition is None:
        return {"store": StoreKind.OFF, "state": "off"}
    told: dict[str, Any] = {
        "store": condition.kind,
        "state": "degraded" if condition.degraded else "ok",
        "breaker": "open" if condition.breaker_open else "closed",
    }
    if condition.connected is not None:
        told["connected"] = condition.connected
    return told


def _check_method(scope: Any) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise GatewayError(
            "method_not_allowed",
            "Only GET and HEAD are allowed on this path.",
            headers=_ALLOW,
        )
