"""One process's share of a step: arrivals when they are due, over a bounded pool of lanes.

Open loop: an arrival that finds no free lane waits, and its latency counts from when it was due.
A server that stalls therefore stalls nobody's schedule, and the stall shows in the percentiles.
Closed loop: each lane sends its next request as soon as it has its answer.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Iterator

from .alarm import Alarm
from .arrivals import US_PER_S, constant, poisson
from .exchange import Target
from .lane import Lane
from .ledger import Ledger
from .messages import Batch, Done, Job
from .options import Step
from .scenarios import Scenario

# Seconds. How often time-outs and the end are looked for, and how often the parent hears of us.
LOOK_S = 0.05
REPORT_S = 0.25
# Seconds between attempts to get back a connection that was lost.
RECONNECT_S = 0.1
CONNECT_S = 5.0
# Arrivals that wait for a lane. Beyond it they are given up at once; 10 s at 100,000 a second.
WAITING_MAX = 1_000_000
NS_PER_US = 1_000


class Crew:
    """Lanes of one process. All moments are microseconds since the step began."""

    def __init__(self, job: Job, target: Target, scenario: Scenario) -> None:
        self._job = job
        self._target = target
        self._scenario = scenario
        self._lanes: list[Lane] = []
        self._idle: deque[Lane] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._start_ns = time.monotonic_ns()
        self._step: Step | None = None
        self._waiting: deque[int] = deque()
        self._ledger = Ledger(0)
        self._end_us = 0
        self._arrivals = self._waited = 0

    async def open(self) -> None:
        """Connect all lanes. Raises: OSError, TimeoutError when the target cannot be reached."""
        options = self._job.options
        mine = range(self._job.index, options.connections, options.processes)
        self._lanes = [Lane(self) for _ in mine]
        for lane in self._lanes:
            await self._connect(lane)

    async def close(self) -> None:
        self._is_closing = True
        for lane in self._lanes:
            lane.close()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    async def run(self, step: Step, report: Callable[[Batch], object]) -> Done:
        """Go through one step; give `report` a batch several times a second and at the end."""
        self._step = step
        self._start_ns = step.start_ns
        warmup_us = int(step.warmup_s * US_PER_S)
        self._end_us = warmup_us + int(step.duration_s * US_PER_S)
        self._ledger = Ledger(warmup_us)
        self._arrivals = self._waited = 0
        # Timers may fire a moment early, and nothing begins before its time.
        while (now_us := self.now_us()) < 0:  # noqa: ASYNC110 - it is time that is waited for
            await asyncio.sleep(-now_us / US_PER_S)
        began_cpu, began = time.process_time(), time.monotonic()
        if step.rate is None:
            await self._run_closed(report)
        else:
            await self._run_open(step.rate, report)
        self._step = None
        report(self._ledger.take())
        cpu_s, wall_s = time.process_time() - began_cpu, time.monotonic() - began
        return Done(cpu_s, wall_s, self._arrivals, self._waited)

    def stop(self) -> None:
        """End the step now, and leave out what is still under way."""
        self._end_us = min(self._end_us, max(0, self.now_us()))
        self._waiting.clear()
        for lane in self._lanes:
            lane.forget()

    # The schedule.

    async def _run_open(self, rate: float, report: Callable[[Batch], object]) -> None:
        due = self._moments(rate)
        following = next(due)

        def wake() -> None:
            # The clock is read again for each: the sending of others makes an arrival late too.
            nonlocal following
            while following < self._end_us and following <= (now_us := self.now_us()):
                self._ledger.late(following, now_us)
                self._arrive(following)
                following = next(due)
            if following < self._end_us:
                alarm.at(self._start_ns + following * NS_PER_US)

        alarm = Alarm(wake)
        try:
            wake()
            await self._look_on(report)
        finally:
            alarm.close()

    async def _run_closed(self, report: Callable[[Batch], object]) -> None:
        for _ in range(len(self._idle)):
            self.free(self._idle.popleft())
        await self._look_on(report)

    def _moments(self, rate: float) -> Iterator[int]:
        step, job = self._step, self._job
        assert step is not None
        if step.arrivals == "constant":
            return constant(rate, job.index, job.options.processes)
        rng = random.Random(f"{job.options.workload.seed}/{job.index}/arrivals")
        return poisson(rate, job.options.processes, rng)

    def _arrive(self, due_us: int) -> None:
        counts = due_us >= self._ledger.from_us
        self._arrivals += counts
        if self._idle:
            self._idle.popleft().begin(self._scenario.course(), due_us)
        elif len(self._waiting) < WAITING_MAX:
            self._waited += counts
            self._waiting.append(due_us)
        else:
            self._give_up(due_us)

    async def _look_on(self, report: Callable[[Batch], object]) -> None:
        """Wait until all has been sent and answered or given up."""
        reported = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            now_us = self.now_us()
            self._time_out(now_us)
            if time.monotonic() - reported >= REPORT_S:
                reported = time.monotonic()
                report(self._ledger.take())
            is_busy = self._waiting or any(lane.due_us is not None for lane in self._lanes)
            if now_us >= self._end_us and not is_busy:
                return

    def _time_out(self, now_us: int) -> None:
        """Give up what was due longer ago than a caller would wait."""
        oldest_us = now_us - int(self._job.options.timeout_s * US_PER_S)
        while self._waiting and self._waiting[0] < oldest_us:
            self._give_up(self._waiting.popleft())
        for lane in self._lanes:
            if lane.due_us is not None and lane.due_us < oldest_us:
                lane.fail("timeout")

    def _give_up(self, due_us: int) -> None:
        self._ledger.lost("(unsent)", "no free connection", due_us, self.now_us())

    # What lanes tell.

    def now_us(self) -> int:
        return (time.monotonic_ns() - self._start_ns) // NS_PER_US

    def free(self, lane: Lane) -> None:
        """Take a lane that can go its next course."""
        if self._waiting:
            lane.begin(self._scenario.course(), self._waiting.popleft())
            return
        step = self._step
        if step is not None and step.rate is None:
            now_us = self.now_us()
            if 0 <= now_us < self._end_us:
                self._arrivals += now_us >= self._ledger.from_us
                lane.begin(self._scenario.course(), now_us)
                return
        self._idle.append(lane)

    def answered(self, name: str, due_us: int, now_us: int, cache: str) -> None:
        self._ledger.answered(name, due_us, now_us, cache)

    def wrong(self, name: str, word: str, due_us: int, now_us: int) -> None:
        self._ledger.wrong(name, word, due_us, now_us)

    def lost(self, name: str, word: str, due_us: int, now_us: int) -> None:
        self._ledger.lost(name, word, due_us, now_us)

    def gone(self, lane: Lane) -> None:
        """Get back a connection that has ended."""
        with contextlib.suppress(ValueError):
            self._idle.remove(lane)
        if not self._is_closing:
            task = asyncio.create_task(self._reconnect(lane))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _reconnect(self, lane: Lane) -> None:
        while not self._is_closing:
            try:
                await self._connect(lane)
            except OSError:
                await asyncio.sleep(RECONNECT_S)
            else:
                break

    async def _connect(self, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        target = self._target
        async with asyncio.timeout(CONNECT_S):
            await loop.create_connection(
                lambda: lane, target.host, target.port, ssl=True if target.tls else None
            )
