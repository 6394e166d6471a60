"""Puts together what all processes of a step report."""

import math
from collections import Counter, defaultdict

from .arrivals import US_PER_S
from .histogram import TIMELINE_DIGITS, Histogram, moments
from .messages import Batch, Done, Marks
from .options import Options, Step
from .result import Generator, Operation, Point, StepResult
from .scenarios import SCENARIOS

# Points of a time line, at most: enough for any screen, and a bound on histograms kept.
POINTS_MAX = 600
# What was never sent has no kind.
UNSENT = "(unsent)"
# One arrival each; everything else is a part of one.
_COURSES = {*SCENARIOS, UNSENT}
_FETCHES = {"fetch", "batch-fetch"}


class _Stretch:
    """A stretch of the time line."""

    def __init__(self) -> None:
        self.answered = 0
        self.errors = 0
        self.latencies = Histogram(TIMELINE_DIGITS)


class _Kind:
    def __init__(self) -> None:
        self.answered = 0
        self.errors: Counter[str] = Counter()
        self.cache: Counter[str] = Counter()
        self.latencies = Histogram()

    def operation(self) -> Operation:
        return Operation(
            self.answered, dict(self.errors), dict(self.cache), self.latencies.latency()
        )


class Tally:
    """One step's counts and histograms."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._from_us = int(step.warmup_s * US_PER_S)
        self._width_us = math.ceil(max(1.0, step.duration_s) / POINTS_MAX) * US_PER_S
        self._end_us = self._from_us + int(step.duration_s * US_PER_S)
        self._in_time = 0
        self._total = _Kind()
        self._kinds: defaultdict[str, _Kind] = defaultdict(_Kind)
        self._stretches: defaultdict[int, _Stretch] = defaultdict(_Stretch)
        self._late = Histogram()
        self._dones: list[Done] = []

    def add(self, batch: Batch) -> None:
        for name, marks in batch.answered.items():
            self._add(name, marks, is_good=True)
        for name, marks in batch.lost.items():
            self._add(name, marks, is_good=False)
        for name, words in batch.cache.items():
            self._kinds[name].cache.update(words)
            if name in _COURSES:
                self._total.cache.update(words)
        for miss in batch.misses:
            self._kinds[miss.name].errors[miss.word] += miss.count
            if miss.name in _COURSES:
                self._total.errors[miss.word] += miss.count
                self._stretches[self._place(miss.second * US_PER_S)].errors += miss.count
        self._late.record(moments(batch.late))

    def done(self, done: Done) -> None:
        self._dones.append(done)

    def progress(self) -> tuple[int, int, float]:
        """Give good answers, errors, and the median in milliseconds so far."""
        median_ms = self._total.latencies.percentile_ms(50) if self._total.latencies.count else 0.0
        return self._total.answered, self._total.errors.total(), median_ms

    def result(self, options: Options, ended_s: float | None, busy: float | None) -> StepResult:
        """Give the step's result; `ended_s` is the time since its start if it was cut short."""
        duration_s = self._step.duration_s
        if ended_s is not None:
            duration_s = min(duration_s, max(0.0, ended_s - self._step.warmup_s))
        rate_answered = self._in_time / duration_s if duration_s else 0.0
        self._count_answers_without_cache()
        arrivals = sum(done.arrivals for done in self._dones)
        generator = self._generator(arrivals)
        is_open = self._step.rate is not None
        return StepResult(
            loop="open" if is_open else "closed",
            rate_asked=self._step.rate,
            rate_answered=round(rate_answered, 3),
            duration_s=round(duration_s, 3),
            arrivals=arrivals,
            total=self._total.operation(),
            operations={name: kind.operation() for name, kind in sorted(self._kinds.items())},
            timeline=self._timeline(duration_s),
            generator=generator,
            machine_busy_share=busy,
            refused=refusals(generator, options, is_open, busy),
        )

    def _add(self, name: str, marks: Marks, is_good: bool) -> None:
        due, latency = moments(marks.due), moments(marks.latency)
        kind = self._kinds[name]
        kind.latencies.record(latency)
        kind.answered += len(due) if is_good else 0
        if name not in _COURSES:
            return
        self._total.latencies.record(latency)
        by_place: defaultdict[int, list[int]] = defaultdict(list)
        for due_us, latency_us in zip(due, latency, strict=True):
            by_place[self._place(due_us)].append(latency_us)
        for place, latencies in by_place.items():
            self._stretches[place].latencies.record(latencies)
        if is_good:
            self._total.answered += len(due)
            came = list(map(int.__add__, due, latency))
            # Answers that came after the end are good, but a target that is behind is not at its
            # rate: they count for the percentiles only.
            self._in_time += sum(moment_us < self._end_us for moment_us in came)
            places = Counter(map(self._place, came))
            for place, count in places.items():
                self._stretches[place].answered += count

    def _count_answers_without_cache(self) -> None:
        for name in _FETCHES & self._kinds.keys():
            kind = self._kinds[name]
            without = kind.answered - kind.cache.total()
            if without:
                kind.cache["none"] += without
                self._total.cache["none"] += without

    def _place(self, moment_us: int) -> int:
        """Give the stretch a moment belongs to; answers may come after the last."""
        return (moment_us - self._from_us) // self._width_us

    def _timeline(self, duration_s: float) -> list[Point]:
        width_s = self._width_us / US_PER_S
        last = max([*self._stretches, math.ceil(duration_s / width_s) - 1])
        return [self._point(place, width_s) for place in range(max(0, last) + 1)]

    def _point(self, place: int, width_s: float) -> Point:
        stretch = self._stretches.get(place) or _Stretch()
        latencies = stretch.latencies
        figures = (
            (latencies.percentile_ms(50), latencies.percentile_ms(99), latencies.max_ms())
            if latencies.count
            else (None, None, None)
        )
        return Point(place * width_s, width_s, stretch.answered, stretch.errors, *figures)

    def _generator(self, arrivals: int) -> Generator:
        late = self._late
        is_late = late.count > 0
        return Generator(
            late_p50_ms=late.percentile_ms(50) if is_late else 0.0,
            late_p99_ms=late.percentile_ms(99) if is_late else 0.0,
            late_max_ms=late.max_ms() if is_late else 0.0,
            cpu_shares=[round(done.cpu_s / max(done.wall_s, 1e-9), 3) for done in self._dones],
            waited_share=round(sum(done.waited for done in self._dones) / max(1, arrivals), 5),
        )


# Share of a processor from which a process of ours is taken to be what limits the load.
CPU_SHARE_MAX = 0.9
# Share of all processors from which being late is put down to the machine and not to us.
MACHINE_BUSY_SHARE = 0.95


def refusals(
    generator: Generator, options: Options, is_open: bool, busy: float | None
) -> list[str]:
    """Say why the figures tell of the load tool and not of its target, and what to change."""
    reasons = []
    cpu_share = max(generator.cpu_shares, default=0.0)
    if cpu_share > CPU_SHARE_MAX:
        reasons.append(
            f"the generator used {cpu_share:.0%} of a processor (bound {CPU_SHARE_MAX:.0%}): "
            f"give it more --processes (now {options.processes}), or ask for less"
        )
    if is_open and generator.late_p99_ms > options.late_ms:
        cause = "add --processes or lower the rate"
        if busy is not None and busy > MACHINE_BUSY_SHARE:
            cause = f"the machine was {busy:.0%} busy: run it on another one, or lower the rate"
        reasons.append(
            f"the generator was late: 1 % of arrivals by {generator.late_p99_ms:.3g} ms and more "
            f"(--late-ms {options.late_ms:g}): {cause}"
        )
    return reasons
