"""What the hosts that share a cluster tell each other of their writes in flight: cards.

Each host leaves a card each tick: the time, then, looked for after that, the smallest stamps in
flight. Whatever that host stamps or has in flight from then on is not below either, so a watermark
stays below all cards. A host that joins stamps from then on not below the cards that are there: any
watermark that was given before is below them.

A host that cannot reach the cluster leaves no card, and after a while counts as gone; one that goes
on writing all the same is not seen by the others then.
"""

import fcntl
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hevfast.cache.cards import Cards, CardStore, SharedMark
from hevfast.core.clock import Clock, monotonic_s
from hevfast.reads.board import Board
from hevfast.reads.flights import BUCKETS
from hevfast.reads.mark import Mark, Standing

_CARD: Final = struct.Struct(f">{1 + BUCKETS}Q")
_NAME_BYTES: Final = 16


class Card(NamedTuple):
    """A host's word: nothing of its is stamped below `low_ms(bucket)` any more."""

    noted_ms: int
    floors_ms: tuple[int, ...]

    def low_ms(self, bucket: int) -> int:
        return min(self.noted_ms, self.floors_ms[bucket])


class Peers:
    """One worker's view. `silent_s`: a host whose card has lain so long has no write in flight."""

    def __init__(self, store: CardStore, clock: Clock, silent_s: float, folder: Path,
                 now_s: Callable[[], float] = monotonic_s) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._silent_s = silent_s
        self._folder = folder
        self._now_s = now_s
        self._epoch = b""
        # When this epoch was first seen.
        self._since_s = 0.0
        # Cards as they were first seen, and since when.
        self._since: dict[bytes, tuple[bytes, float]] = {}
        self._joined = False
        # What is to be shown: of the namespaces watched here, so it is bounded as they are.
        self._learnt: dict[bytes, SharedMark] = {}
        self._leads: int | None = None

    def __repr__(self) -> str:
        return f"<Peers {len(self._since)} hosts, {'leading' if self._leads else 'following'}>"

    async def open(self, board: Board) -> None:
        """Join before the first stamp is taken; a cluster that is away is joined later."""
        self._board = board
        self._name = _name_in(self._folder)
        await self._store.open()
        await self.lows()

    async def close(self) -> None:
        await self._store.close()
        if self._leads is not None:
            os.close(self._leads)

    async def lows(self) -> Sequence[int] | None:
        """Leave the host's card; give, for each bucket, the smallest that a host has or will have.

        None: that cannot be known now.
        """
        card = self._card() if self._is_leader() else None
        found = await self._store.exchange(self._name, card, self._gone())
        if found is None:
            self._joined = False
            return None
        self._take_in(found)
        if found.young and card is not None and self._now_s() > self._since_s + self._silent_s:
            await self._store.mature(found.epoch)
        return self._judged(found)

    async def share(self, namespaces: Sequence[bytes]) -> None:
        """Show what was learnt here since the last time, and learn what others have."""
        learnt, self._learnt = self._learnt, {}
        if learnt:
            await self._store.show(learnt)
        if not namespaces:
            return
        marks = self._board.marks
        for namespace, shared in (await self._store.marks(namespaces)).items():
            moment = marks.read(namespace)[0].stable_as_of
            if moment is not None and moment < shared.restarted_ms:
                marks.restart(namespace, self._clock.now_ms())
            valid = shared.moment_ms and shared.moment_ms >= shared.restarted_ms
            mark = Mark(shared.moment_ms if valid else None, Standing(shared.standing))
            marks.raise_to(namespace, mark, shared.asked_ms)

    def learnt(self, namespace: bytes, mark: Mark, asked_ms: int) -> None:
        """Take in what is to be shown."""
        restarted_ms = self._learnt.get(namespace, SharedMark()).restarted_ms
        shared = SharedMark(mark.stable_as_of or 0, asked_ms, mark.standing, restarted_ms)
        self._learnt[namespace] = shared

    def restarted(self, namespace: bytes, from_ms: int) -> None:
        self._learnt[namespace] = SharedMark(asked_ms=from_ms, restarted_ms=from_ms)

    def _judged(self, found: Cards) -> Sequence[int] | None:
        cards = {name: _unpacked(card) for name, card in found.cards.items()}
        if self._name not in cards:
            self._joined = False
            return None
        others = [card.noted_ms for name, card in cards.items() if name != self._name]
        if not self._joined and others:
            self._clock.reach(min(others))
        self._joined = True
        if found.young:
            return None
        return [min(card.low_ms(bucket) for card in cards.values()) for bucket in range(BUCKETS)]

    def _take_in(self, found: Cards) -> None:
        now_s = self._now_s()
        if found.epoch != self._epoch:
            self._epoch, self._since_s = found.epoch, now_s
        self._since = {
            name: self._since[name] if self._since.get(name, (b"",))[0] == card else (card, now_s)
            for name, card in found.cards.items()
        }

    def _gone(self) -> list[bytes]:
        """Name the hosts that have been silent for too long."""
        before_s = self._now_s() - self._silent_s
        return [
            name
            for name, (_, since_s) in self._since.items()
            if since_s < before_s and name != self._name
        ]

    def _card(self) -> bytes:
        """Write the card: the time first, then the workers there are, then their flights."""
        noted_ms = self._clock.now_ms()
        self._board.look()
        floors_ms = [self._board.floor_ms(bucket) for bucket in range(BUCKETS)]
        return _CARD.pack(noted_ms, *floors_ms)

    def _is_leader(self) -> bool:
        """See whether this worker speaks for its host: who holds the lock does, until it ends."""
        if self._leads is not None:
            return True
        file = os.open(self._folder / "leader", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._leads = file
        return True


def _unpacked(card: bytes) -> Card:
    noted_ms, *floors_ms = _CARD.unpack(card)
    return Card(noted_ms, tuple(floors_ms))


def _name_in(folder: Path) -> bytes:
    """Give the host's name: drawn once, and kept with its files."""
    path = folder / "host"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        name = path.read_bytes()
        if len(name) == _NAME_BYTES:
            return name
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    with os.fdopen(file, "wb") as opened:
        opened.write(os.urandom(_NAME_BYTES))
    return path.read_bytes()
