"""When writes of one namespace go, and which of them together: rules that are told the time."""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from hevfast.core.limits import (
    GROUP_BYTES_MAX,
    GROUP_HALVINGS_MAX,
    GROUP_PAUSE_S_MIN,
    GROUP_QUEUE_BYTES_MAX,
    GROUP_QUEUE_WRITES_MAX,
    GROUP_ROWS_MAX,
    GROUP_WRITES_MAX,
)

# How much one write's time weighs in the average.
_WEIGHT: Final = 0.2

# Answers that judge what all of a group have in common, and not its rows: key and right. The same
# would be said to each of them.
_OF_ALL: Final = (401, 403)
# The two of the 4xx that do not say that nothing was applied, or that nothing should be sent now.
_NOT_OF_ROWS: Final = (408, 429)


class Joining(Protocol):
    """What a lane knows of a write. Two that share a digest may write the same row."""

    @property
    def body(self) -> bytes: ...
    @property
    def rows_count(self) -> int: ...
    @property
    def digests(self) -> bytes: ...


class Waiting(Protocol):
    """A caller that waits."""

    @property
    def key(self) -> Hashable:
        """Only writes of one key may go together."""

    @property
    def member(self) -> Joining: ...
    @property
    def since_s(self) -> float: ...
    @property
    def gone(self) -> bool:
        """Nobody waits any more."""


class Room:
    """What waits: writes and the bytes of their bodies. For all lanes together there is one."""

    __slots__ = ("bytes", "writes")

    def __init__(self) -> None:
        self.writes = 0
        self.bytes = 0

    def take(self, size: int) -> None:
        self.writes += 1
        self.bytes += size

    def give(self, size: int) -> None:
        self.writes -= 1
        self.bytes -= size


W = TypeVar("W", bound=Waiting)


class Lane(Generic[W]):
    """The writes of one namespace: those in flight are counted, those behind them wait.

    What waits is first in, first out among writes of one key; keys have their turns, so that no
    caller keeps the others waiting. Nothing is said of the order between writes that were under
    way at once, and callers can only know an order of those that were not.
    """

    __slots__ = ("_inflight_max", "_queues", "_room", "_started_s", "_took_s", "inflight", "room")

    def __init__(self, inflight_max: int, room_of_all: Room) -> None:
        self._inflight_max = inflight_max
        self._room = room_of_all
        self._queues: dict[Hashable, deque[W]] = {}
        self._started_s = 0.0
        self._took_s = 0.0
        self.inflight = 0
        self.room = Room()

    def __repr__(self) -> str:
        return f"<Lane {self.inflight} in flight, {self.room.writes} waiting>"

    @property
    def idle(self) -> bool:
        return not self.inflight and not self._queues

    @property
    def full(self) -> bool:
        """Whether as much is in flight as may be."""
        return self.inflight >= self._inflight_max

    def free(self, now_s: float) -> bool:
        """Tell whether a write may leave at once."""
        return not self._queues and not self.full and not self._pause_s(now_s)

    def fits(self, size: int) -> bool:
        """Tell whether one more may wait."""
        room = self.room
        return room.writes < GROUP_QUEUE_WRITES_MAX and room.bytes + size <= GROUP_QUEUE_BYTES_MAX

    def add(self, waiter: W) -> None:
        queue = self._queues.get(waiter.key)
        if queue is None:
            queue = self._queues[waiter.key] = deque()
        queue.append(waiter)
        size = len(waiter.member.body)
        self.room.take(size)
        self._room.take(size)

    def due_s(self, now_s: float) -> float | None:
        """Give the seconds until the next group may start; None if none can or none waits."""
        if self.full or not self._queues:
            return None
        return self._pause_s(now_s)

    def take(self) -> list[W]:
        """Take out the next group: empty if nobody is left who waits.

        It ends before an id that is in it already, which upstream would refuse.
        """
        while self._queues:
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            group = self._cut(queue)
            if queue:
                self._queues[key] = queue
            if group:
                return group
        return []

    def expire(self, before_s: float) -> list[W]:
        """Take out those that have waited since before that."""
        late: list[W] = []
        for key, queue in list(self._queues.items()):
            while queue and queue[0].since_s < before_s:
                late.append(self._pop(queue))
            if not queue:
                del self._queues[key]
        return late

    def started(self, now_s: float) -> None:
        self.inflight += 1
        self._started_s = now_s

    def took(self, seconds: float) -> None:
        """Learn how long upstream takes for a write."""
        self._took_s += (seconds - self._took_s) * (_WEIGHT if self._took_s else 1.0)

    def ended(self) -> None:
        self.inflight -= 1

    def _pause_s(self, now_s: float) -> float:
        """Give the seconds until a start is not too close behind the last one.

        Writes that start together end together, and all that comes in meanwhile waits for a whole
        write; so starts are spread over the time one takes. With nothing in flight nothing waits.
        """
        pause_s = self._took_s / self._inflight_max
        if not self.inflight or self._inflight_max == 1 or pause_s < GROUP_PAUSE_S_MIN:
            return 0.0
        return max(0.0, self._started_s + pause_s - now_s)

    def _cut(self, queue: deque[W]) -> list[W]:
        group: list[W] = []
        ids: set[int] = set()
        rows = size = 0
        while queue and len(group) < GROUP_WRITES_MAX:
            waiter = queue[0]
            if not waiter.gone:
                member = waiter.member
                rows += member.rows_count
                size += len(member.body)
                digests = memoryview(member.digests).cast("I")
                if group and (
                    rows > GROUP_ROWS_MAX or size > GROUP_BYTES_MAX or not ids.isdisjoint(digests)
                ):
                    break
                ids.update(digests)
                group.append(waiter)
            self._pop(queue)
        return group

    def _pop(self, queue: deque[W]) -> W:
        waiter = queue.popleft()
        size = len(waiter.member.body)
        self.room.give(size)
        self._room.give(size)
        return waiter


def is_refused_for_rows(status: int) -> bool:
    """Tell whether nothing of a group was applied for what may be the fault of one member."""
    return 400 <= status < 500 and status not in _OF_ALL and status not in _NOT_OF_ROWS


def parts_of(refused: Sequence[W], halvings: int) -> list[Sequence[W]]:
    """Give what to send, in this order, in place of a group that was refused.

    Two halves: a few bad writes among many are found with few more writes, and the good ones still
    go together. When that has been done so many times, one by one.
    """
    if halvings < GROUP_HALVINGS_MAX:
        middle = len(refused) // 2
        return [refused[:middle], refused[middle:]]
    return [[each] for each in refused]
