"""What a handler may reach."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hevfast.core.clock import Clock
    from hevfast.settings import Settings
    from hevfast.upstream.exchange import Exchange


class Gateway:
    """The settings and the resources of one worker, shared by all its requests."""

    __slots__ = ("api_key", "body_silence_s", "clock", "exchange", "settings")

    def __init__(self, settings: "Settings", exchange: "Exchange", clock: "Clock") -> None:
        self.settings = settings
        self.exchange = exchange
        self.clock = clock
        self.api_key = settings.api_key.encode() if settings.api_key is not None else None
        self.body_silence_s = settings.body_silence_ms / 1000

    def __repr__(self) -> str:
        return f"<Gateway {self.exchange!r}>"
