"""Choosing which writes fail, repeatably when a seed is given."""

import random

from .answers import Refusal
from .options import Fault, Options

STATUS_MIN, STATUS_MAX = 400, 599


def parse_fault(text: str) -> Fault:
    """Read `503:0.01`: a status and the share of writes that answer it.

    Raises: ValueError, with a message that says what was expected.
    """
    status_text, colon, rate_text = text.partition(":")
    try:
        fault = Fault(int(status_text), float(rate_text))
    except ValueError:
        fault = Fault(0, -1.0)
    if not colon or not STATUS_MIN <= fault.status <= STATUS_MAX or not 0 <= fault.rate <= 1:
        raise ValueError(
            f"found {text!r}, expected status:rate with a status from {STATUS_MIN} to {STATUS_MAX} "
            "and a rate from 0 to 1, such as 503:0.01"
        )
    return fault


class Faults:
    """One draw per write decides which fault it meets, if any."""

    def __init__(self, options: Options) -> None:
        share = sum(fault.rate for fault in options.faults)
        if share > 1:
            raise ValueError(f"found fault rates that add up to {share:g}, expected at most 1")
        self._faults = options.faults
        self._draw = random.Random(options.seed).random  # noqa: S311  (repeatable, not secret)

    def __repr__(self) -> str:
        return f"<Faults {' '.join(f'{fault.status}:{fault.rate:g}' for fault in self._faults)}>"

    def next(self) -> Refusal | None:
        if not self._faults:
            return None
        drawn = self._draw()
        for fault in self._faults:
            if drawn < fault.rate:
                return Refusal(
                    fault.status, f"injected fault: the write was not applied ({fault.status})"
                )
            drawn -= fault.rate
        return None
