"""The composition root: settings, then resources, then the application. The table of contents."""

import contextlib
import gc
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from starlette.routing import Route, Router

from hevfast.batch.mirror import digest_of
from hevfast.cache.cards import CardStore
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.memory import MemoryStore
from hevfast.cache.merging import merged
from hevfast.cache.store import Store
from hevfast.cache.verdicts import Verdicts
from hevfast.cache.witness import Witness
from hevfast.core.clock import MS_PER_S, Clock
from hevfast.core.heap import keep_freed_blocks
from hevfast.core.names import StoreKind
from hevfast.edge.dispatch import Dispatch
from hevfast.edge.silence import Silence
from hevfast.gateway import Gateway
from hevfast.namespaces.marker import Markers
from hevfast.observe import catalogue
from hevfast.observe.exposition import Exposition
from hevfast.observe.fetches import Fetches
from hevfast.observe.incidents import Incidents
from hevfast.observe.queries import Queries
from hevfast.observe.stages import Stages
from hevfast.observe.tally import Tally
from hevfast.observe.writes import Writes
from hevfast.pipelines.lmdb_store import LmdbPipelines
from hevfast.pipelines.pressure import Pressure
from hevfast.pipelines.store import PipelineStore, Tell
from hevfast.reads.watermark import Watermark
from hevfast.routes.documents import Documents
from hevfast.routes.layer import Layer
from hevfast.routes.moves import StageCounts, count_moves
from hevfast.routes.ops import Health, Metrics, NotFound, Ready
from hevfast.routes.passthrough import Passthrough
from hevfast.routes.pipelines import Pipelines
from hevfast.routes.query import Query
from hevfast.routes.write import Write
from hevfast.settings import Settings, load, metrics_folder
from hevfast.upstream.exchange import Exchange

# Objects made and not freed between two looks of the collector.
_OBJECTS_BETWEEN_LOOKS = 20_000


def build() -> Dispatch:
    """Build the application from the environment; the server calls this in each worker."""
    keep_freed_blocks()
    application = compose(load(), Path(folder) if (folder := metrics_folder()) else None)
    # What there is by now stays. The collector would go through it again and again in the midst of
    # bulk writes, and hold up the loop for five milliseconds each time.
    gc.freeze()
    # What a request makes is freed with its last reference; looking for circles among what those
    # under way hold, every 700 objects, took 3 us of each write.
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, 20, 50)
    return application


def compose(settings: Settings, metrics: Path | None = None) -> Dispatch:
    """Build the application for the given settings.

    `metrics`: the folder in which the workers keep their counts; None: there is only this one.
    The resources live in `gateway`, opened and closed by the lifespan: sockets belong to the
    event loop they were opened in.
    """
    tally = Tally(metrics)
    stages = Stages(tally)
    pipelines = pipelines_of(settings, partial(count_moves, stages))
    gateway = gateway_of(settings, tally, stages, pipelines)
    write = Write(gateway)
    watch(tally, gateway, write)
    passthrough = Passthrough(gateway)
    layer = Layer(gateway, passthrough, write, Path(settings.data_dir) / "jobs")
    staged = Pipelines(gateway, pipelines, write)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await gateway.exchange.open()
        await gateway.watermark.open()
        if gateway.cache is not None:
            await gateway.cache.open()
        await pipelines.open()
        tally.open()
        try:
            yield
        finally:
            tally.close()
            await layer.close()
            await staged.close()
            await write.close()
            await gateway.pressure.close()
            await pipelines.close()
            if gateway.cache is not None:
                await gateway.cache.close()
            await gateway.watermark.close()
            await gateway.exchange.close()

    router = Router(
        routes=[
            Route("/health", Health(gateway)),
            Route("/ready", Ready(gateway)),
            Route("/metrics", Metrics(Exposition(tally, StageCounts(pipelines, tally)))),
            Route("/openapi.json", layer.surface),
            Route("/v1", layer.surface),
            Route("/v1/{rest:path}", layer.surface),
            Route("/v2/{rest:path}", layer.surface),
        ],
        # A redirect would make clients repeat a request under a path that was refused.
        redirect_slashes=False,
        default=NotFound(),
        lifespan=lifespan,
    )
    query = Query(gateway, passthrough, Queries(tally))
    return Dispatch(router, write, Documents(gateway), query, staged)


def gateway_of(
    settings: Settings, tally: Tally, stages: Stages, pipelines: PipelineStore
) -> Gateway:
    """Gather what the routes share, none of it open yet."""
    exchange, clock = Exchange(settings), Clock()
    return Gateway(
        settings,
        exchange,
        clock,
        Silence(settings.body_silence_ms / MS_PER_S),
        cache_of(settings, Incidents(tally)),
        Verdicts(),
        pipelines,
        Pressure(pipelines),
        Writes(tally),
        Fetches(tally, settings.aerospike_set_prefix),
        stages,
        Markers(),
        Watermark(settings, exchange, clock, cards_of(settings)),
    )


def watch(tally: Tally, gateway: Gateway, write: Write) -> None:
    """Have shown what is as it is."""
    if write.grouping is not None:
        groups = write.grouping.groups
        tally.watch(catalogue.GROUPS, lambda: groups.sent_groups)
        tally.watch(catalogue.GROUPED, lambda: groups.sent_writes)
        tally.watch(catalogue.GROUPS_WAITING, lambda: groups.room.writes)
    tally.watch(catalogue.TPUF_INFLIGHT, lambda: gateway.exchange.inflight)
    if (cache := gateway.cache) is None:
        return
    tally.watch(catalogue.BREAKER_OPEN, lambda: cache.condition().breaker_open)
    tally.watch(catalogue.DOUBTFUL, lambda: cache.condition().doubtful)
    tally.watch(catalogue.PENDING, lambda: cache.condition().owed)
    if cache.condition().kind is StoreKind.AEROSPIKE:
        state = catalogue.AEROSPIKE_STATE
        tally.watch(catalogue.AEROSPIKE_INFLIGHT, lambda: cache.condition().calls)
        tally.watch(state, lambda: cache.condition().connected is True, "open")
        tally.watch(state, lambda: cache.condition().connected is False, "failed")


def cache_of(settings: Settings, witness: Witness) -> Store | None:
    """Choose the document cache."""
    chosen = settings.cache_in_force
    if chosen == "off":
        return None
    doubt_s = settings.doubt_ms / MS_PER_S
    # A write waits for its connection, may take as long as an exchange may, and stays in doubt.
    lapse_s = 2 * settings.upstream_total_timeout_ms / MS_PER_S + doubt_s
    # Before that it may wait to be sent with others.
    lapse_s += settings.coalesce_wait_ms / MS_PER_S if settings.coalesce == "on" else 0.0
    if chosen == "memory":
        return MemoryStore(
            settings.cache_bytes_max,
            lapse_s=lapse_s,
            doubt_s=doubt_s,
            digest_of=digest_of,
            merge=merged,
            witness=witness,
        )
    if chosen == "aerospike":
        # Imported here, because its client takes a while and most gateways have no cluster.
        from hevfast.cache.aerospike_store import AerospikeStore
        from hevfast.cache.course import Mode

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
            mode=Mode(settings.cache_unreachable),
            witness=witness,
        )
    folder, bytes_max = Path(settings.data_dir), settings.cache_bytes_max
    return LmdbStore(folder, bytes_max, lapse_s, doubt_s, digest_of, witness)


def cards_of(settings: Settings) -> CardStore | None:
    """Choose where hosts tell each other of writes in flight; nowhere if each is alone."""
    if settings.cache_in_force != "aerospike":
        return None
    from hevfast.cache.aerospike_peers import AerospikePeers

    return AerospikePeers(
        _hosts(settings.aerospike_hosts or ""),
        settings.aerospike_registry_namespace or settings.aerospike_namespace,
        settings.aerospike_set_prefix,
        settings.aerospike_cluster_name or "",
    )


def pipelines_of(settings: Settings, tell: Tell) -> PipelineStore:
    """Choose the store of pipelines: shared where the document cache is, else the host's own."""
    if settings.cache_in_force == "aerospike":
        from hevfast.pipelines.aerospike_store import AerospikePipelines

        return AerospikePipelines(
            _hosts(settings.aerospike_hosts or ""),
            settings.aerospike_registry_namespace or settings.aerospike_namespace,
            set_prefix=settings.aerospike_set_prefix,
            cluster_name=settings.aerospike_cluster_name or "",
            tell=tell,
        )
    return LmdbPipelines(Path(settings.data_dir), settings.pipelines_bytes_max, tell=tell)


def _hosts(text: str) -> list[tuple[str, int]]:
    pairs = [each.rsplit(":", 1) for each in text.split(",")]
    return [(host, int(port)) for host, port in pairs]
