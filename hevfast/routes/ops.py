"""Routes for those who run the gateway: is it alive, does it want requests."""

import os
from typing import TYPE_CHECKING, Any

from hevfast import __version__
from hevfast.core.errors import GatewayError
from hevfast.edge.reply import reply_error, reply_json

if TYPE_CHECKING:
    from hevfast.gateway import Gateway

_OK = {"status": "ok", "version": __version__}
_ALLOW = ((b"allow", b"GET, HEAD"),)


class Health:
    """Answers 200 as long as the process can answer at all."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _check_method(scope)
        await reply_json(send, 200, _OK)


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


class NotFound:
    """Answers every path that no route has."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise GatewayError("not_found", "No such path.")


def _check_method(scope: Any) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise GatewayError(
            "method_not_allowed",
            "Only GET and HEAD are allowed on this path.",
            headers=_ALLOW,
        )
