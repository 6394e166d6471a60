"""The composition root: settings, then resources, then the application. The table of contents."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.routing import Route, Router

from hevfast.batch.mirror import digest_of
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.store import Store
from hevfast.cache.verdicts import Verdicts
from hevfast.core.clock import MS_PER_S, Clock
from hevfast.edge.dispatch import Dispatch
from hevfast.edge.silence import Silence
from hevfast.gateway import Gateway
from hevfast.routes.documents import Documents
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
        settings,
        Exchange(settings),
        Clock(),
        Silence(settings.body_silence_ms / MS_PER_S),
        cache_of(settings),
        Verdicts(),
    )
    passthrough = Passthrough(gateway)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await gateway.exchange.open()
        if gateway.cache is not None:
            await gateway.cache.open()
        try:
            yield
        finally:
            if gateway.cache is not None:
                await gateway.cache.close()
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
    return Dispatch(router, Write(gateway), Documents(gateway))


def cache_of(settings: Settings) -> Store | None:
    """Choose the document cache."""
    if settings.cache == "off":
        return None
    doubt_s = settings.doubt_ms / MS_PER_S
    # A write waits for its connection, may take as long as an exchange may, and stays in doubt.
    lapse_s = 2 * settings.upstream_total_timeout_ms / MS_PER_S + doubt_s
    return LmdbStore(Path(settings.data_dir), settings.cache_bytes_max, lapse_s, doubt_s, digest_of)
