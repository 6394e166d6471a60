"""Upstream on a real socket: it applies what it is sent, and fails in every way it may.

It keeps the one promise the gateway relies on: a write whose connection is lost, or that is
answered with a server's fault, is applied within the doubt the gateway was told of, or never.
"""

import asyncio
import contextlib
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

from tests.fakes.upstream import Wire, head, parse_head, read_body
from tests.history.truth import Truth

# Milliseconds. What the gateway is told, and how much of the doubt is used.
READ_TIMEOUT_MS: Final = 1000
TOTAL_TIMEOUT_MS: Final = 1500
DOUBT_MS: Final = 500
_LATE_S: Final = 0.35
_LATE_MAX_S: Final = 0.45

# Seconds. A loop that was held up for longer cannot tell when something reached it.
_LAG_S: Final = 0.1
_PULSE_S: Final = 0.02

# Seconds to wait for a silent exchange to be given up.
_SILENCE_S: Final = 4.0


class Fault(Enum):
    """What goes wrong with one request."""

    NONE = "none"
    REFUSED = "refused"
    FAILED = "server fault, not applied"
    FAILED_APPLIED = "server fault, applied"
    FAILED_LATER = "server fault, applied later"
    LOST_APPLIED = "answer lost, applied"
    LOST_LATER = "answer lost, applied later"
    LOST_NEVER = "answer lost, never applied"
    SILENT_APPLIED = "no answer, applied"
    SILENT_LATER = "no answer, applied after the timeout"
    SILENT_NEVER = "no answer, never applied"
    NAMELESS = "answer without affected ids"


# How often each happens to a write, in 1,000; the rest goes well.
_WRITE_FAULTS: Final = {
    Fault.REFUSED: 30,
    Fault.FAILED: 10,
    Fault.FAILED_APPLIED: 15,
    Fault.FAILED_LATER: 12,
    Fault.LOST_APPLIED: 12,
    Fault.LOST_LATER: 15,
    Fault.LOST_NEVER: 8,
    Fault.SILENT_APPLIED: 3,
    Fault.SILENT_LATER: 3,
    Fault.SILENT_NEVER: 2,
    Fault.NAMELESS: 10,
}
_WRITE_CHOICES: Final = [*_WRITE_FAULTS, Fault.NONE]
_WRITE_WEIGHTS: Final = [*_WRITE_FAULTS.values(), 1000 - sum(_WRITE_FAULTS.values())]

_QUERY_CHOICES: Final = [Fault.NONE, Fault.REFUSED, Fault.FAILED, Fault.LOST_NEVER]
_QUERY_WEIGHTS: Final = [970, 8, 12, 10]

_REFUSALS: Final = (400, 409, 412, 422, 429)
_FAILURES: Final = (408, 500, 502, 503)


class Pulse:
    """Knows how late the event loop runs, so that nothing is done too late unawares."""

    def __init__(self) -> None:
        self._held_up_s = 0.0

    async def beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(_PULSE_S)
            late = time.monotonic() - before - _PULSE_S
            if late > _LAG_S:
                self._held_up_s = time.monotonic()

    def is_steady(self) -> bool:
        return time.monotonic() - self._held_up_s > 2 * READ_TIMEOUT_MS / 1000


class Upstream:
    """The server. `stale`: its queries tell of rows as they were, which it must not."""

    def __init__(self, truth: Truth, seed: int, *, stale: bool = False) -> None:
        self.faults: Counter[Fault] = Counter()
        self.failures: list[BaseException] = []
        self._truth = truth
        self._random = random.Random(seed)
        self._stale = stale
        self._pulse = Pulse()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._later: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serving(self, listener: socket.socket) -> Any:
        server = await asyncio.start_server(self._serve, sock=listener)
        self._tasks.add(asyncio.create_task(self._pulse.beat()))
        try:
            yield self
        finally:
            server.close()
            tasks = self._tasks | self._later
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Wait until every write that is applied later has been."""
        while self._later:
            await asyncio.gather(*self._later)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = Wire(reader, writer)
        try:
            while not writer.is_closing():
                await self._exchange(wire)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as failure:
            # A fault of this double must fail the run, not look like one of upstream's.
            self.failures.append(failure)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _exchange(self, wire: Wire) -> None:
        request = parse_head(await wire.reader.readuntil(b"\r\n\r\n"))
        await read_body(wire.reader, request)
        path, _, query = request.target.decode().partition("?")
        name = path.split("/")[3]
        body = json.loads(request.body or b"{}")
        if path.endswith("/query"):
            await self._query(wire, name, body)
            return
        write = int(parse_qs(query)["w"][0])
        if request.method == "DELETE":
            await self._write(wire, partial(self._truth.clear, name, write))
        else:
            await self._write(wire, partial(self._truth.apply, name, write, body))

    async def _write(self, wire: Wire, apply: Callable[[], dict[str, Any]]) -> None:
        arrived = time.monotonic()
        fault = self._random.choices(_WRITE_CHOICES, _WRITE_WEIGHTS)[0]
        self.faults[fault] += 1
        # The connection may break meanwhile; like the real one, this upstream does not care.
        await self._pause()
        if fault in (Fault.NONE, Fault.NAMELESS):
            fields = apply()
            await self._pause()
            if fault is Fault.NAMELESS:
                fields = {name: v for name, v in fields.items() if not name.endswith("_ids")}
            await _answer(wire, 200, fields)
        elif fault is Fault.REFUSED:
            await _answer(wire, self._random.choice(_REFUSALS), _REFUSAL)
        elif fault in (Fault.FAILED, Fault.FAILED_APPLIED, Fault.FAILED_LATER):
            await self._fail(wire, fault, apply)
        elif fault in (Fault.LOST_APPLIED, Fault.LOST_LATER, Fault.LOST_NEVER):
            await self._lose(wire, fault, apply)
        else:
            await self._keep_silent(wire, fault, apply, arrived)

    async def _fail(self, wire: Wire, fault: Fault, apply: Callable[[], Any]) -> None:
        if fault is Fault.FAILED_APPLIED:
            apply()
            await self._pause()
        elif fault is Fault.FAILED_LATER:
            self._apply_later(apply)
        await _answer(wire, self._random.choice(_FAILURES), _REFUSAL)

    async def _lose(self, wire: Wire, fault: Fault, apply: Callable[[], Any]) -> None:
        if fault is Fault.LOST_APPLIED:
            apply()
            await self._pause()
        elif fault is Fault.LOST_LATER:
            self._apply_later(apply)
        if self._random.random() < 0.5:
            wire.reset()
        else:
            await wire.close()

    async def _keep_silent(
        self, wire: Wire, fault: Fault, apply: Callable[[], Any], arrived: float
    ) -> None:
        if fault is Fault.SILENT_APPLIED:
            apply()
        elif fault is Fault.SILENT_LATER:
            late = READ_TIMEOUT_MS / 1000 + self._random.uniform(-0.05, 0.25)
            self._do_later(self._after_silence(apply, arrived, late))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wire.until_closed(), _SILENCE_S)
        await wire.close()

    def _apply_later(self, apply: Callable[[], Any]) -> None:
        """Apply within the doubt, which the gateway counts from after this moment."""
        self._do_later(self._later_than(apply, time.monotonic(), self._random.uniform(0, _LATE_S)))

    def _do_later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _later_than(self, apply: Callable[[], Any], start: float, delay: float) -> None:
        await asyncio.sleep(delay)
        if time.monotonic() - start < _LATE_MAX_S:
            apply()

    async def _after_silence(self, apply: Callable[[], Any], start: float, delay: float) -> None:
        await asyncio.sleep(delay)
        late = time.monotonic() - start - delay
        # The gateway counts from when it sent. A loop that was held up read that later.
        if late < _LAG_S and self._pulse.is_steady():
            apply()

    async def _query(self, wire: Wire, name: str, body: dict[str, Any]) -> None:
        fault = self._random.choices(_QUERY_CHOICES, _QUERY_WEIGHTS)[0]
        attribute, operator, ids = body["filters"]
        assert (attribute, operator) == ("id", "In"), body
        space = self._truth.spaces[name]
        await self._pause()
        if any(isinstance(each, int) != space.numbers for each in ids):
            await _answer(wire, 400, {"status": "error", "error": "type mismatch"})
            return
        if fault is Fault.REFUSED:
            await _answer(wire, 429, _REFUSAL)
            return
        if fault is Fault.FAILED:
            await _answer(wire, 503, _REFUSAL)
            return
        rows = self._truth.tell(name, [str(each) for each in ids])
        if self._stale and self._random.random() < 0.2:
            rows = self._as_it_was(name, [str(each) for each in ids])
        # The longest road of all: what is told here may be outlived before it arrives.
        await self._pause()
        if fault is Fault.LOST_NEVER:
            wire.reset()
            return
        await _answer(wire, 200, {"rows": rows, "billing": {}, "performance": {}})

    def _as_it_was(self, name: str, texts: list[str]) -> list[dict[str, Any]]:
        space = self._truth.spaces[name]
        found = []
        for text in texts:
            entries = space.pasts[text].kept()
            state = entries[-min(3, len(entries))].state
            if state is not None:
                found.append({"id": space.ids[text], **json.loads(state)})
        return found

    async def _pause(self) -> None:
        lot = self._random.random()
        if lot < 0.6:
            bound = 0.003
        elif lot < 0.9:
            bound = 0.025
        else:
            bound = 0.08 if lot < 0.985 else 0.3
        await asyncio.sleep(self._random.uniform(0, bound))


_REFUSAL: Final = {"status": "error", "error": "not now"}


async def _answer(wire: Wire, status: int, fields: Any) -> None:
    body = json.dumps(fields).encode()
    headers = [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]
    await wire.send(head(status, headers) + body)
