"""Shows how a run goes: a bar on a terminal, a line a second elsewhere."""

import sys
from collections.abc import Callable
from typing import Protocol

import click

from .options import Step
from .tally import Tally


class _Bar(Protocol):
    label: str

    def update(self, n_steps: int, current_item: int | None = None) -> None: ...
    def render_finish(self) -> None: ...


class Shown:
    """Writes to standard error: standard output is the summary's."""

    def __init__(self) -> None:
        self._bar: _Bar | None = None

    def say(self, line: str) -> None:
        click.echo(line, err=True)

    def step(self, step: Step) -> Callable[[float, Tally], object]:
        """Begin to show a step; give the function that is told how far it is."""
        whole_s = step.warmup_s + step.duration_s
        rate = "closed loop" if step.rate is None else f"{step.rate:.6g}/s"
        return self._bar_of(rate, whole_s) if sys.stderr.isatty() else self._lines_of(rate, whole_s)

    def step_over(self) -> None:
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None

    def _bar_of(self, rate: str, whole_s: float) -> Callable[[float, Tally], object]:
        # In tenths of seconds, for it to move.
        bar: _Bar
        self._bar = bar = click.progressbar(length=int(whole_s * 10), label=rate, file=sys.stderr)
        shown = 0

        def show(gone_s: float, tally: Tally) -> None:
            nonlocal shown
            now = min(int(gone_s * 10), int(whole_s * 10))
            bar.label = f"{rate}  {_figures(tally)}"
            bar.update(max(0, now - shown))
            shown = max(now, shown)

        return show

    def _lines_of(self, rate: str, whole_s: float) -> Callable[[float, Tally], object]:
        following_s = 1.0

        def show(gone_s: float, tally: Tally) -> None:
            nonlocal following_s
            if gone_s >= following_s:
                following_s = int(gone_s) + 1.0
                self.say(f"{rate}  {gone_s:.0f} of {whole_s:g} s  {_figures(tally)}")

        return show


def _figures(tally: Tally) -> str:
    answered, errors, median_ms = tally.progress()
    return f"{answered} answered  {errors} errors  p50 {median_ms:.3g} ms"
