"""The composition root: settings, then resources, then the application. The table of contents."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.routing import Route, Router

from hevfast.batch.mirror import digest_of
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.memory import MemoryStore
from hevfast.cache.merging import merged
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
    chosen = settings.cache_in_force
    if chosen == "off":
        return None
    doubt_s = settings.doubt_ms / MS_PER_S
    # A write waits for its connection, may take as long as an exchange may, and stays in doubt.
    lapse_s = 2 * settings.upstream_total_timeout_ms / MS_PER_S + doubt_s
    if chosen == "memory":
        return MemoryStore(
            settings.cache_bytes_max,
            lapse_s=lapse_s,
            doubt_s=doubt_s,
            digest_of=digest_of,
            merge=merged,
        )
    if chosen == "aerospike":
        # Imported here, because its client takes a while and most gateways have no cluster.
        from hevfast.cache.aerospike_store import AerospikeStore

        return AerospikeStore(
            _hosts(settings.aerospike_hosts or ""),
            settings.aerospike_namespace,
            lapse_s=lapse_s,
            doubt_s=doubt_s,
            digest_of=digest_of,
            merge=merged,
            registry_namespace=settings.aerospike_registry_namespace,
            set_prefix=settings.aerospike_set_prefix,
            cluster_name=settings.aerospike_cluster_name or "",
        )
    return LmdbStore(Path(settings.data_dir), settings.cache_bytes_max, lapse_s, doubt_s, digest_of)


def _hosts(text: str) -> list[tuple[str, int]]:
    pairs = [each.rsplit(":", 1) for each in text.split(",")]
    return [(host, int(port)) for host, port in pairs]
