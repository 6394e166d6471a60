"""Writes that go together, in any order of events: as if each had gone by itself, one by one."""

from hypothesis import given
from hypothesis import strategies as st

from tests.property.group.plays import PLAYS, perform


@given(PLAYS, st.sampled_from((1, 1, 1, 2, 3)))
def test_grouped_writes_are_a_serial_order_and_each_is_told_its_own(
    play: list[tuple[object, ...]], inflight: int
) -> None:
    perform(play, inflight)
