"""One timer for all that wait."""

import asyncio

import pytest

from hevfast.edge.silence import Silence

pytestmark = pytest.mark.anyio


async def wait_for_nothing(silence: Silence) -> str:
    task = silence.watch()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "silence" if silence.leave(task) else "cancelled"
    return "never"


async def test_those_that_wait_too_long_are_told() -> None:
    silence = Silence(0.02)
    waiting = [asyncio.ensure_future(wait_for_nothing(silence)) for _ in range(3)]
    assert await asyncio.gather(*waiting) == ["silence"] * 3
    assert repr(silence) == "<Silence 0 waiting, 0 late>"
    # Taken back, or the task's own cancellation scopes would still see it.
    assert all(task.cancelling() == 0 for task in waiting)


async def test_a_cancellation_from_outside_is_not_silence() -> None:
    silence = Silence(10)
    waiting = asyncio.ensure_future(wait_for_nothing(silence))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == "cancelled"


async def test_every_sign_of_life_begins_the_wait_anew() -> None:
    silence = Silence(0.05)
    task = silence.watch()
    for _ in range(10):
        await asyncio.sleep(0.02)
        silence.watch()
    assert not silence.leave(task)


async def test_the_timer_rests_when_nobody_waits() -> None:
    silence = Silence(0.01)
    silence.leave(silence.watch())
    assert await wait_for_nothing(silence) == "silence"
    assert await wait_for_nothing(silence) == "silence"
