"""The load: clients that write and fetch the same few rows, by every worker."""

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tests.history.bodies import Draft, Drafter
from tests.history.judge import Judge
from tests.history.line import Line, LostError, Reply
from tests.history.truth import Space

if TYPE_CHECKING:
    import itertools

# Share of requests that are fetches, and of those that ask for several rows.
_FETCHES: Final = 0.62
_BATCHES: Final = 0.25
# Share of writes that are followed at once by a fetch of one of their rows, by any worker.
_READ_BACK: Final = 0.4
# Share of requests that go over a new connection, so that a new worker gets its part.
_RENEWED: Final = 0.03
# Share of writes whose client leaves before the answer.
_LEFT: Final = 0.01
_LEAVE_S: Final = 0.03

# Seconds. Pauses of a client, so that rows come to rest now and then.
_REST: Final = 0.04
_REST_S: Final = 0.15

# Seconds. Longest pause after a lost connection.
_LOST_S: Final = 0.05


class Lines:
    """One client's connections: one to each worker, as far as it has met them."""

    def __init__(self, port: int, generator: random.Random) -> None:
        self._port = port
        self._random = generator
        self._lines: dict[int, Line] = {}

    def __contains__(self, worker: int) -> bool:
        return worker in self._lines

    def any(self, worker: int | None = None) -> Line:
        """Give a connection; if a worker is named, one to it or a new one."""
        if worker in self._lines:
            return self._lines.pop(worker)
        if worker is not None or not self._lines or self._random.random() < _RENEWED:
            return Line(self._port)
        return self._lines.pop(self._random.choice(list(self._lines)))

    def put_back(self, line: Line) -> None:
        other = self._lines.pop(line.worker, None)
        if other is not None:
            other.close()
        self._lines[line.worker] = line

    def close(self) -> None:
        for line in self._lines.values():
            line.close()


class Client:
    """Writes and fetches; tells the judge of all it does."""

    def __init__(
        self, judge: Judge, port: int, numbers: "itertools.count[int]", generator: random.Random
    ) -> None:
        self.lines = Lines(port, generator)
        self.drafter = Drafter(generator)
        self._judge = judge
        self._numbers = numbers
        self._random = generator
        self._spaces = list(judge.truth.spaces.values())

    async def run(self, until: float) -> None:
        try:
            await self._load(until)
        finally:
            # An open connection would hold up the gateway's end.
            self.lines.close()

    async def _load(self, until: float) -> None:
        while time.monotonic() < until and self._judge.violation is None:
            space = self._random.choice(self._spaces)
            if self._random.random() < _FETCHES:
                texts = self.drafter.hot(space, 5 if self._random.random() < _BATCHES else 1)
                await self.fetch(space, texts)
            else:
                await self._write_something(space)
            if self._random.random() < _REST:
                await asyncio.sleep(self._random.uniform(0, _REST_S))

    async def _write_something(self, space: Space) -> None:
        number = next(self._numbers)
        draft = self.drafter.write(space, number)
        if self._random.random() < _LEFT:
            await self._write_and_leave(space, draft, number)
        elif await self.write(space, draft, number) and self._random.random() < _READ_BACK:
            await self.fetch(space, [self._random.choice(draft.texts)])

    async def write(
        self, space: Space, draft: Draft, number: int, worker: int | None = None
    ) -> bool:
        """Send a write; tell whether it was answered 200. `worker`: by which one, if possible."""
        pasts = [space.pasts[text] for text in draft.texts]
        method, target = _write_target(space, draft, number)
        line = self.lines.any(worker)
        self._judge.sent(number, pasts, f"{draft.what} {draft.body}")
        reply = await self._ask(line, method, target, draft.body)
        if reply is None:
            self._judge.lost(number, pasts)
            return False
        self._judge.answered(number, pasts, reply.status, line.worker)
        return reply.status == 200

    async def _write_and_leave(self, space: Space, draft: Draft, number: int) -> None:
        pasts = [space.pasts[text] for text in draft.texts]
        line = self.lines.any()
        self._judge.sent(number, pasts, f"{draft.what} {draft.body}, and its client leaves")
        self._judge.counts["clients that left"] += 1
        try:
            await line.send(*_write_target(space, draft, number), draft.body)
            await asyncio.sleep(self._random.uniform(0, _LEAVE_S))
        except OSError:
            pass
        line.close()
        self._judge.lost(number, pasts)

    async def fetch(
        self, space: Space, texts: list[str], worker: int | None = None
    ) -> Reply | None:
        """Fetch one row by its path, several by a batch. `worker`: by which one, if possible."""
        base = f"/v2/namespaces/{space.name}/documents"
        line = self.lines.any(worker)
        views = self._judge.view(space.name, texts)
        sent_ns = time.monotonic_ns()
        if len(texts) == 1:
            reply = await self._ask(line, "GET", f"{base}/{quote(texts[0])}")
        else:
            reply = await self._ask(line, "POST", base, {"ids": texts})
        if reply is not None:
            self._judge.fetched(views, sent_ns, reply, line.worker)
        return reply

    async def _ask(self, line: Line, method: str, target: str, body: Any = None) -> Reply | None:
        try:
            reply = await line.ask(method, target, body)
        except LostError:
            self._judge.counts["connections lost"] += 1
            line.close()
            # The worker is gone; its port may take a moment to be somebody else's.
            await asyncio.sleep(self._random.uniform(0, _LOST_S))
            return None
        self.lines.put_back(line)
        return reply


def _write_target(space: Space, draft: Draft, number: int) -> tuple[str, str]:
    # The gateway passes the query on, so upstream knows which write this is, whatever its body.
    return "DELETE" if draft.body is None else "POST", f"/v2/namespaces/{space.name}?w={number}"
