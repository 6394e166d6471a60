"""Choosing which requests fail and how, repeatably when a seed is given."""

import random

from .options import Effect, Fault

STATUS_MIN, STATUS_MAX = 400, 599
OPERATIONS = frozenset({"write", "query", "metadata", "other", "any"})

EXPECTED = (
    "expected [operation=]effect:rate[:retry_after_s], with an operation among "
    f"{', '.join(sorted(OPERATIONS))}, a status from {STATUS_MIN} to {STATUS_MAX} or one of reset, "
    "lost, cut as effect, and a rate from 0 to 1, such as 503:0.01 or query=429:0.1:2"
)


def parse_fault(text: str) -> Fault:
    """Read `write=503:0.01:2`: what happens to which requests, their share, and Retry-After.

    Raises: ValueError, with a message that says what was expected.
    """
    on, equals, rest = text.rpartition("=")
    effect_text, *numbers = rest.split(":")
    try:
        rate, *after = (float(number) for number in numbers)
        retry_after_s = None if not after else after[0]
        if effect_text.isdigit():
            fault = Fault(rate, Effect.STATUS, int(effect_text), retry_after_s=retry_after_s)
        else:
            fault = Fault(rate, Effect(effect_text), retry_after_s=retry_after_s)
        fault = Fault(
            rate, fault.effect, fault.status, on if equals else "write", retry_after_s=retry_after_s
        )
        check_fault(fault)
    except ValueError as wrong:
        raise ValueError(f"found {text!r}, {EXPECTED}") from wrong
    if len(numbers) > 2:
        raise ValueError(f"found {text!r}, {EXPECTED}")
    return fault


def check_fault(fault: Fault) -> None:
    """Raises: ValueError, if the fault cannot happen as it is described."""
    if fault.on not in OPERATIONS or not 0 <= fault.rate <= 1:
        raise ValueError(EXPECTED)
    has_status = fault.effect is Effect.STATUS
    if has_status != (STATUS_MIN <= fault.status <= STATUS_MAX):
        raise ValueError(EXPECTED)
    if fault.effect is Effect.SLOW and fault.delay_ms <= 0:
        raise ValueError("a slow request needs delay_ms")
    if min(fault.delay_ms, fault.after, fault.retry_after_s or 0, fault.times or 0) < 0:
        raise ValueError("numbers of a fault must not be negative")


class Faults:
    """One draw per request decides which of the faults that are meant for it happens, if any."""

    def __init__(self, faults: tuple[Fault, ...], seed: int | None) -> None:
        for operation in OPERATIONS - {"any"}:
            share = sum(fault.rate for fault in faults if _is_meant(fault, operation, None))
            if share > 1 and not any(_is_passing(fault) for fault in faults):
                raise ValueError(f"found fault rates that add up to {share:g}, expected at most 1")
        self.faults = faults
        self._met = [0] * len(faults)
        self._done = [0] * len(faults)
        self._draw = random.Random(seed).random  # noqa: S311  (repeatable, not secret)

    def __repr__(self) -> str:
        done = (
            f"{fault.on}={fault.effect.value}:{fault.rate:g}*{times}"
            for fault, times in zip(self.faults, self._done, strict=True)
        )
        return f"<Faults {' '.join(done)}>"

    def next(self, operation: str, namespace: str | None) -> Fault | None:
        if not self.faults:
            return None
        drawn = self._draw()
        for place, fault in enumerate(self.faults):
            if not _is_meant(fault, operation, namespace):
                continue
            self._met[place] += 1
            if self._met[place] <= fault.after:
                continue
            if fault.times is not None and self._done[place] >= fault.times:
                continue
            if drawn < fault.rate:
                self._done[place] += 1
                return fault
            drawn -= fault.rate
        return None


def _is_passing(fault: Fault) -> bool:
    """Whether a fault is for some requests only, so that rates need not fit together."""
    return fault.times is not None or fault.after > 0 or fault.namespace is not None


def _is_meant(fault: Fault, operation: str, namespace: str | None) -> bool:
    if fault.on not in (operation, "any"):
        return False
    return fault.namespace is None or namespace is None or fault.namespace == namespace
