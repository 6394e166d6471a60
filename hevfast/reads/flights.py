"""The stamps of one worker's writes that upstream may still commit, on a page that others read.

A page holds one number a bucket of namespaces: the smallest such stamp, or `NONE`. Namespaces that
share a bucket hold each other's watermark back for as long as a write takes, which does no harm.
"""

import zlib
from array import array
from typing import Final, NamedTuple

from hevfast.core.clock import Clock, Numbers, monotonic_s
from hevfast.reads.rules import NONE, SOON

BUCKETS: Final = 256

# Seconds. Writes in doubt of one bucket are kept together if they lapse within as long, so that
# an upstream that sheds load fills no memory.
_TOGETHER_S: Final = 1.0


def bucket_of(namespace: bytes) -> int:
    return zlib.crc32(namespace) % BUCKETS


class Flight(NamedTuple):
    """A write from its stamp to the moment when upstream has committed it, or never will."""

    now_ms: int
    number: int
    bucket: int
    # Rows that it copies keep the stamps that they had.
    keeps_stamps: bool


class _Doubt:
    """Writes whose outcome is unknown: until when, and the smallest of their stamps."""

    __slots__ = ("first_until_s", "floor_ms", "until_s")

    def __init__(self, floor_ms: int, until_s: float) -> None:
        self.floor_ms = floor_ms
        self.first_until_s = until_s
        self.until_s = until_s


class Flights:
    """Gives the stamps. `doubt_s`: how long upstream may apply a write whose answer was lost.

    Cost: 1.3 us a write, both calls.
    """

    __slots__ = ("_clock", "_copies", "_doubt_s", "_doubts", "_held", "_numbers", "_page")

    def __init__(self, clock: Clock, doubt_s: float) -> None:
        self._clock = clock
        self._doubt_s = doubt_s
        self._page: Numbers = array("Q", [NONE]) * BUCKETS
        # Of each bucket, stamps by the number of the flight: in the order of both.
        self._held: list[dict[int, int]] = [{} for _ in range(BUCKETS)]
        self._copies = [0] * BUCKETS
        self._doubts: dict[int, list[_Doubt]] = {}
        self._numbers = 0

    def __repr__(self) -> str:
        flying = sum(map(len, self._held))
        return f"<Flights {flying} in flight, {sum(map(len, self._doubts.values()))} doubts>"

    def show_on(self, page: Numbers) -> None:
        """Show from now on on this page, whose numbers are all `NONE`."""
        for bucket in range(BUCKETS):
            page[bucket] = self._page[bucket]
        self._page = page

    def begin(self, namespace: bytes, *, keeps_stamps: bool = False) -> Flight:
        """Take a stamp. It is shown that one is about to be taken before it is."""
        bucket = bucket_of(namespace)
        held = self._held[bucket]
        if keeps_stamps:
            self._copies[bucket] += 1
        alone = not held
        if alone or keeps_stamps:
            self._page[bucket] = SOON
        now_ms = self._clock.now_ms()
        number = self._numbers = self._numbers + 1
        held[number] = now_ms
        # Another in flight has a smaller stamp, which stands there already.
        if alone:
            self._show(bucket)
        return Flight(now_ms, number, bucket, keeps_stamps)

    def end(self, flight: Flight, *, known: bool) -> None:
        """End a write whose outcome is known, or leave it in doubt."""
        bucket = flight.bucket
        del self._held[bucket][flight.number]
        if not known:
            self._doubt(flight)
        if flight.keeps_stamps:
            self._copies[bucket] -= 1
        self._show(bucket)

    def settle(self) -> None:
        """Let go of what upstream cannot apply any more."""
        now_s = monotonic_s()
        for bucket, doubts in list(self._doubts.items()):
            left = [doubt for doubt in doubts if doubt.until_s > now_s]
            if left:
                self._doubts[bucket] = left
            else:
                del self._doubts[bucket]
            self._show(bucket)

    def _doubt(self, flight: Flight) -> None:
        until_s = monotonic_s() + self._doubt_s
        floor_ms = SOON if flight.keeps_stamps else flight.now_ms
        doubts = self._doubts.setdefault(flight.bucket, [])
        if doubts and until_s - doubts[-1].first_until_s < _TOGETHER_S:
            doubts[-1].until_s = until_s
            doubts[-1].floor_ms = min(doubts[-1].floor_ms, floor_ms)
        else:
            doubts.append(_Doubt(floor_ms, until_s))

    def _show(self, bucket: int) -> None:
        floor_ms = next(iter(self._held[bucket].values()), NONE)
        if self._copies[bucket]:
            floor_ms = SOON
        if bucket in self._doubts:
            floor_ms = min(floor_ms, *(doubt.floor_ms for doubt in self._doubts[bucket]))
        self._page[bucket] = floor_ms
