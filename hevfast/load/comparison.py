"""Two results held against each other, step by step and figure by figure."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from .histogram import Histogram, decoded
from .result import Result, StepResult
from .summary import milliseconds, operations

# Latencies that are compared; whatever is beyond p99.9 differs between any two runs.
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}

# A smaller relative difference is not spoken of: one run on one machine cannot tell.
SMALLEST = 0.05
# Standard deviations of a percentile's rank within which 95 % of such runs would have it.
DEVIATIONS = 1.96
# Seconds of a time line that make a spread.
SECONDS_MIN = 4


class Difference(NamedTuple):
    """One figure in both; `change` is B over A less one, None where A is zero.

    `direction`: "better", "worse", "same", or "within the spread": what two runs of the same
    might show, by the number of answers and by how the seconds of a run differ.
    """

    rate: str
    operation: str
    figure: str
    unit: str
    first: float
    second: float
    change: float | None
    direction: str


class Comparison(NamedTuple):
    """What differs; `caveats` say why the two may not be comparable at all."""

    first: str
    second: str
    differences: list[Difference]
    caveats: list[str]


def compared(first: Result, second: Result) -> Comparison:
    """Compare steps of equal rate. Raises: ValueError if the two have none in common."""
    others = {step.rate_asked: step for step in second.steps}
    pairs = [(step, others[step.rate_asked]) for step in first.steps if step.rate_asked in others]
    if not pairs:
        raise ValueError("the two results have no rate in common")
    names = (first.name, second.name)
    if names[0] == names[1]:
        names = (f"{names[0]} (A)", f"{names[1]} (B)")
    differences = [difference for pair in pairs for difference in _of_steps(*pair)]
    return Comparison(*names, differences, _caveats(first, second))


def _of_steps(first: StepResult, second: StepResult) -> Iterator[Difference]:
    rate = "closed" if first.rate_asked is None else f"{first.rate_asked:.6g}/s"
    pair = first.rate_answered, second.rate_answered
    yield _difference(rate, "all", "rate", "/s", pair, is_more_better=True, is_spread=False)
    others = dict(operations(second))
    for place, (name, operation) in enumerate(operations(first)):
        other = others.get(name)
        if other is None:
            continue
        if operation.latency is not None and other.latency is not None:
            a, b = decoded(operation.latency), decoded(other.latency)
            for figure, percentile in _PERCENTILES.items():
                is_spread = _meet(_interval(a, percentile), _interval(b, percentile))
                # The time lines are of all arrivals, which come first.
                if place == 0:
                    is_spread |= _meet(_middle_half(first, figure), _middle_half(second, figure))
                values = a.percentile_ms(percentile), b.percentile_ms(percentile)
                yield _difference(rate, name, figure, "ms", values, False, is_spread)
        shares = operation.error_share * 100, other.error_share * 100
        yield _difference(rate, name, "errors", "%", shares, False, False)


def _difference(
    rate: str,
    operation: str,
    figure: str,
    unit: str,
    values: tuple[float, float],
    is_more_better: bool,
    is_spread: bool,
) -> Difference:
    first, second = values
    change = (second - first) / first if first else None
    if first == second or (change is not None and abs(change) < SMALLEST):
        direction = "same"
    elif is_spread:
        direction = "within the spread"
    else:
        direction = "better" if (second > first) == is_more_better else "worse"
    return Difference(rate, operation, figure, unit, first, second, change, direction)


Interval = tuple[float, float]


def _meet(a: Interval | None, b: Interval | None) -> bool:
    return a is not None and b is not None and a[0] <= b[1] and b[0] <= a[1]


def _interval(histogram: Histogram, percentile: float) -> Interval:
    """Give what 95 % of such runs would show, from how many answers lie beyond the percentile.

    Its rank among n answers is binomial; where too few lie beyond, there is no upper end.
    """
    share = percentile / 100
    deviation = DEVIATIONS * math.sqrt(share * (1 - share) / histogram.count)
    lower = histogram.percentile_ms(100 * max(0.0, share - deviation))
    if share + deviation >= 1:
        return lower, math.inf
    return lower, histogram.percentile_ms(100 * (share + deviation))


def _middle_half(step: StepResult, figure: str) -> Interval | None:
    """Give the quartiles of a figure over time; None if it has none, or a time line too short."""
    if figure not in ("p50", "p99"):
        return None
    found = (point.p50_ms if figure == "p50" else point.p99_ms for point in step.timeline)
    values = sorted(value for value in found if value is not None)
    if len(values) < SECONDS_MIN:
        return None
    return values[len(values) // 4], values[len(values) * 3 // 4]


def _caveats(first: Result, second: Result) -> list[str]:
    caveats = []
    if first.options.workload != second.options.workload:
        caveats.append("the scenarios or their sizes differ")
    if first.options.connections != second.options.connections:
        caveats.append("the numbers of connections differ")
    machines = [(result.environment.cpu, result.environment.cores) for result in (first, second)]
    if machines[0] != machines[1]:
        caveats.append("the machines differ")
    for name, result in (("A", first), ("B", second)):
        if result.interrupted:
            caveats.append(f"{name} was interrupted")
        if result.refused:
            caveats.append(f"{name} was refused: {result.refused[0]}")
    rates = [{step.rate_asked for step in result.steps} for result in (first, second)]
    if rates[0] != rates[1]:
        caveats.append("some steps are in one of the two only and are left out")
    return caveats


def changed(difference: Difference) -> str:
    """Say a change with its sign."""
    if difference.change is None:
        return "same" if difference.second == 0 else "from zero"
    return f"{difference.change:+.1%}"


def text(comparison: Comparison) -> str:
    """Give the comparison as a table."""
    head = ("rate", "operation", "figure", "A", "B", "B against A", "")
    rows = [head]
    for one in comparison.differences:
        a, b = (f"{milliseconds(value)} {one.unit}" for value in (one.first, one.second))
        rows.append((one.rate, one.operation, one.figure, a, b, changed(one), one.direction))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)).rstrip() for row in rows]
    names = [f"A: {comparison.first}", f"B: {comparison.second}"]
    return "\n".join([*names, *lines, *(f"mind: {caveat}" for caveat in comparison.caveats)])
