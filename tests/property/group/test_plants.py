"""Every planted fault is found by the plays, and the judge tells good histories from bad ones."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.property.group.judge import Fate, Known, is_serial
from tests.property.group.plants import PLANTS, Plant, planted
from tests.property.group.plays import PLAYS, perform
from tests.property.group.world import Wish

HUNT = settings(
    max_examples=3000,
    database=None,
    # The same examples each time: whether a plant is found is no matter of luck.
    derandomize=True,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def wish(each: int, *, bad: bool = False) -> Wish:
    return Wish(namespace=0, key=0, ids=(each,), bad=bad, metric=False)


# Where to look first, for those that take long to find otherwise.
LIKELY: dict[str, list[list[tuple[object, ...]]]] = {
    "a fault fails the rest": [
        [
            ("begin", [wish(0), wish(1), wish(2), wish(3, bad=True), wish(4)]),
            ("end", 0, "judged"),
            ("end", 0, "judged"),
            ("end", 0, "lost"),
        ]
    ],
    "a turn of one who has gone": [
        [("begin", [wish(0), wish(1), wish(2)]), ("race", 0, place, turns)]
        for place in range(3)
        for turns in range(6)
    ]
    + [
        [("begin", [wish(0), wish(1)]), ("race", 0, place, turns)]
        for place in range(2)
        for turns in range(6)
    ],
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.what)
def test_planted_fault_is_found(plant: Plant) -> None:
    @HUNT
    @given(PLAYS, st.sampled_from((1, 1, 2)))
    def hunt(play: list[tuple[object, ...]], inflight: int) -> None:
        perform(play, inflight)

    def look() -> None:
        for play in LIKELY.get(plant.what, []):
            perform(play, 1)
        hunt()

    for play in LIKELY.get(plant.what, []):
        perform(play, 1)
    with planted(plant), pytest.raises(AssertionError):
        look()


def known(name: int, begun: int, ended: int, ids: str, fate: Fate = Fate.APPLIED) -> Known:
    return Known(name, begun, ended, frozenset(ids), fate)


@pytest.mark.parametrize(
    ("writes", "rows", "good"),
    [
        ([], {}, True),
        ([known(0, 1, 2, "a")], {"a": 0}, True),
        ([known(0, 1, 2, "a")], {}, False),
        ([known(0, 1, 2, "a", Fate.REFUSED)], {}, True),
        ([known(0, 1, 2, "a", Fate.REFUSED)], {"a": 0}, False),
        ([known(0, 1, 2, "a", Fate.UNKNOWN)], {}, True),
        ([known(0, 1, 2, "a", Fate.UNKNOWN)], {"a": 0}, True),
        ([known(0, 1, 2, "a"), known(1, 3, 4, "a")], {"a": 1}, True),
        ([known(0, 1, 2, "a"), known(1, 3, 4, "a")], {"a": 0}, False),
        ([known(0, 1, 3, "a"), known(1, 2, 4, "a")], {"a": 0}, True),
        ([known(0, 1, 3, "ab"), known(1, 2, 4, "ab")], {"a": 0, "b": 0}, True),
        ([known(0, 1, 3, "ab"), known(1, 2, 4, "ab")], {"a": 0, "b": 1}, False),
        ([known(0, 1, 3, "ab", Fate.UNKNOWN), known(1, 2, 4, "a")], {"a": 1, "b": 0}, True),
        ([known(0, 1, 3, "ab"), known(1, 2, 4, "bc")], {"a": 0, "b": 0, "c": 1}, True),
        ([known(0, 1, 2, "ab"), known(1, 3, 4, "bc")], {"a": 0, "b": 0, "c": 1}, False),
        ([known(0, 1, 9, "ab"), known(1, 2, 8, "bc"), known(2, 3, 7, "ca")],
         {"a": 0, "b": 1, "c": 2}, False),
    ],
)  # fmt: skip
def test_the_judge_knows_serial_orders(
    writes: list[Known], rows: dict[str, int], good: bool
) -> None:
    assert is_serial(writes, rows) is good
