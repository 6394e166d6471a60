"""The stamped body: the oracle's bytes, whatever windows they are taken through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.native.scanner import Placed, Stamping, both_forms
from tests.oracle import xxh64
from tests.property.bodies import MANY_IDS, joined, legal_bodies, mutated_bodies
from tests.property.properties import check_shards, check_stamped
from tests.property.strategies import ALIGNMENTS, SHARD_COUNTS, STAMPINGS
from tests.property.tokens import SAMPLE_BODIES

SCANNERS = both_forms()


@given(joined(legal_bodies()), STAMPINGS, st.booleans(), ALIGNMENTS)
def test_stamped_body_is_that_of_the_oracle(
    body: bytes, stamping: Stamping, overwrite: bool, misaligned: int
) -> None:
    check_stamped(SCANNERS, body, stamping, overwrite=overwrite, misaligned=misaligned)


@given(joined(mutated_bodies()), STAMPINGS, ALIGNMENTS)
def test_stamped_body_with_a_harmless_mutation_is_that_of_the_oracle(
    body: bytes, stamping: Stamping, misaligned: int
) -> None:
    check_stamped(SCANNERS, body, stamping, overwrite=True, misaligned=misaligned)


@pytest.mark.parametrize("body", SAMPLE_BODIES)
def test_every_window_gives_the_same_bytes(body: bytes) -> None:
    for cap in (*range(128, 200), 255, 256, 257, 1000):
        for by_reference_min in (1, 17, 64, 2**40):
            stamping = Stamping(caps=(cap,), by_reference_min=by_reference_min)
            check_stamped(SCANNERS, body, stamping, overwrite=True)


@given(MANY_IDS, SHARD_COUNTS)
def test_shard_is_that_of_the_decoded_id(ids: list[bytes], shard_count: int) -> None:
    check_shards(SCANNERS, ids, shard_count)


def test_shard_is_that_of_an_id_of_any_length_plain_or_escaped() -> None:
    for size in range(131):
        plain = b'"' + b"x" * size + b'"'
        escaped = b'"' + rb"\u0078" * size + b'"'
        check_shards(SCANNERS, [plain, escaped, b"7" * (size + 1)], 2**32 - 1)


@pytest.mark.parametrize("size", range(130))
def test_xxh64_of_every_length_is_that_of_the_oracle(size: int) -> None:
    data = bytes((at * 167 + size) % 256 for at in range(size))
    placed = Placed(data)
    assert SCANNERS[0].xxh64_at(placed.address, placed.size) == xxh64(data)
