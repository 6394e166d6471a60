"""All that the gateway answers itself below `/v1` and `/v2`, but for writes, fetches and pipelines.

What the table of routes does not hold is Turbopuffer's and passed on, or is nobody's.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from hevfast.core.errors import GatewayError
from hevfast.core.paths import check_passthrough
from hevfast.core.routes import ANY, How, Row, methods, names_in
from hevfast.edge.auth import authorize
from hevfast.edge.head import Head
from hevfast.edge.reply import relay
from hevfast.namespaces.asking import RefusedError
from hevfast.routes.call import Visit

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.routes.passthrough import Passthrough

Handler = Callable[[Visit], Awaitable[None]]

_UPSTREAM: Final = (b"/v1/", b"/v2/namespaces/")


class Surface:
    """Finds who answers a request. `handlers`: by the name of the route."""

    __slots__ = ("_gateway", "_handlers", "_passthrough")

    def __init__(
        self, gateway: "Gateway", passthrough: "Passthrough", handlers: Mapping[str, Handler]
    ) -> None:
        self._gateway = gateway
        self._passthrough = passthrough
        self._handlers = handlers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path: bytes = scope["raw_path"]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        rows = methods(path)
        row = rows.get(ANY) or rows.get(method)
        if row is None or row.name not in self._handlers:
            await self._elsewhere(scope, receive, send, rows)
            return
        head = Head(scope["headers"])
        authorization = b""
        if not row.open:
            authorization = authorize(head.authorization, self._gateway.api_key)
        if _is_upstreams(path):
            check_passthrough(scope["method"], path)
        visit = Visit(scope, receive, send, head, authorization, names_in(path, row.template))
        try:
            await self._handlers[row.name](visit)
        except RefusedError as refused:
            # What upstream said of the caller's key or namespace is his answer.
            await relay(send, refused.answer)

    async def _elsewhere(
        self, scope: Any, receive: Any, send: Any, rows: Mapping[str, Row]
    ) -> None:
        if _is_upstreams(scope["raw_path"]) and _may_pass(rows):
            await self._passthrough(scope, receive, send)
            return
        authorize(Head(scope["headers"]).authorization, self._gateway.api_key)
        if not rows:
            raise GatewayError("not_found", "No such path.")
        allowed = ", ".join(sorted([*rows, "HEAD"] if "GET" in rows else rows))
        raise GatewayError(
            "method_not_allowed",
            f"{scope['method'][:32]} is not allowed on this path; allowed: {allowed}.",
            headers=((b"allow", allowed.encode()),),
        )


def _is_upstreams(path: bytes) -> bool:
    return path.startswith(_UPSTREAM) or path in (b"/v1", b"/v2/namespaces")


def _may_pass(rows: Mapping[str, Row]) -> bool:
    """Tell whether other methods of a path may be Turbopuffer's.

    Where it has one of its own it may get more; a path that is Layer's alone it does not know.
    """
    return all(row.how is How.RELAYED or row.name in _SHARED for row in rows.values())


# Routes of ours on paths that Turbopuffer has, or may have, too.
_SHARED: Final = frozenset(
    {
        "write_namespace",
        "delete_namespace",
        "start_copy",
        "get_namespace_metadata",
        "hint_cache_warm",
        "import_namespace",
        "list_namespaces",
    }
)
