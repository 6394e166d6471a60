"""The promises of the cache hold in every interleaving that is explored, and no fault is missed."""

from functools import cache, partial
from typing import get_args

import pytest

from hevfast.cache import coherence, course, ending, settling, transactional
from hevfast.cache.coherence import Phase
from hevfast.cache.events import Done, Event, Full, Lost, OutOfTime
from tests.model.configuration import Configuration
from tests.model.configurations import EMBEDDED_SMALL, SMALL, WINDOWS
from tests.model.embedded_plants import EMBEDDED_PLANTS
from tests.model.lines import lines_missed
from tests.model.planting import Plant
from tests.model.report import (
    Report,
    explore_embedded,
    explore_planted,
    explore_registry,
)
from tests.model.store_plants import STORE_PLANTS
from tests.model.write_plants import WRITE_PLANTS

PLANTS = [*WRITE_PLANTS, *STORE_PLANTS]


def named(item: object) -> str | None:
    if isinstance(item, Plant):
        return item.where.name
    return item.name if isinstance(item, Configuration) else None


@cache
def small(index: int) -> Report:
    return explore_registry(SMALL[index])


# ---- nothing wrong is ever served


@pytest.mark.parametrize("index", range(len(SMALL)), ids=[c.name for c in SMALL])
def test_registry_form_keeps_its_promises(index: int) -> None:
    report = small(index)
    assert report.found.complete
    assert not report.found.wrong, report.story()


@pytest.mark.parametrize("configuration", EMBEDDED_SMALL, ids=named)
def test_transactional_form_keeps_its_promises(configuration: Configuration) -> None:
    report = explore_embedded(configuration)
    assert report.found.complete
    assert not report.found.wrong, report.story()
    assert report.hits, "nothing was ever served"


@pytest.mark.parametrize("configuration", WINDOWS, ids=named)
def test_what_stays_open_is_known(configuration: Configuration) -> None:
    """If a window closes, the documents that tell of it must be changed."""
    assert explore_registry(configuration).found.wrong


# ---- a fault would be found


@pytest.mark.parametrize("plant", PLANTS, ids=named)
def test_fault_in_the_registry_form_is_caught(plant: Plant) -> None:
    report = explore_planted(plant, explore_registry)
    print(report.story())
    assert report.found.wrong
    assert report.trace


@pytest.mark.parametrize("plant", EMBEDDED_PLANTS, ids=named)
def test_fault_in_the_transactional_form_is_caught(plant: Plant) -> None:
    report = explore_planted(plant, explore_embedded)
    print(report.story())
    assert report.found.wrong
    assert report.trace


# The others are a part of the large set.
LIGHT = [plant for plant in PLANTS if "late" not in plant.where.faults]


@pytest.mark.parametrize("plant", LIGHT, ids=named)
def test_plants_configuration_is_sound_without_the_plant(plant: Plant) -> None:
    report = explore_registry(plant.where)
    assert not report.found.wrong, report.story()


@pytest.mark.parametrize("plant", EMBEDDED_PLANTS, ids=named)
def test_embedded_plants_configuration_is_sound_without_the_plant(plant: Plant) -> None:
    report = explore_embedded(plant.where)
    assert not report.found.wrong, report.story()


# ---- and the search is not vacuous


def test_rows_are_served_after_each_kind_of_write() -> None:
    for index, configuration in enumerate(SMALL):
        kinds = {write.kind for write in configuration.writes}
        assert small(index).hits >= kinds & {"put", "patch"}, configuration.name


def test_every_event_is_heard_and_every_phase_is_seen() -> None:
    heard, seen = set(), set()
    for index in range(len(SMALL)):
        world = small(index).world
        for number, event in world.decided:
            heard.add(type(event))
            seen.add(world.courses.values[number].phase)
    assert heard == set(get_args(Event))
    assert seen == set(Phase) - {Phase.OVER}


def test_every_line_of_the_decisions_is_run() -> None:
    """All branches of the table that ends a write, among others."""
    worlds = [small(index).world for index in range(len(SMALL))]

    def decide_again() -> None:
        for world in worlds:
            world.initial()
            for number, event in world.decided:
                coherence.on(world.courses.values[number], event)

    # Rows named twice in one body are the unit tests' business.
    decisions = [coherence, course, ending, settling]
    assert lines_missed(decisions, decide_again, besides=("told_apart",)) == []


# Slow to trace, so no more than is needed.
ENOUGH = (
    "delete, put, patch, fetch",
    "filter, everything, put",
    "put, patch, begins fail, crash",
    "2 keys, ends fail",
)


def test_every_line_of_the_transactional_rules_is_run() -> None:
    # Those two are alone with the caller's clock and with a token gone: see the unit tests.
    besides = ("sweep", "sweep_due")
    few = [c for c in EMBEDDED_SMALL if c.name in ENOUGH]
    explored = partial(all, map(explore_embedded, few))
    assert lines_missed([transactional], explored, besides) == []


def test_events_are_told_apart_by_their_kind() -> None:
    """Events without fields must not be taken for one another."""
    events: list[Event] = [Done(), Lost(), Full(), OutOfTime()]
    assert len(set(events)) == len(events)
