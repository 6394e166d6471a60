"""Deliberately broken scanners: the properties have to tell each of them from the good one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.native.plants import PLANTS, Plant, PlantError, planted_headers
from tests.native.scanner import Scanner, Stamping, both_forms
from tests.oracle import Fault, Plan
from tests.property.bodies import (
    ANY_BODIES,
    MANY_IDS,
    joined,
    legal_bodies,
    mutated_bodies,
)
from tests.property.properties import check_outcome, check_shards, check_stamped
from tests.property.strategies import ALIGNMENTS, ROWS_MAXES, SHARD_COUNTS, STAMPINGS
from tests.property.variations import VARIATIONS, Bodies

EXAMPLES_FEW = 12
EXAMPLES_MAX = 150
HUNT = settings(
    max_examples=EXAMPLES_MAX,
    database=None,
    # The same examples each time: whether a canary is found is no matter of luck.
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Faults that only forbidden memory shows; the unit tests of memory and the fuzzer find them.
UNSEEN_BY_OUTCOMES = {"read one past the end", "UTF-8 cut short by the end"}
# Where to look first, for those that take long to find otherwise.
LIKELY = {
    "commas of whole blocks uncounted": "long numbers",
    "one level too shallow in rows": "value",
    "remembered key kept for the next operation": "rows alike",
    "remembered id accepted twice": "rows alike",
    "colon for a digit": "integer",
}


def hunt_in_outcomes(scanners: list[Scanner], likely: str) -> None:
    strategies = (*VARIATIONS.values(), ANY_BODIES.map(lambda body: Bodies([body])))
    # Most canaries show at once in one of the strategies: all of them get few examples first.
    hunts = [(EXAMPLES_FEW, strategy) for strategy in strategies]
    if likely:
        hunts = [(4 * EXAMPLES_MAX, VARIATIONS[likely])]
    for examples_max, strategy in hunts + [(EXAMPLES_MAX, strategy) for strategy in strategies]:

        @settings(HUNT, max_examples=examples_max)
        @given(strategy, st.booleans(), ROWS_MAXES, ALIGNMENTS)
        def outcomes(bodies: Bodies, overwrite: bool, rows_max: int, misaligned: int) -> None:
            for body in bodies:
                check_outcome(
                    scanners, body, overwrite=overwrite, rows_max=rows_max, misaligned=misaligned
                )

        outcomes()


def hunt_in_stamps(scanners: list[Scanner]) -> None:
    @settings(HUNT, max_examples=10 * EXAMPLES_MAX)
    @given(joined(st.one_of(legal_bodies(), mutated_bodies())), STAMPINGS, st.booleans())
    def stamps(body: bytes, stamping: Stamping, overwrite: bool) -> None:
        check_stamped(scanners, body, stamping, overwrite=overwrite)

    @HUNT
    @given(MANY_IDS, SHARD_COUNTS)
    def shards(ids: list[bytes], shard_count: int) -> None:
        check_shards(scanners, ids, shard_count)

    shards()
    stamps()


@pytest.mark.parametrize("name", sorted(PLANTS.keys() - UNSEEN_BY_OUTCOMES))
def test_property_fails_on_a_scanner_with(name: str) -> None:
    plant = PLANTS[name]
    scanners = both_forms(planted_headers(plant), ("-O1", "-fvisibility=hidden"))
    with pytest.raises(AssertionError):
        hunt(plant, scanners, LIKELY.get(name, ""))


def hunt(plant: Plant, scanners: list[Scanner], likely: str) -> None:
    if plant.file in ("splice.h", "xxh64.h"):
        hunt_in_stamps(scanners)
    else:
        hunt_in_outcomes(scanners, likely)


def test_fourteen_faults_at_least_are_planted() -> None:
    assert len(PLANTS) - len(UNSEEN_BY_OUTCOMES) >= 14


def test_plant_that_does_not_match_fails() -> None:
    for text in ("no such text in the header", "return"):
        with pytest.raises(PlantError):
            planted_headers(Plant("walk.h", text, ""))


def test_outcomes_that_differ_in_one_field_are_not_equal() -> None:
    class Other:
        """Says what the scanner says, but for a fault's offset or the schema's flag."""

        def plan(self, body: bytes, **options: bool | int) -> Plan | Fault:
            outcome = Scanner(portable=True).plan(body, **options)
            if isinstance(outcome, Fault):
                return Fault(outcome.kind, outcome.offset + 1)
            return Plan(outcome.keys, True, outcome.sections, outcome.rows, outcome.cuts)

    for body in (b"{}", b'{"schema":{}}'):
        with pytest.raises(AssertionError):
            check_outcome([Other()], body)
