"""Strategies of everything a property needs besides a body."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.native.scanner import Stamping
from tests.oracle.vocabulary import ROWS_MAX

ALIGNMENTS = st.one_of(st.just(0), st.sampled_from((1, 31, 32, 33, 63)), st.integers(0, 63))
ROWS_MAXES = st.sampled_from((ROWS_MAX, ROWS_MAX, ROWS_MAX, 0, 1, 2, 3, 5))
CAPS = st.lists(
    st.one_of(st.sampled_from((128, 129, 191, 192, 256, 4096)), st.integers(128, 700)),
    min_size=1,
    max_size=4,
).map(tuple)
SHARD_COUNTS = st.sampled_from((0, 1, 2, 8, 10, 11, 16, 100, 101, 65536, 2**32 - 1))
STAMPINGS = st.builds(
    Stamping,
    now_ms=st.sampled_from((0, 7, 1_764_000_000_123, 2**53, 2**63 - 1)),
    shard_count=SHARD_COUNTS,
    stamp_shard=st.booleans(),
    caps=CAPS,
    by_reference_min=st.sampled_from((1, 2, 16, 64, 100, 128, 500, 4096, 2**40)),
)
