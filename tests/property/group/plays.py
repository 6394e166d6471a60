"""Plays: what callers and upstream do, drawn at random, and how one is performed."""

import asyncio

from hypothesis import strategies as st

from tests.property.group.upstream import ENDS
from tests.property.group.world import Loop, Wish, World

# Mostly alike, so that they meet: an even choice would seldom bring two of one kind together.
WISHES = st.builds(
    Wish,
    namespace=st.sampled_from((0,) * 9 + (1,)),
    key=st.sampled_from((0,) * 9 + (1, 1, 2)),
    ids=st.lists(st.integers(0, 5), min_size=1, max_size=2).map(tuple),
    bad=st.sampled_from((False,) * 5 + (True,)),
    metric=st.sampled_from((False,) * 9 + (True,)),
)
STEPS = st.one_of(
    st.tuples(st.just("begin"), st.lists(WISHES, min_size=1, max_size=8)),
    st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from(ENDS)),
    st.tuples(st.just("end"), st.integers(0, 3), st.just("judged")),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("race"), st.integers(0, 3), st.integers(0, 9), st.integers(0, 4)),
    st.tuples(st.just("pass_time"), st.sampled_from((0.01, 0.3, 3.0, 5.0))),
)
PLAYS = st.lists(STEPS, min_size=8, max_size=24)


def perform(play: list[tuple[object, ...]], inflight: int) -> None:
    """Raises: AssertionError for a promise that is broken."""

    async def acts() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        faults: list[object] = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        world = World(loop, inflight)
        for deed, *arguments in play:
            await getattr(world, str(deed))(*arguments)
        await world.finish()
        assert not faults, faults

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(asyncio.wait_for(acts(), 1_000_000))
