"""Callers that write through the shipped course of a write, and all that has to hold meanwhile."""

import asyncio
import dataclasses
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hevfast.app import cache_of
from hevfast.cache.memory import MemoryStore
from hevfast.cache.verdicts import Verdicts
from hevfast.cache.witness import NOBODY
from hevfast.core.clock import Clock
from hevfast.core.errors import GatewayError, UnsentError
from hevfast.edge.head import Head
from hevfast.namespaces.marker import Markers
from hevfast.observe.tally import Tally
from hevfast.observe.writes import Writes
from hevfast.reads.flights import Flight
from hevfast.routes.write import Write
from hevfast.settings import load
from tests.property.group.judge import Fate, Known, is_serial
from tests.property.group.upstream import Asked, Upstream, bad_of, refusal

if TYPE_CHECKING:
    from hevfast.upstream.answer import Answer

NAMESPACES = ("n", "m")
KEYS = (b"Bearer a", b"Bearer b", b"Bearer stranger")
WAIT_S = 4.0
# Turns of the loop after which nothing is left to do but to wait.
TURNS = 20


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time the test sets."""

    now_s = 1000.0

    def time(self) -> float:
        return self.now_s


@dataclasses.dataclass(frozen=True)
class Wish:
    """A write to be made."""

    namespace: int
    key: int
    ids: tuple[int, ...]
    bad: bool
    metric: bool


@dataclasses.dataclass(eq=False)
class Made:
    """A write under way, and what became of it."""

    name: int
    wish: Wish
    rows: list[dict[str, Any]]
    begun: int
    begun_s: float
    task: "asyncio.Task[Answer]" = dataclasses.field(init=False)
    ended: int = 0
    cancelled: int = 0
    asked: int = 0
    refused: bool = False
    # What upstream said to it last: a status, 0 if the answer was lost.
    heard: int = -1
    applied: int = 0
    landed: str = ""

    @property
    def kind(self) -> tuple[int, int, bool]:
        return self.wish.namespace, self.wish.key, self.wish.metric

    @property
    def fate(self) -> Fate:
        if self.task.cancelled():
            return Fate.UNKNOWN
        error = self.task.exception()
        if isinstance(error, UnsentError):
            return Fate.REFUSED
        if error is not None:
            return Fate.UNKNOWN
        status = self.task.result().status
        if status >= 500:
            return Fate.UNKNOWN
        return Fate.APPLIED if status == 200 else Fate.REFUSED


class World:
    def __init__(self, loop: Loop, inflight: int) -> None:
        self.loop = loop
        self.inflight = inflight
        self.moment = 0
        self.made: list[Made] = []
        self.billed = 0
        self.upstream = Upstream(self._comes, self._applies)
        settings = load(
            {
                "HEVFAST_COALESCE": "on",
                "HEVFAST_COALESCE_INFLIGHT": str(inflight),
                "HEVFAST_COALESCE_WAIT_MS": str(int(WAIT_S * 1000)),
                "HEVFAST_CACHE": "memory",
            }
        )
        cache = cache_of(settings, NOBODY)
        assert isinstance(cache, MemoryStore)
        cache._now_s = loop.time
        self.cache = cache
        gateway = SimpleNamespace(
            settings=settings,
            cache=cache,
            exchange=self.upstream,
            clock=Clock(),
            verdicts=Verdicts(),
            pressure=SimpleNamespace(note=lambda namespace: None),
            writes=Writes(Tally()),
            markers=Markers(),
            watermark=SimpleNamespace(
                begin=self._takes_off,
                flights=SimpleNamespace(end=self._lands),
                written=lambda namespace, authorization: None,
            ),
        )
        self.write = Write(gateway)  # type: ignore[arg-type]
        assert self.write.grouping is not None
        self.groups = self.write.grouping.groups

    # Steps

    async def begin(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            await self._begin(wish)

    async def _begin(self, wish: Wish) -> None:
        self.moment += 1
        name = len(self.made)
        key = KEYS[wish.key].decode()
        rows = [{"id": f"i{each}", "write": name, "key": key} for each in wish.ids]
        if wish.bad:
            rows[-1]["bad"] = True
        made = Made(name, wish, rows, self.moment, self.loop.time())
        self.made.append(made)
        namespace = NAMESPACES[wish.namespace]
        idle = not any(
            not other.task.done() for other in self.made[:-1] if self._shares_lane(other, made)
        )
        headers = [
            (b"x-request-id", b"%d" % name),
            (b"user-agent", b"t"),
            (b"accept-encoding", b"gzip"),
            (b"prefer", b"respond-async"),
        ]
        body: dict[str, Any] = {"upsert_rows": rows}
        if wish.metric:
            body["distance_metric"] = "cosine_distance"
        made.task = self.loop.create_task(
            self.write.apply(
                namespace.encode(),
                f"/v2/namespaces/{namespace}",
                Head(headers),
                KEYS[wish.key],
                json.dumps(body).encode(),
            )
        )
        made.task.add_done_callback(lambda _: self._ends(made))
        await self.settle()
        if idle:
            assert made.asked == 1, "nothing was in flight, and it did not leave at once"

    @staticmethod
    def _shares_lane(one: Made, other: Made) -> bool:
        return one.wish.namespace == other.wish.namespace

    async def end(self, place: int, how: str) -> None:
        if self.upstream.asked:
            self.moment += 1
            self.upstream.end(self.upstream.asked[place % len(self.upstream.asked)], how)
            await self.settle()

    async def race(self, ended: int, cancelled: int, turns: int) -> None:
        """End an exchange, and have a caller go so many turns of the loop later."""
        asked = self.upstream.asked
        if asked:
            self.moment += 1
            self.upstream.end(asked[ended % len(asked)], "judged")
            for _ in range(turns):
                await asyncio.sleep(0)
        await self.cancel(cancelled)

    async def cancel(self, place: int) -> None:
        running = [made for made in self.made if not made.task.done()]
        if running:
            self.moment += 1
            made = running[place % len(running)]
            made.cancelled = self.moment
            made.task.cancel()
            await self.settle()

    async def pass_time(self, seconds: float) -> None:
        # In steps, as timers would see it.
        for _ in range(8):
            self.loop.now_s += seconds / 8
            await self.settle()
        for made in self.made:
            if not made.asked and not made.task.done() and not made.cancelled:
                waited_s = self.loop.time() - made.begun_s
                assert waited_s <= WAIT_S * 1.25 + seconds / 8, f"{made.name} waits forever"

    async def settle(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self._check_hits()

    async def finish(self) -> None:
        """Let everything end, and judge it all."""
        await self.settle()
        for _ in range(8 * len(self.made) + 40):
            if all(made.task.done() for made in self.made):
                break
            await self.end(0, "judged")
            await self.pass_time(0.2)
        assert all(made.task.done() for made in self.made), "some writes never end"
        assert repr(self.groups) == "<Groups 0 lanes, 0 waiting>"
        await self.write.close()
        assert (self.groups.room.writes, self.groups.room.bytes) == (0, 0)
        assert not self.groups._tasks
        assert not self.groups._timers
        for made in self.made:
            self._check_answer(made)
            assert made.landed, "holds the watermark for ever"
        self._check_order()

    # What has to hold

    def _takes_off(self, namespace: bytes, *, keeps_stamps: bool) -> Flight:
        """The write that was begun last gets its stamp."""
        assert not keeps_stamps
        return Flight(Clock().now_ms(), self.made[-1].name, 0, False)

    def _lands(self, flight: Flight, *, known: bool) -> None:
        """A watermark may pass the stamp of a write that has ended, and is known to have."""
        made = self.made[flight.number]
        assert not made.landed, "ended twice"
        made.landed = "known" if known else "in doubt"

    def _comes(self, asked: Asked) -> None:
        """Upstream gets a request."""
        self.moment += 1
        here = [each for each in self.upstream.asked if each.namespace == asked.namespace]
        members = [self.made[name] for name in asked.writes]
        # One with an id twice is none of those that may go together, and is not counted.
        if not self._is_apart(members[0]):
            apart = [each for each in here if self._is_apart(self.made[each.writes[0]])]
            assert len(here) - len(apart) < self.inflight, "more in flight than may be"
        assert [row["id"] for row in asked.rows] == [
            row["id"] for made in members for row in made.rows
        ], "not whole writes"
        assert {row["key"].encode() for row in asked.rows} == {asked.key}, "another's key"
        assert len({made.kind for made in members}) == 1, "writes of several kinds"
        assert ("distance_metric" in asked.body) == members[0].wish.metric
        if len(members) > 1:
            ids = [row["id"] for row in asked.rows]
            assert len(set(ids)) == len(ids), "an id twice in one group"
            assert asked.headers[b"accept-encoding"] == b"identity"
            assert b"x-request-id" not in asked.headers
        else:
            assert asked.headers[b"x-request-id"] == b"%d" % members[0].name
        for made in members:
            assert not made.task.done(), "sent after its caller was told"
            assert not made.cancelled, "sent after its caller had gone"
            assert not made.asked or made.refused, "sent again, and nobody knows what became of it"
            assert not [each for each in here if made.name in each.writes], "sent twice"
            made.asked += 1
            made.refused = False
        firsts = [m for m in self.made if m.asked and m.kind == members[0].kind]
        waiting = [
            m
            for m in self.made
            if not m.asked and not m.task.done() and m.kind == members[0].kind and not m.cancelled
        ]
        latest = max((m.name for m in firsts if not self._is_apart(m)), default=-1)
        assert all(m.name > latest for m in waiting if not self._is_apart(m)), "overtaken"
        asked.answered.add_done_callback(lambda told: self._answered(asked, told))

    @staticmethod
    def _is_apart(made: Made) -> bool:
        return len(set(made.wish.ids)) < len(made.wish.ids)

    def _answered(self, asked: Asked, told: "asyncio.Future[Answer]") -> None:
        if told.cancelled():
            return
        heard = 0 if told.exception() is not None else told.result().status
        for name in asked.writes:
            self.made[name].heard = heard
            self.made[name].refused = heard == 400

    def _applies(self, asked: Asked) -> None:
        for name in asked.writes:
            made = self.made[name]
            assert not made.task.done(), "applied after its caller was told"
            assert made.landed != "known", "applied behind the watermark"
            made.applied += 1

    def _ends(self, made: Made) -> None:
        self.moment += 1
        made.ended = self.moment

    def _check_hits(self) -> None:
        """What the cache gives of rows that nobody writes is what upstream has."""
        for namespace in NAMESPACES:
            busy = {
                row["id"]
                for made in self.made
                if not made.task.done() and NAMESPACES[made.wish.namespace] == namespace
                for row in made.rows
            }
            for each in range(6):
                text = f"i{each}"
                hit = self.cache.hit(namespace.encode(), text.encode())
                if hit is not None and text not in busy:
                    row = self.upstream.rows.get((namespace, text), {})
                    assert json.loads(hit).get("write") == row.get("write"), "a stale hit"

    def _check_answer(self, made: Made) -> None:
        if made.task.cancelled():
            assert made.cancelled, "cancelled by nobody"
            assert made.applied <= 1
            return
        error = made.task.exception()
        if error is not None:
            assert isinstance(error, GatewayError), error
            if isinstance(error, UnsentError):
                assert made.applied == 0
                assert error.status == 429
                assert dict(error.headers)[b"retry-after"]
                assert not made.asked or made.heard == 400
            else:
                assert made.heard == 0, "a fault of its own, or another's"
            return
        told = made.task.result()
        assert told.status == made.heard
        assert isinstance(told.body, bytes)
        assert dict(told.headers)[b"content-length"] == b"%d" % len(told.body)
        if told.status == 200:
            assert made.applied == 1, f"{made.name} was answered 200, applied {made.applied} times"
            body = json.loads(told.body)
            assert made.name in body["group"], "another group's answer"
            assert body["rows_affected"] == body["rows_upserted"] == len(made.rows), "not its count"
            group = [self.made[name] for name in body["group"]]
            billed = body["billing"]["billable_logical_bytes_written"]
            all_of_it = 100 * sum(len(each.rows) for each in group)
            assert billed == (all_of_it if made is group[0] else 0), "billed to none or to many"
        elif told.status == 400:
            assert made.applied == 0
            assert told.body == refusal(bad_of(made.rows)), "not its own refusal"
            assert bad_of(made.rows), "refused for another's fault"
        elif told.status == 429:
            assert made.applied == 0

    def _check_order(self) -> None:
        for place, namespace in enumerate(NAMESPACES):
            writes = [
                Known(m.name, m.begun, m.ended, frozenset(row["id"] for row in m.rows), m.fate)
                for m in self.made
                if m.wish.namespace == place
            ]
            rows = {
                each: row["write"]
                for (space, each), row in self.upstream.rows.items()
                if space == namespace
            }
            assert is_serial(writes, rows), f"no order of {writes} gives {rows}"
