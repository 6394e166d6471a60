"""How far each namespace's index is: what handlers ask, and what they tell."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from hevfast.cache.cards import CardStore
from hevfast.core.clock import MS_PER_S, Clock
from hevfast.reads.board import Board
from hevfast.reads.flights import Flight, Flights
from hevfast.reads.mark import Mark
from hevfast.reads.peers import Peers
from hevfast.reads.rules import Intervals
from hevfast.reads.watcher import Watcher

if TYPE_CHECKING:
    from hevfast.core.headers import Headers
    from hevfast.settings import Settings
    from hevfast.upstream.exchange import Answer, Exchange

# Seconds that one question may take.
_ANSWER_S = 10.0

# Below HEVFAST_DATA_DIR.
FOLDER = "watermarks"


class Watermark:
    """The watermarks of all namespaces, shared by the workers of a host."""

    __slots__ = (
        "_board",
        "_doubt_s",
        "_exchange",
        "_folder",
        "_peers",
        "_watcher",
        "clock",
        "flights",
    )

    _board: Board

    def __init__(
        self,
        settings: "Settings",
        exchange: "Exchange",
        clock: Clock,
        cards: CardStore | None = None,
    ) -> None:
        self._folder = Path(settings.data_dir, FOLDER)
        self._doubt_s = settings.doubt_ms / MS_PER_S
        self._exchange = exchange
        self.clock = clock
        # Writes begin and end there.
        self.flights = Flights(clock, self._doubt_s)
        intervals = Intervals(
            settings.poll_interval_ms / MS_PER_S, settings.stable_poll_interval_ms / MS_PER_S
        )
        # By then whatever a host had in flight when it fell silent has ended.
        silent_s = settings.upstream_total_timeout_ms / MS_PER_S + self._doubt_s
        self._peers = Peers(cards, clock, silent_s, self._folder) if cards is not None else None
        self._watcher = Watcher(
            self._ask, clock, self.flights, intervals, settings.safety_margin_ms, self._peers
        )

    def __repr__(self) -> str:
        return f"<Watermark {self._watcher!r}>"

    async def open(self) -> None:
        """Open it in this worker, after the fork."""
        self._board = Board(self._folder, self.clock, self.flights, self._doubt_s)
        if self._peers is not None:
            await self._peers.open(self._board)
        self._watcher.open(self._board)

    async def close(self) -> None:
        await self._watcher.close()
        if self._peers is not None:
            await self._peers.close()
        self._board.close()

    def of(self, namespace: bytes) -> Mark:
        """Give what is known; needs no waiting. Never goes back while the namespace exists."""
        return self._board.marks.read(namespace)[0]

    def watch(self, namespace: bytes, authorization: bytes) -> None:
        """Ask upstream about this namespace from now on, with a key that it has just taken."""
        self._watcher.watch(namespace, authorization)

    def written(self, namespace: bytes, authorization: bytes) -> None:
        """Note that upstream has applied a write: its index has changed. As `watch`."""
        self._watcher.written(namespace, authorization)

    def begin(self, namespace: bytes, *, keeps_stamps: bool) -> Flight:
        """Begin a write and give its stamp. It ends in `flights`, however it ends."""
        flight = self.flights.begin(namespace, keeps_stamps=keeps_stamps)
        if keeps_stamps:
            # Its rows may be stamped below the watermark. Who was asking has not seen it in flight.
            self._restart(namespace, flight.now_ms + 1)
        return flight

    def forget(self, namespace: bytes) -> None:
        """Forget a namespace that was deleted."""
        self._restart(namespace, self.clock.now_ms() + 1)

    def _restart(self, namespace: bytes, from_ms: int) -> None:
        self._board.marks.restart(namespace, from_ms)
        if self._peers is not None:
            self._peers.restarted(namespace, from_ms)

    async def _ask(self, namespace: bytes, authorization: bytes) -> "Answer":
        headers: Headers = [(b"authorization", authorization), (b"accept-encoding", b"identity")]
        target = f"/v2/namespaces/{namespace.decode()}/metadata"
        asked = self._exchange.send("GET", target, headers, None, None, deed="index check")
        return await asyncio.wait_for(asked, _ANSWER_S)
