"""Runs configurations and plants, and says what came of them."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, NamedTuple

from tests.model import embedded_form, pipeline_world, registry_form, shared_world
from tests.model.configuration import Configuration
from tests.model.pipeline_account import Case
from tests.model.pipeline_plants import PipelinePlant
from tests.model.planting import Plant
from tests.model.search import Found
from tests.model.shared_plants import SharedPlant


class Report(NamedTuple):
    name: str
    found: Found
    # The trace, spelled out.
    trace: tuple[str, ...]
    # Kinds of writes after which, all quiet, their row was served.
    hits: frozenset[str]
    world: Any

    def line(self) -> str:
        found = self.found
        end = "" if found.complete else ", not exhausted"
        return f"{self.name:64s} {found.states:>10,d} states {found.seconds:7.1f} s{end}"

    def story(self) -> str:
        steps = [f"    {step}" for step in self.trace]
        return "\n".join([self.line(), *steps, f"    => {self.found.wrong}"])


Explore = Callable[..., Report]


def explore_registry(configuration: Configuration, seconds: float = 1e9) -> Report:
    world, found = registry_form.run(configuration, seconds)
    trace = tuple(registry_form.spelled(world, label) for label in found.trace)
    return Report(configuration.name, found, trace, frozenset(world.hits), world)


def explore_embedded(configuration: Configuration, seconds: float = 1e9) -> Report:
    world, found = embedded_form.run(configuration, seconds)
    trace = tuple(embedded_form.spelled(label) for label in found.trace)
    return Report(configuration.name, found, trace, frozenset(world.hits), world)


def explore_pipelines(case: Case, seconds: float = 1e9) -> Report:
    world, found = pipeline_world.run(case, seconds)
    trace = tuple(map(pipeline_world.spelled, found.trace))
    return Report(case.name, found, trace, frozenset(), world)


def explore_shared(case: shared_world.Case, seconds: float = 1e9) -> Report:
    found = shared_world.run(case, seconds)
    trace = tuple(" ".join(map(str, label)) for label in found.trace)
    return Report(case.name, found, trace, frozenset(), None)


def explore_planted(plant: Plant | PipelinePlant | SharedPlant, explore: Explore) -> Report:
    with ExitStack() as stack:
        for change in plant.patches():
            stack.enter_context(change)
        return explore(plant.where)


def tell(reports: Iterable[Report], *, expect_wrong: bool) -> int:
    """Print reports as they come; give the number of those that are not as expected."""
    surprises = 0
    for report in reports:
        wrong = bool(report.found.wrong)
        surprises += wrong != expect_wrong
        print(report.story() if wrong else report.line(), flush=True)
    return surprises
