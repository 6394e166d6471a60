"""Faults planted in the watermark, one at a time, each with a case in which it must show."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from hevfast.reads import flights as flights_module
from hevfast.reads import peers as peers_module
from hevfast.reads import watcher as watcher_module
from hevfast.reads.flights import Flight, Flights, bucket_of
from hevfast.reads.mark import Mark, Standing
from hevfast.reads.peers import Card, Peers
from hevfast.reads.rules import NONE, Observation, advanced, standing_of
from hevfast.reads.watcher import Watcher
from tests.model.watermark_cases import BY_NAME, Case
from tests.model.watermark_world import Board, WorkerClock

Patches = Callable[[], AbstractContextManager[Any]]


class WatermarkPlant(NamedTuple):
    name: str
    where: Case
    patches: Patches


WATERMARK_PLANTS: list[WatermarkPlant] = []


def plant(case: str) -> Callable[[Patches], None]:
    def register(patches: Patches) -> None:
        WATERMARK_PLANTS.append(WatermarkPlant(patches.__name__, BY_NAME[case], patches))

    return register


@plant("two workers")
def stamp_is_taken_before_it_is_shown() -> AbstractContextManager[Any]:
    def begin(self: Flights, namespace: bytes, *, keeps_stamps: bool = False) -> Flight:
        bucket = bucket_of(namespace)
        now_ms = self._clock.now_ms()
        self._numbers += 1
        self._held[bucket][self._numbers] = now_ms
        self._show(bucket)
        return Flight(now_ms, self._numbers, bucket, keeps_stamps)

    return patch.object(Flights, "begin", begin)


@plant("two of one worker")
def end_hides_the_other_in_flight() -> AbstractContextManager[Any]:
    def end(self: Flights, flight: Flight, *, known: bool) -> None:
        del self._held[flight.bucket][flight.number]
        self._page[flight.bucket] = NONE

    return patch.object(Flights, "end", end)


@plant("lost")
def lost_write_counts_as_ended() -> AbstractContextManager[Any]:
    return patch.object(Flights, "_doubt", lambda self, flight: None)


@plant("lost")
def doubt_lapses_at_once() -> AbstractContextManager[Any]:
    def settle(self: Flights) -> None:
        for bucket in list(self._doubts):
            del self._doubts[bucket]
            self._show(bucket)

    return patch.object(Flights, "settle", settle)


@plant("copy")
def copied_stamps_count_as_new() -> AbstractContextManager[Any]:
    begin = Flights.begin
    return patch.object(Flights, "begin", lambda self, ns, *, keeps_stamps: begin(self, ns))


@plant("copy, lost")
def lost_copy_is_held_by_its_own_time() -> AbstractContextManager[Any]:
    doubt = Flights._doubt
    return patch.object(
        Flights, "_doubt", lambda self, flight: doubt(self, flight._replace(keeps_stamps=False))
    )


@plant("copy")
def mark_is_kept_when_a_copy_begins() -> AbstractContextManager[Any]:
    return patch.object(Board, "restart", lambda self, namespace, from_ms: None)


@plant("crash")
def the_dead_are_forgotten_at_once() -> AbstractContextManager[Any]:
    def look(self: Board) -> None:
        self.world.stop()
        self.seen = [page for page in self.world.pages if page.dead_since_ms is None]

    return patch.object(Board, "look", look)


@plant("two workers")
def flights_are_looked_at_before_the_time_is_noted() -> AbstractContextManager[Any]:
    tick = Watcher.tick

    def early(self: Watcher) -> None:
        floor_ms = self._board.floor_ms(0)
        with patch.object(self._board, "floor_ms", lambda bucket: floor_ms):
            tick(self)

    return patch.object(Watcher, "tick", early)


@plant("two workers")
def time_is_noted_after_the_answer() -> AbstractContextManager[Any]:
    def late(mark: Mark, seen: Observation, margin_ms: int) -> Mark:
        noted_ms = int(flights_module.monotonic_s())
        return advanced(mark, seen._replace(noted_ms=noted_ms), margin_ms)

    return patch.object(watcher_module, "advanced", late)


@plant("two workers")
def stamps_in_flight_do_not_count() -> AbstractContextManager[Any]:
    return patch.object(
        watcher_module,
        "advanced",
        lambda mark, seen, margin_ms: advanced(mark, seen._replace(floor_ms=NONE), margin_ms),
    )


@plant("two workers")
def smallest_stamp_in_flight_is_within() -> AbstractContextManager[Any]:
    return patch.object(
        watcher_module,
        "advanced",
        lambda mark, seen, margin_ms: advanced(
            mark, seen._replace(floor_ms=seen.floor_ms + 1), margin_ms
        ),
    )


@plant("two workers")
def no_margin_is_kept() -> AbstractContextManager[Any]:
    return patch.object(
        watcher_module, "advanced", lambda mark, seen, margin_ms: advanced(mark, seen, 0)
    )


@plant("two workers")
def index_that_lags_counts_as_caught_up() -> AbstractContextManager[Any]:
    def hopeful(metadata: bytes) -> Standing:
        return max(standing_of(metadata), Standing.STABLE)

    return patch.object(watcher_module, "standing_of", hopeful)


@plant("two watchers")
def an_older_observation_sets_the_mark_back() -> AbstractContextManager[Any]:
    def blunt(self: Board, namespace: bytes, mark: Mark, asked_ms: int) -> None:
        self.world.mark = mark

    def forgetful(mark: Mark, seen: Observation, margin_ms: int) -> Mark:
        return advanced(Mark(), seen, margin_ms)

    class Both:
        def __enter__(self) -> None:
            self.patches = [
                patch.object(Board, "raise_to", blunt),
                patch.object(watcher_module, "advanced", forgetful),
            ]
            for each in self.patches:
                each.start()

        def __exit__(self, *_: object) -> None:
            for each in self.patches:
                each.stop()

    return Both()


@plant("two hosts")
def cards_of_other_hosts_do_not_count() -> AbstractContextManager[Any]:
    tick = Watcher.tick
    return patch.object(Watcher, "tick", lambda self, lows_ms: tick(self))


@plant("two hosts")
def card_tells_of_the_time_alone() -> AbstractContextManager[Any]:
    return patch.object(Card, "low_ms", lambda self, bucket: self.noted_ms)


@plant("two hosts, lost")
def card_tells_of_flights_alone() -> AbstractContextManager[Any]:
    return patch.object(Card, "low_ms", lambda self, bucket: self.floors_ms[bucket])


@plant("two hosts")
def card_looks_at_flights_before_the_time_is_noted() -> AbstractContextManager[Any]:
    def card(self: Peers) -> bytes:
        floor_ms = self._board.floor_ms(0)
        return peers_module._CARD.pack(self._clock.now_ms(), floor_ms)

    return patch.object(Peers, "_card", card)


@plant("a host joins")
def host_that_joins_goes_by_its_own_clock() -> AbstractContextManager[Any]:
    return patch.object(WorkerClock, "reach", lambda self, moment_ms: None)
