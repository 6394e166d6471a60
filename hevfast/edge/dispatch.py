"""The first thing a request meets: the write route by a path test, the rest by the router."""

from collections.abc import Awaitable, Callable
from typing import Any

from hevfast.core.errors import AnswerTornError, GatewayError
from hevfast.core.paths import (
    PIPELINES_PREFIX,
    Document,
    fetched_document,
    is_write,
    queried_namespace,
)
from hevfast.edge.reply import reply_error, without_body
from hevfast.observe.access_log import log_failure, log_fault, log_torn

App = Callable[[Any, Any, Any], Awaitable[None]]
Fetch = Callable[[Any, Any, Any, Document], Awaitable[None]]
Query = Callable[[Any, Any, Any, bytes], Awaitable[None]]


class Dispatch:
    """The ASGI application. Every error of a request is turned into its answer here."""

    __slots__ = ("_documents", "_pipelines", "_query", "_router", "_write")

    def __init__(
        self, router: App, write: App, documents: Fetch, query: Query, pipelines: App
    ) -> None:
        self._router = router
        self._write = write
        self._documents = documents
        self._query = query
        self._pipelines = pipelines

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        method, path = scope["method"], scope["raw_path"]
        if method == "HEAD":
            send = without_body(send)
        try:
            # The raw path, because only it shows how the caller spelled what he asked for. The
            # router is passed by: it would cost more than everything else on this route.
            if is_write(method, path):
                await self._write(scope, receive, send)
            elif document := fetched_document(method, path):
                await self._documents(scope, receive, send, document)
            elif namespace := queried_namespace(method, path):
                await self._query(scope, receive, send, namespace)
            elif path.startswith(PIPELINES_PREFIX):
                await self._pipelines(scope, receive, send)
            else:
                await self._router(scope, receive, send)
        except GatewayError as error:
            log_failure(scope, error)
            await reply_error(send, error)
        except AnswerTornError as error:
            # Leaving without an end to the body makes the server close the connection, which
            # is how the client learns that the answer is not complete.
            log_torn(scope, error)
        except Exception as fault:
            log_fault(scope, fault)
            await reply_error(send, GatewayError("internal_error", "The gateway has a fault."))
