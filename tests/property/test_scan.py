"""The C scanner, portable and AVX2, against the oracle: outcome against outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.native.scanner import both_forms
from tests.property.bodies import (
    SOUPS,
    joined,
    legal_bodies,
    mutated_bodies,
)
from tests.property.properties import check_outcome
from tests.property.strategies import ALIGNMENTS, ROWS_MAXES
from tests.property.tokens import SAMPLE_BODIES
from tests.property.variations import VARIATIONS

SCANNERS = both_forms()
REPLACEMENTS = [
    bytes([byte]) for byte in b'{}[],:"\\ 0-+.eEtfnx_u/\x00\x0c\x1f\x7f\x80\xbf\xc3\xf4\xff'
]


@given(joined(SOUPS), st.booleans(), ROWS_MAXES, ALIGNMENTS)
def test_soup_of_tokens_has_the_outcome_of_the_oracle(
    body: bytes, overwrite: bool, rows_max: int, misaligned: int
) -> None:
    check_outcome(SCANNERS, body, overwrite=overwrite, rows_max=rows_max, misaligned=misaligned)


@given(joined(legal_bodies()), st.booleans(), ROWS_MAXES, ALIGNMENTS)
def test_legal_body_has_the_outcome_of_the_oracle(
    body: bytes, overwrite: bool, rows_max: int, misaligned: int
) -> None:
    check_outcome(SCANNERS, body, overwrite=overwrite, rows_max=rows_max, misaligned=misaligned)


@given(joined(mutated_bodies()), st.booleans(), ROWS_MAXES, ALIGNMENTS)
def test_body_with_one_mutation_has_the_outcome_of_the_oracle(
    body: bytes, overwrite: bool, rows_max: int, misaligned: int
) -> None:
    check_outcome(SCANNERS, body, overwrite=overwrite, rows_max=rows_max, misaligned=misaligned)


@pytest.mark.parametrize("variation", VARIATIONS)
@given(st.data(), st.booleans(), ROWS_MAXES, ALIGNMENTS)
def test_every_variation_in_a_drawn_place_has_the_outcome_of_the_oracle(
    variation: str, data: st.DataObject, overwrite: bool, rows_max: int, misaligned: int
) -> None:
    bodies = data.draw(VARIATIONS[variation])
    for body in bodies:
        check_outcome(SCANNERS, body, overwrite=overwrite, rows_max=rows_max, misaligned=misaligned)


@given(joined(mutated_bodies()), st.booleans(), st.integers(0, 63), st.integers(0, 63))
def test_white_space_in_front_moves_the_outcome_and_nothing_else(
    body: bytes, overwrite: bool, white: int, misaligned: int
) -> None:
    for prefix in (b" " * white, b"\n" * (white + 1), b" \t\r\n" * 16 + b" " * white):
        check_outcome(SCANNERS, prefix + body, overwrite=overwrite, misaligned=misaligned)


@pytest.mark.parametrize("body", SAMPLE_BODIES)
def test_body_cut_short_anywhere_has_the_outcome_of_the_oracle(body: bytes) -> None:
    for size in range(len(body) + 1):
        for overwrite in (False, True):
            check_outcome(SCANNERS, body[:size], overwrite=overwrite, misaligned=size % 64)


@pytest.mark.parametrize("body", SAMPLE_BODIES)
def test_any_one_byte_replaced_has_the_outcome_of_the_oracle(body: bytes) -> None:
    for at in range(len(body)):
        for replacement in REPLACEMENTS:
            changed = body[:at] + replacement + body[at + 1 :]
            check_outcome(SCANNERS, changed, overwrite=at % 2 == 0)


@pytest.mark.parametrize("body", SAMPLE_BODIES)
def test_outcome_is_the_same_at_every_alignment(body: bytes) -> None:
    for white in range(65):
        check_outcome(SCANNERS, b" " * white + body, overwrite=True, misaligned=white)
