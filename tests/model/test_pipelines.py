"""The promises of the pipelines hold in every interleaving that is explored; no fault is missed."""

from contextlib import ExitStack
from functools import cache

import pytest

from hevfast.pipelines import lease, lmdb_step
from tests.model.lines import lines_missed
from tests.model.pipeline_account import Case
from tests.model.pipeline_cases import PIPELINE_SMALL, PIPELINE_WINDOWS
from tests.model.pipeline_plants import PIPELINE_PLANTS, PipelinePlant
from tests.model.pipeline_world import World, run, spelled
from tests.model.search import Found


def named(item: object) -> str | None:
    if isinstance(item, PipelinePlant):
        return item.where.name
    return item.name if isinstance(item, Case) else None


def story(found: Found) -> str:
    return "\n".join([*map(spelled, found.trace), f"=> {found.wrong}"])


@cache
def explored(case_name: str) -> tuple[World, Found]:
    return run(next(case for case in PIPELINE_SMALL if case.name == case_name))


@pytest.mark.parametrize("case", PIPELINE_SMALL, ids=named)
def test_pipelines_keep_their_promises(case: Case) -> None:
    _, found = explored(case.name)
    assert found.complete
    assert not found.wrong, story(found)


@pytest.mark.parametrize("case", PIPELINE_WINDOWS, ids=named)
def test_what_stays_open_in_the_pipelines_is_known(case: Case) -> None:
    """If a window closes, the documents that tell of it must be changed."""
    _, found = run(case)
    assert found.wrong


@pytest.mark.parametrize("plant", PIPELINE_PLANTS, ids=named)
def test_fault_in_the_pipelines_is_caught(plant: PipelinePlant) -> None:
    with ExitStack() as stack:
        for change in plant.patches():
            stack.enter_context(change)
        _, found = run(plant.where)
    print(story(found))
    assert found.wrong
    assert found.trace


@pytest.mark.parametrize("plant", PIPELINE_PLANTS, ids=named)
def test_pipeline_plants_case_is_sound_without_the_plant(plant: PipelinePlant) -> None:
    _, found = run(plant.where)
    assert not found.wrong, story(found)


def test_every_outcome_of_a_deed_is_seen() -> None:
    seen = set().union(*[explored(case.name)[0].seen for case in PIPELINE_SMALL])
    refused = {"a move was refused", "a write was refused", "an index was refused"}
    moved = {"moved to failed", "moved to pending", "moved to extracted", "moved to indexed"}
    assert seen == {*refused, *moved, "indexed"}


# Slow to trace, so no more than is needed.
ENOUGH = (
    "strangers",
    "heartbeats in time and late",
    "given up, failed, swept",
    "restaged twice",
    "by prefix",
)


def test_every_line_of_the_rules_is_run() -> None:
    # Documents created without chunks, and none that is not there: the contract's tests. A claim
    # by the index never meets what is not to be claimed: the unit tests. Damage: the contract's.
    # Moves are kept from one exploration to the next.
    besides = ("created", "move", "index", "claimed", "opened", "_at", "_move")

    def explore_again() -> None:
        for case in PIPELINE_SMALL:
            if case.name in ENOUGH:
                run(case)

    assert lines_missed([lease, lmdb_step], explore_again, besides) == []
