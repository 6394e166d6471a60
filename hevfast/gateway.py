"""What a handler may reach."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hevfast.core.clock import Clock
    from hevfast.edge.silence import Silence
    from hevfast.settings import Settings
    from hevfast.upstream.exchange import Exchange


class Gateway:
    """The settings and the resources of one worker, shared by all its requests."""

    __slots__ = ("api_key", "clock", "exchange", "settings", "silence")

    def __init__(
        self, settings: "Settings", exchange: "Exchange", clock: "Clock", silence: "Silence"
    ) -> None:
        self.settings = settings
        self.exchange = exchange
        self.clock = clock
        self.api_key = settings.api_key.encode() if settings.api_key is not None else None
        self.silence = silence

    def __repr__(self) -> str:
        return f"<Gateway {self.exchange!r}>"
