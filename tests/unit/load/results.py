"""Results made up for tests."""

import random
from collections.abc import Iterable

from hevfast.load.ledger import Ledger
from hevfast.load.messages import Done
from hevfast.load.options import Options, Step, Workload
from hevfast.load.result import Environment, Result, StepResult
from hevfast.load.tally import Tally

SECONDS = 5
RATE = 400


def options(label: str = "", late_ms: float = 5.0) -> Options:
    load = Workload("fetch", "namespace", "pipeline")
    step = Step(RATE, 0, SECONDS)
    return Options("http://127.0.0.1:8080", load, [step], late_ms=late_ms, label=label)


def latencies(factor: float, seed: int) -> list[int]:
    """Latencies in microseconds, of arrivals evenly spaced over SECONDS."""
    rng = random.Random(seed)
    return [int(factor * rng.lognormvariate(7, 0.5)) for _ in range(RATE * SECONDS)]


def step(
    answered: Iterable[int], lost: Iterable[int] = (), wrong: int = 0, late_us: int = 50
) -> StepResult:
    tally = Tally(options().steps[0])
    ledger = Ledger(0)
    count = 0
    for number, latency in enumerate(answered):
        due = number * 1_000_000 // RATE
        ledger.late(due, due + late_us)
        ledger.answered("fetch", due, due + latency, "hit")
        count += 1
    for number, latency in enumerate(lost):
        ledger.lost("fetch", "timeout", number, number + latency)
        count += 1
    for number in range(wrong):
        ledger.wrong("fetch", "status 500", number, number + 1)
        count += 1
    tally.add(ledger.take())
    tally.done(Done(0.5, SECONDS, count, 0))
    return tally.result(options(), None, 0.4)


def result(measured: StepResult, label: str = "") -> Result:
    here = Environment("a processor", 2, "Linux 6", "CPython 3", "0.1.0", "abc", {"version": "9"})
    return Result(options(label), "2026-01-01T00:00:00+00:00", here, [measured])
