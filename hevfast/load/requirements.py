"""Requirements: what a run must show, in a grammar of one line.

    requirement = [operation ":"] metric comparison number [unit]
    metric      = "p" percentile | "mean" | "max" | "errors" | "rate" | "hits"
    comparison  = "<" | "<=" | ">" | ">="
    unit        = "us" | "ms" | "s"   of a latency, which must have one
                | "%"                 of errors, hits and rate, which else are shares in 0..1
                | "/s"                of rate, which else is the share of arrivals that were
                                      answered well in time

An operation is a kind of request in the result (`fetch:p99<5ms`); without one, all arrivals. With
several steps a requirement must hold in each; the value shown is the worst.
"""

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from .histogram import decoded
from .result import Operation, StepResult, Verdict
from .summary import rate

_FORM = re.compile(
    r"(?:(?P<operation>[a-z][a-z/-]*):)?"
    r"(?P<metric>p\d{1,2}(?:\.\d{1,3})?|mean|max|errors|rate|hits)"
    r"(?P<comparison><=|>=|<|>)"
    r"(?P<number>\d{1,12}(?:\.\d{1,9})?)(?P<unit>us|ms|s|%|/s)?"
)
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Requirement(NamedTuple):
    """Latencies are in milliseconds, shares in 0..1, a rate in shares or, with "/s", a second."""

    text: str
    operation: str | None
    metric: str
    comparison: str
    bound: float
    unit: str


def parse(text: str) -> Requirement:
    """Read a requirement. Raises: ValueError, saying what is wrong."""
    form = _FORM.fullmatch(text.replace(" ", ""))
    if form is None:
        raise ValueError(f"{text!r} is no requirement; say for example p99<5ms or errors<0.1%")
    operation, metric, comparison, number, unit = form.groups()
    bound, unit = float(number), unit or ""
    is_latency = metric[0] == "p" or metric in ("mean", "max")
    if is_latency and unit not in _MS:
        raise ValueError(f"{text!r}: the latency needs a unit, us, ms or s")
    if not is_latency and (unit in _MS or (unit == "/s" and metric != "rate")):
        raise ValueError(f"{text!r}: {unit!r} is no unit of {metric}")
    if metric == "rate" and operation is not None:
        raise ValueError(f"{text!r}: a rate is of all arrivals, not of one operation")
    if is_latency:
        bound *= _MS[unit]
    elif unit == "%":
        bound /= 100
    return Requirement(text, operation, metric, comparison, bound, unit)


def judge(requirement: Requirement, steps: list[StepResult]) -> Verdict:
    """Hold a requirement against every step. What cannot be measured is not met."""
    values = [_value(requirement, step) for step in steps]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return Verdict(requirement.text, "not measured", False)
    worst = max(known) if requirement.comparison[0] == "<" else min(known)
    met = _COMPARISONS[requirement.comparison](worst, requirement.bound)
    return Verdict(requirement.text, _shown(requirement, worst), met)


def _value(requirement: Requirement, step: StepResult) -> float | None:
    metric = requirement.metric
    if metric == "rate":
        if requirement.unit == "/s":
            return step.rate_answered
        # Against what was due, which under Poisson is not quite the rate asked for.
        due = step.arrivals / step.duration_s if step.duration_s else 0.0
        return step.rate_answered / due if due and step.rate_asked is not None else None
    name = requirement.operation
    operation = step.total if name is None else step.operations.get(name)
    if operation is None or not (operation.answered or operation.errors):
        return None
    if metric == "errors":
        return operation.error_share
    if metric == "hits":
        return operation.hit_share if operation.cache else None
    return _latency_ms(metric, operation)


def _latency_ms(metric: str, operation: Operation) -> float | None:
    latency = operation.latency
    if latency is None:
        return None
    if metric == "mean":
        return latency.mean_ms
    if metric == "max":
        return latency.max_ms
    return decoded(latency).percentile_ms(float(metric[1:]))


def _shown(requirement: Requirement, value: float) -> str:
    if requirement.metric in ("errors", "rate", "hits"):
        if requirement.unit == "/s":
            return f"{rate(value)}/s"
        return f"{value * 100:.4g}%"
    return f"{value:.4g} ms"
