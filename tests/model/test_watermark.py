"""No row stamped up to a watermark is committed or indexed after it was given, in any course."""

import pytest

from tests.model.watermark_cases import CASES, Case
from tests.model.watermark_plants import WATERMARK_PLANTS, WatermarkPlant
from tests.model.watermark_world import Explored, explored


def named(item: object) -> str | None:
    return item.name if isinstance(item, Case | WatermarkPlant) else None


def story(found: Explored) -> str:
    return "\n".join([*found.trace, f"=> {found.wrong}"])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_watermark_holds(case: Case) -> None:
    found = explored(case)
    assert not found.wrong, story(found)
    # And it is given: a watermark that never moves would hold, too.
    assert found.given


@pytest.mark.parametrize("plant", WATERMARK_PLANTS, ids=named)
def test_fault_in_the_watermark_is_caught(plant: WatermarkPlant) -> None:
    with plant.patches():
        found = explored(plant.where)
    print(story(found))
    assert found.wrong
