"""A whole run: preparation, every step, the result."""

import datetime
from collections.abc import Callable
from typing import Protocol

from .environment import environment
from .exchange import Target
from .fleet import opened
from .options import Options, Step
from .preparation import health, prepare
from .requirements import Requirement, judge
from .result import Result
from .tally import Tally


class Progress(Protocol):
    """Shows a run to whoever waits for it."""

    def say(self, line: str) -> None: ...
    def step(self, step: Step) -> Callable[[float, Tally], object]: ...
    def step_over(self) -> None: ...


def run(
    options: Options, key: str | None, requirements: list[Requirement], progress: Progress
) -> Result:
    """Measure. An interrupt ends it early, with what there is by then.

    Raises: RunError if the target cannot be measured at all.
    """
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    target = Target(options.url, key)
    said = health(target)
    prepare(target, options.workload, progress.say)
    steps = []
    interrupted = False
    with opened(options, key) as fleet:
        for step in options.steps:
            try:
                measured, interrupted = fleet.run(step, progress.step(step))
            finally:
                progress.step_over()
            steps.append(measured)
            if interrupted:
                break
    return Result(
        options=options,
        started_at=started_at,
        environment=environment(said),
        steps=steps,
        interrupted=interrupted,
        requirements=[judge(requirement, steps) for requirement in requirements],
    )
