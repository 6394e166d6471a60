"""Pipelines on a store without transactions keep their promises in every interleaving explored."""

from contextlib import ExitStack

import pytest

from tests.model.search import Found
from tests.model.shared_cases import SHARED_LOSSES, SHARED_SMALL, SHARED_WINDOWS
from tests.model.shared_plants import SHARED_PLANTS, SharedPlant
from tests.model.shared_world import Case, run


def named(item: object) -> str | None:
    return item.name if isinstance(item, Case | SharedPlant) else None


def story(found: Found) -> str:
    return "\n".join([*(" ".join(map(str, label)) for label in found.trace), f"=> {found.wrong}"])


@pytest.mark.parametrize("case", [*SHARED_SMALL, *SHARED_LOSSES], ids=named)
def test_shared_pipelines_keep_their_promises(case: Case) -> None:
    found = run(case)
    assert found.complete
    assert not found.wrong, story(found)


@pytest.mark.parametrize("case", SHARED_WINDOWS, ids=named)
def test_what_stays_open_in_shared_pipelines_is_known(case: Case) -> None:
    """If a window closes, the documents that tell of it must be changed."""
    assert run(case).wrong


@pytest.mark.parametrize("plant", SHARED_PLANTS, ids=named)
def test_fault_in_shared_pipelines_is_caught(plant: SharedPlant) -> None:
    with ExitStack() as stack:
        for change in plant.patches():
            stack.enter_context(change)
        found = run(plant.where)
    print(story(found))
    assert found.wrong
    assert found.trace
