"""The processes of a run, and the clock they share."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from .alarm import NS_PER_S
from .environment import Processors
from .messages import Batch, Done, Failed, Job, Ready, Stop, ToWorker, receive_news, send
from .options import Options, Step
from .result import StepResult
from .tally import Tally

# Seconds. Making the bodies of a large load takes a while; so does an end with lost connections.
READY_S = 120.0
END_S = 30.0
STOP_S = 5.0
# Seconds from the order to the start, so that every process has it in time.
LEAD_S = 0.2
LOOK_S = 0.25


class RunError(Exception):
    """The run cannot go on; the message says why and what to do."""


class Fleet:
    """All processes of a run, between `opened` and the end of it."""

    def __init__(self, options: Options, pipes: list[Connection]) -> None:
        self._options = options
        self._pipes = pipes
        self._processors = Processors()

    def run(self, step: Step, show: Callable[[float, Tally], object]) -> tuple[StepResult, bool]:
        """Go through one step; tell whether it was interrupted.

        `show` is called several times a second with the seconds gone by and what has come so far.
        Raises: RunError.
        """
        start_ns = time.monotonic_ns() + int(LEAD_S * NS_PER_S)
        timed = Step(step.rate, step.warmup_s, step.duration_s, step.arrivals, start_ns)
        tally = Tally(timed)
        self._processors.busy_share()
        self._order(timed)
        ended_s: float | None = None
        try:
            for gone_s in self._listen(tally, start_ns, self._longest_s(step)):
                show(gone_s, tally)
        except KeyboardInterrupt:
            ended_s = (time.monotonic_ns() - start_ns) / NS_PER_S
            self._order(Stop())
            for _ in self._listen(tally, time.monotonic_ns(), STOP_S):
                pass
        busy = self._processors.busy_share()
        return tally.result(self._options, ended_s, busy), ended_s is not None

    def _longest_s(self, step: Step) -> float:
        return step.warmup_s + step.duration_s + self._options.timeout_s + END_S

    def wait_until_ready(self) -> None:
        waiting = set(self._pipes)
        deadline = time.monotonic() + READY_S
        while waiting:
            if time.monotonic() > deadline:
                raise RunError(f"the processes were not ready after {READY_S:g} s")
            for pipe in wait(waiting, LOOK_S):
                assert isinstance(pipe, Connection)
                news = _news(pipe)
                if not isinstance(news, Ready):
                    raise RunError(f"a process said {news!r} before it was ready")
                waiting.discard(pipe)

    def _order(self, order: ToWorker) -> None:
        for pipe in self._pipes:
            send(pipe, order)

    def _listen(self, tally: Tally, start_ns: int, longest_s: float) -> Iterator[float]:
        """Take in news until every process is done; give the seconds since `start_ns`."""
        working = set(self._pipes)
        while working:
            for pipe in wait(working, LOOK_S):
                assert isinstance(pipe, Connection)
                news = _news(pipe)
                if isinstance(news, Batch):
                    tally.add(news)
                elif isinstance(news, Done):
                    tally.done(news)
                    working.discard(pipe)
            gone_s = (time.monotonic_ns() - start_ns) / NS_PER_S
            if gone_s > longest_s:
                raise RunError(f"a process of the run did not end within {longest_s:g} s")
            yield gone_s


def _news(pipe: Connection) -> Batch | Done | Ready:
    try:
        news = receive_news(pipe)
    except (EOFError, OSError) as error:
        raise RunError("a process of the run died; its last words are above") from error
    if isinstance(news, Failed):
        raise RunError(news.message)
    return news


@contextlib.contextmanager
def opened(options: Options, key: str | None) -> Iterator[Fleet]:
    """Start the processes and connect them; end them however the run ends.

    Raises: RunError if one cannot connect.
    """
    children: list[subprocess.Popen[bytes]] = []
    pipes: list[Connection] = []
    try:
        for index in range(options.processes):
            ours, theirs = Pipe()
            pipes.append(ours)
            number = str(theirs.fileno())
            # A session of their own: Ctrl-C is for us, who then tell them to stop.
            children.append(
                subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", "hevfast.load.worker", number],
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            )
            theirs.close()
            send(ours, Job(options, index, key))
        fleet = Fleet(options, pipes)
        fleet.wait_until_ready()
        yield fleet
    finally:
        for pipe in pipes:
            pipe.close()
        for child in children:
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
