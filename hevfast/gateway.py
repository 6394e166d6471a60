"""What a handler may reach."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hevfast.cache.store import Store
    from hevfast.cache.verdicts import Verdicts
    from hevfast.core.clock import Clock
    from hevfast.edge.silence import Silence
    from hevfast.namespaces.marker import Markers
    from hevfast.observe.fetches import Fetches
    from hevfast.observe.stages import Stages
    from hevfast.observe.writes import Writes
    from hevfast.pipelines.pressure import Pressure
    from hevfast.pipelines.store import PipelineStore
    from hevfast.reads.watermark import Watermark
    from hevfast.settings import Settings
    from hevfast.upstream.exchange import Exchange


class Gateway:
    """The settings and the resources of one worker, shared by all its requests."""

    __slots__ = (
        "api_key",
        "cache",
        "clock",
        "exchange",
        "fetches",
        "markers",
        "pipelines",
        "pressure",
        "settings",
        "silence",
        "stages",
        "verdicts",
        "watermark",
        "writes",
    )

    def __init__(
        self,
        settings: "Settings",
        exchange: "Exchange",
        clock: "Clock",
        silence: "Silence",
        cache: "Store | None",
        verdicts: "Verdicts",
        pipelines: "PipelineStore",
        pressure: "Pressure",
        writes: "Writes",
        fetches: "Fetches",
        stages: "Stages",
        markers: "Markers",
        watermark: "Watermark",
    ) -> None:
        self.settings = settings
        self.exchange = exchange
        self.clock = clock
        self.api_key = settings.api_key.encode() if settings.api_key is not None else None
        self.silence = silence
        # None: no document cache is configured.
        self.cache = cache
        self.verdicts = verdicts
        self.pipelines = pipelines
        self.pressure = pressure
        # What is counted of them.
        self.writes = writes
        self.fetches = fetches
        self.stages = stages
        self.markers = markers
        self.watermark = watermark

    def __repr__(self) -> str:
        return f"<Gateway {self.exchange!r}>"
