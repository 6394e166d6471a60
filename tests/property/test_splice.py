"""The stamped body: the oracle's bytes, whatever windows they are taken through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.native.scanner import Placed, Stamping, both_forms
from tests.oracle import shard_of, xxh64
from tests.oracle.reader import decoded
from tests.property.bodies import IDS, joined, legal_bodies, mutated_bodies
from tests.property.properties import check_stamped
from tests.property.strategies import ALIGNMENTS, STAMPINGS
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


@given(st.lists(IDS, min_size=1, max_size=5), st.sampled_from((1, 8, 16, 1000)))
def test_shard_is_that_of_the_decoded_id(ids: list[bytes], shard_count: int) -> None:
    body = b'{"upsert_rows":[%s]}' % b",".join(b'{"id":%s}' % spelled for spelled in ids)
    stamped = SCANNERS[0].stamped(body, Stamping(0, shard_count))
    stamps = stamped.split(b'{"_hevlayer_upserted_at":0,"_hevlayer_shard":')[1:]
    shards = [int(after.split(b",", 1)[0]) for after in stamps]
    texts = [decoded(spelled[1:-1]) if spelled[:1] == b'"' else spelled for spelled in ids]
    assert shards == [xxh64(text) % shard_count for text in texts]
    assert shards == [shard_of(spelled, shard_count) for spelled in ids]


@pytest.mark.parametrize("size", range(130))
def test_xxh64_of_every_length_is_that_of_the_oracle(size: int) -> None:
    data = bytes((at * 167 + size) % 256 for at in range(size))
    placed = Placed(data)
    assert SCANNERS[0].xxh64_at(placed.address, placed.size) == xxh64(data)
