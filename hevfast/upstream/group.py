"""Group commit: small writes that come while one of their namespace is in flight go as one.

The rules are in `lane.py`; here are the tasks, the timers and the callers that wait.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Final, Generic, TypeVar

from hevfast.core.clock import MS_PER_S
from hevfast.core.errors import GatewayError, UnsentError
from hevfast.core.limits import GROUP_DRAIN_S, GROUP_QUEUES_WRITES_MAX, GROUP_TOLD_AT_ONCE
from hevfast.settings import Settings
from hevfast.upstream.answer import Answer
from hevfast.upstream.lane import Joining, Lane, Room, is_refused_for_rows, parts_of

# Looks within the longest wait. One is ended at most this fraction of it late.
_LOOKS: Final = 8

_RETRY_AFTER: Final = ((b"retry-after", b"1"),)
_PUSHED_BACK: Final = (429, 503)

_GIVEN_UP: Final = "Turbopuffer write failed: it was given up while it was under way."

M = TypeVar("M", bound=Joining)

Send = Callable[[], Awaitable[Answer]]
# A write as it goes with others: what it shares with them, itself, and how it goes alone.
Joined = tuple[Hashable, M, Send]


class Waiter(Generic[M]):
    """A caller that waits for the answer of its group, or for its turn to go alone: None."""

    __slots__ = ("alone", "future", "key", "member", "since_s", "task")

    def __init__(
        self, joined: Joined[M], future: "asyncio.Future[Answer | None]", now_s: float
    ) -> None:
        self.key, self.member, self.alone = joined
        self.future = future
        self.since_s = now_s
        # That sends its group; until then it can leave and nothing has happened.
        self.task: asyncio.Task[None] | None = None

    @property
    def gone(self) -> bool:
        return self.future.done()

    @property
    def has_turn(self) -> bool:
        future = self.future
        return (
            future.done()
            and not future.cancelled()
            and future.exception() is None
            and future.result() is None
        )

    def tell(self, answer: Answer | None) -> None:
        if not self.future.done():
            self.future.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    async def outlive(self) -> None:
        """Wait until its group has ended, whoever wants to hurry this.

        A write that was sent may be applied until then, so only then may the cache be told that it
        has ended and its outcome is not known.
        """
        while self.task is not None and not self.task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([self.task])


class Groups(Generic[M]):
    """The writes of one worker that may go together.

    `together` sends one write for several members of one key; `shares` divides its answer, 2xx,
    among them.
    """

    def __init__(
        self,
        settings: Settings,
        together: Callable[[Any, list[M]], Awaitable[Answer]],
        shares: Callable[[Answer, list[M]], list[Answer]],
    ) -> None:
        self._together = together
        self._shares = shares
        self._inflight_max = settings.coalesce_inflight
        self._bytes_max = settings.coalesce_bytes_max
        self._wait_s = settings.coalesce_wait_ms / MS_PER_S
        # Namespaces with a write in flight. One that is idle is not remembered.
        self._lanes: dict[bytes, Lane[Waiter[M]]] = {}
        self._timers: dict[bytes, asyncio.TimerHandle] = {}
        self._watch: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self.room = Room()
        # Groups sent, and the writes in them.
        self.sent_groups = 0
        self.sent_writes = 0

    def __repr__(self) -> str:
        return f"<Groups {len(self._lanes)} lanes, {self.room.writes} waiting>"

    async def send(
        self, namespace: bytes, alone: Send, join: Callable[[], Joined[M] | None]
    ) -> Answer:
        """Send a write, with others of its key if one of the namespace is in flight.

        With nothing in flight it leaves at once, by `alone`, in the caller's own task. Otherwise
        `join` says how it goes with others; None: not at all, and it leaves at once, too.

        Raises: UnsentError if too much waits already or it has waited for too long; what sending
        raises.
        """
        lane = self._lanes.get(namespace)
        if lane is None:
            lane = self._lanes[namespace] = Lane(self._inflight_max, self.room)
        begun_s = asyncio.get_running_loop().time()
        if lane.free(begun_s):
            lane.started(begun_s)
        else:
            joined = join()
            if joined is None:
                return await alone()
            answer = await self._turn(namespace, lane, joined)
            if answer is not None:
                return answer
            alone = joined[2]
            begun_s = asyncio.get_running_loop().time()
        try:
            answer = await alone()
            if answer.status < 300:
                lane.took(asyncio.get_running_loop().time() - begun_s)
            return answer
        finally:
            self._ended(namespace, lane)

    async def _turn(
        self, namespace: bytes, lane: Lane[Waiter[M]], joined: Joined[M]
    ) -> Answer | None:
        """Wait for the answer of its group; None: it has to go alone, and is in flight now."""
        loop = asyncio.get_running_loop()
        self._admit(lane, len(joined[1].body))
        waiter: Waiter[M] = Waiter(joined, loop.create_future(), loop.time())
        lane.add(waiter)
        if not lane.full:
            self._advance(namespace, lane)
        if self._watch is None:
            self._watch = loop.call_later(self._wait_s / _LOOKS, self._look)
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.has_turn:
                self._ended(namespace, lane)
            await waiter.outlive()
            raise

    async def close(self) -> None:
        """Wait until all that waits has been sent and answered, but not for ever."""
        try:
            async with asyncio.timeout(GROUP_DRAIN_S):
                while self._lanes:
                    self._emptied = asyncio.Event()
                    await self._emptied.wait()
        except TimeoutError:
            self._give_up()
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for timer in [*self._timers.values(), self._watch]:
            if timer is not None:
                timer.cancel()

    def _admit(self, lane: Lane[Waiter[M]], size: int) -> None:
        room = self.room
        if (
            not lane.fits(size)
            or room.writes >= GROUP_QUEUES_WRITES_MAX
            or room.bytes + size > self._bytes_max
        ):
            raise _unsent("Too many writes wait for Turbopuffer already")

    def _give_up(self) -> None:
        """Send nothing more of what waits."""
        now_s = asyncio.get_running_loop().time()
        for lane in self._lanes.values():
            for waiter in lane.expire(now_s + 1):
                waiter.fail(_unsent("The gateway stops"))

    # What comes next

    def _advance(self, namespace: bytes, lane: Lane[Waiter[M]]) -> None:
        """Start the groups whose time has come, and see to it that the next one's does."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        while (due_s := lane.due_s(now_s)) is not None:
            if due_s > 0:
                if namespace not in self._timers:
                    self._timers[namespace] = loop.call_later(due_s, self._due, namespace, lane)
                return
            group = lane.take()
            if not group:
                break
            lane.started(now_s)
            if len(group) == 1:
                group[0].tell(None)
                continue
            task = loop.create_task(self._run(namespace, lane, group))
            self._tasks.add(task)
            for waiter in group:
                waiter.task = task
        if lane.idle and self._lanes.get(namespace) is lane:
            del self._lanes[namespace]
            if not self._lanes:
                self._emptied.set()
            if timer := self._timers.pop(namespace, None):
                timer.cancel()

    def _due(self, namespace: bytes, lane: Lane[Waiter[M]]) -> None:
        del self._timers[namespace]
        self._advance(namespace, lane)

    def _ended(self, namespace: bytes, lane: Lane[Waiter[M]]) -> None:
        lane.ended()
        self._advance(namespace, lane)

    def _look(self) -> None:
        """Send away those that have waited for too long."""
        loop = asyncio.get_running_loop()
        for namespace, lane in list(self._lanes.items()):
            for waiter in lane.expire(loop.time() - self._wait_s):
                waiter.fail(_late())
            self._advance(namespace, lane)
        self._watch = None
        if self.room.writes:
            self._watch = loop.call_later(self._wait_s / _LOOKS, self._look)

    # One group

    async def _run(self, namespace: bytes, lane: Lane[Waiter[M]], group: list[Waiter[M]]) -> None:
        """Send a group, and its parts again as long as upstream refuses them."""
        left: list[Sequence[Waiter[M]]] = [group]
        halvings = 0
        in_flight = True
        try:
            while left:
                part = self._still_waiting(left.pop(), first=not halvings)
                if not part:
                    continue
                try:
                    answer = await self._ask(lane, part)
                except Exception as error:
                    _fail(part, error)
                    continue
                if len(part) > 1 and is_refused_for_rows(answer.status):
                    left.extend(reversed(parts_of(part, halvings)))
                    halvings += 1
                    continue
                if not left:
                    # The next group goes while this one is told.
                    in_flight = False
                    self._ended(namespace, lane)
                await self._tell(part, answer)
        except BaseException as error:
            _fail(group, GatewayError("upstream_error", _GIVEN_UP))
            if isinstance(error, asyncio.CancelledError):
                # The loop is about to end, and nothing could see another group through.
                self._give_up()
            raise
        finally:
            if in_flight:
                self._ended(namespace, lane)
            task = asyncio.current_task()
            assert task is not None
            self._tasks.discard(task)

    async def _ask(self, lane: Lane[Waiter[M]], part: list[Waiter[M]]) -> Answer:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        if len(part) == 1:
            answer = await part[0].alone()
        else:
            self.sent_groups += 1
            self.sent_writes += len(part)
            answer = await self._together(part[0].key, [each.member for each in part])
        if answer.status < 300:
            lane.took(loop.time() - begun_s)
        return answer

    def _still_waiting(self, part: Sequence[Waiter[M]], *, first: bool) -> list[Waiter[M]]:
        """Leave out who has gone; what is sent again must not have waited for too long, either."""
        if not first:
            before_s = asyncio.get_running_loop().time() - self._wait_s
            for waiter in part:
                if waiter.since_s < before_s:
                    waiter.fail(_late())
        return [waiter for waiter in part if not waiter.gone]

    async def _tell(self, part: list[Waiter[M]], answer: Answer) -> None:
        if len(part) == 1:
            if part[0].gone and not isinstance(answer.body, bytes):
                await answer.body.aclose()
            part[0].tell(answer)
            return
        if answer.status < 300:
            answers = self._shares(answer, [each.member for each in part])
        else:
            answers = [_relayed(answer) for _ in part]
        for n, (waiter, share) in enumerate(zip(part, answers, strict=True), 1):
            waiter.tell(share)
            if n % GROUP_TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)


def _relayed(answer: Answer) -> Answer:
    """Give the answer to a group as that to one of its members; nothing in it is divided."""
    headers = list(answer.headers)
    if answer.status in _PUSHED_BACK and not any(name == b"retry-after" for name, _ in headers):
        # They would all be back at once.
        headers.extend(_RETRY_AFTER)
    return Answer(answer.status, headers, answer.body)


def _fail(part: Sequence[Waiter[M]], error: Exception) -> None:
    for waiter in part:
        # Each its own: what is raised in many places gathers the frames of all of them.
        own = error.again() if isinstance(error, GatewayError) else error
        waiter.fail(own)


def _unsent(why: str) -> UnsentError:
    return UnsentError(
        "too_many_requests", f"{why}; nothing was sent, send it again.", headers=_RETRY_AFTER
    )


def _late() -> UnsentError:
    return _unsent("The write has waited for too long behind others of its namespace")
