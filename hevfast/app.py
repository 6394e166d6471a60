"""The composition root: settings, then resources, then the application. The table of contents."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.routing import Route, Router

from hevfast.core.clock import MS_PER_S, Clock
from hevfast.edge.dispatch import Dispatch
from hevfast.edge.silence import Silence
from hevfast.gateway import Gateway
from hevfast.routes.ops import Health, NotFound, Ready
from hevfast.routes.passthrough import Passthrough
from hevfast.routes.write import Write
from hevfast.settings import Settings, load
from hevfast.upstream.exchange import Exchange


def build() -> Dispatch:
    """Build the application from the environment; the server calls this in each worker."""
    return compose(load())


def compose(settings: Settings) -> Dispatch:
    """Build the application for the given settings.

    The resources live in `gateway`, opened and closed by the lifespan: sockets belong to the
    event loop they were opened in.
    """
    gateway = Gateway(
        settings, Exchange(settings), Clock(), Silence(settings.body_silence_ms / MS_PER_S)
    )
    passthrough = Passthrough(gateway)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await gateway.exchange.open()
        try:
            yield
        finally:
            await gateway.exchange.close()

    router = Router(
        routes=[
            Route("/health", Health()),
            Route("/ready", Ready(gateway)),
            Route("/v1", passthrough),
            Route("/v1/{rest:path}", passthrough),
            Route("/v2/namespaces", passthrough),
            Route("/v2/namespaces/{rest:path}", passthrough),
        ],
        # A redirect would make clients repeat a request under a path that was refused.
        redirect_slashes=False,
        default=NotFound(),
        lifespan=lifespan,
    )
    return Dispatch(router, Write(gateway))
