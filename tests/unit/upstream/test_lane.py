"""When the writes of a namespace go, and which together."""

import dataclasses
import random
from collections.abc import Sequence

import pytest

from hevfast.core.limits import (
    GROUP_BYTES_MAX,
    GROUP_HALVINGS_MAX,
    GROUP_QUEUE_BYTES_MAX,
    GROUP_QUEUE_WRITES_MAX,
    GROUP_ROWS_MAX,
    GROUP_WRITES_MAX,
)
from hevfast.upstream.lane import Lane, Room, is_refused_for_rows, parts_of


@dataclasses.dataclass
class Body:
    body: bytes
    rows_count: int
    digests: bytes


@dataclasses.dataclass
class Caller:
    name: int
    member: Body
    key: str = "k"
    since_s: float = 0.0
    gone: bool = False


def caller(
    name: int, *, rows: int = 1, size: int = 10, key: str = "k", since_s: float = 0
) -> Caller:
    digests = b"".join((name * 10_000 + n).to_bytes(4, "little") for n in range(rows))
    return Caller(name, Body(bytes(size), rows, digests), key, since_s)


def lane_of(*callers: Caller, inflight_max: int = 1) -> Lane[Caller]:
    lane: Lane[Caller] = Lane(inflight_max, Room())
    for each in callers:
        lane.add(each)
    return lane


def names(group: Sequence[Caller]) -> list[int]:
    return [each.name for each in group]


def test_with_nothing_in_flight_a_write_leaves_at_once() -> None:
    lane = lane_of(inflight_max=4)
    lane.took(10.0)
    lane.started(100.0)
    lane.ended()
    assert lane.free(100.0)
    assert lane.idle


def test_with_one_allowed_there_is_no_pause_behind_it() -> None:
    lane = lane_of(caller(1))
    lane.took(0.15)
    lane.started(100.0)
    assert lane.due_s(101.0) is None
    lane.ended()
    assert lane.due_s(100.0) == 0.0


def test_starts_are_spread_over_the_time_a_write_takes() -> None:
    lane = lane_of(inflight_max=4)
    lane.started(100.0)
    assert lane.free(100.0), "nothing is known of upstream yet"
    lane.took(0.2)
    assert not lane.free(100.04)
    assert lane.free(100.051)
    lane.add(caller(1))
    assert lane.due_s(100.04) == pytest.approx(0.01)
    assert lane.due_s(100.06) == 0.0
    assert not lane.free(100.06), "others were there before"


def test_pauses_that_nobody_would_notice_are_not_made() -> None:
    lane = lane_of(inflight_max=4)
    lane.took(0.0079)
    lane.started(100.0)
    assert lane.free(100.0)


def test_what_upstream_takes_is_an_average_that_follows() -> None:
    lane = lane_of(inflight_max=2)
    lane.took(1.0)
    for _ in range(40):
        lane.took(0.1)
    lane.started(100.0)
    assert not lane.free(100.049)
    assert lane.free(100.0502)


@pytest.mark.parametrize(
    ("callers", "first"),
    [
        ([caller(n) for n in range(GROUP_WRITES_MAX + 3)], GROUP_WRITES_MAX),
        ([caller(n, rows=GROUP_ROWS_MAX // 4) for n in range(6)], 4),
        ([caller(n, size=GROUP_BYTES_MAX // 16) for n in range(20)], 16),
        ([caller(1), caller(2), caller(1), caller(3)], 2),
        ([caller(1, rows=GROUP_ROWS_MAX), caller(2)], 1),
    ],
)
def test_a_group_is_bounded_and_takes_the_oldest(callers: list[Caller], first: int) -> None:
    lane = lane_of(*callers)
    assert names(lane.take()) == names(callers[:first])
    assert names(lane.take())[:1] == names(callers[first : first + 1])


def test_keys_have_their_turns() -> None:
    lane = lane_of(*(caller(n, key="ab"[n % 2]) for n in range(GROUP_WRITES_MAX * 4)))
    turns = [lane.take()[0].key for _ in range(4)]
    assert turns == ["a", "b", "a", "b"]
    assert lane.take() == []


def test_who_has_gone_is_left_out_and_takes_no_room() -> None:
    callers = [caller(n) for n in range(4)]
    lane = lane_of(*callers)
    callers[0].gone = callers[2].gone = True
    assert names(lane.take()) == [1, 3]
    assert (lane.room.writes, lane.room.bytes) == (0, 0)


def test_what_waits_is_bounded_in_writes_and_bytes() -> None:
    lane = lane_of(*(caller(n) for n in range(GROUP_QUEUE_WRITES_MAX - 1)))
    assert lane.fits(10)
    lane.add(caller(9_999))
    assert not lane.fits(10)
    lane = lane_of(caller(1, size=GROUP_QUEUE_BYTES_MAX - 10))
    assert lane.fits(10)
    assert not lane.fits(11)


def test_room_of_all_lanes_is_counted_together_and_given_back() -> None:
    room = Room()
    lanes: list[Lane[Caller]] = [Lane(1, room) for _ in range(2)]
    for n, lane in enumerate(lanes):
        lane.add(caller(n, size=100, since_s=n))
    assert (room.writes, room.bytes) == (2, 200)
    assert names(lanes[0].expire(0.5)) == [0]
    assert names(lanes[1].expire(0.5)) == []
    assert (room.writes, room.bytes) == (1, 100)
    lanes[1].take()
    assert (room.writes, room.bytes) == (0, 0)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_what_may_be_one_members_fault_is_sent_again(status: int) -> None:
    assert is_refused_for_rows(status)


@pytest.mark.parametrize("status", [200, 202, 301, 401, 403, 408, 429, 500, 502, 503])
def test_what_is_of_all_or_may_be_applied_is_not_sent_again(status: int) -> None:
    assert not is_refused_for_rows(status)


@pytest.mark.parametrize("size", [2, 3, 100, GROUP_WRITES_MAX])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_a_refused_group_is_sent_again_in_order_in_boundedly_many_writes(
    size: int, share: float
) -> None:
    draw = random.Random(size)
    callers = [caller(n) for n in range(size)]
    bad = {n for n in range(size) if draw.random() < share} or {size - 1}
    left: list[Sequence[Caller]] = [callers]
    applied, refused, writes, halvings = [], [], 0, 0
    while left:
        part = left.pop()
        writes += 1
        if not bad & set(names(part)):
            applied += names(part)
        elif len(part) == 1:
            refused += names(part)
        else:
            left.extend(reversed(parts_of(part, halvings)))
            halvings += 1
    assert sorted([*applied, *refused]) == list(range(size))
    assert applied == sorted(applied)
    assert set(refused) == bad
    assert writes <= size + 2 * GROUP_HALVINGS_MAX + 1
    if len(bad) == 1:
        assert writes <= 2 * size.bit_length() + 1
