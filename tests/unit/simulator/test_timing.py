"""Commit times, rates and query slots."""

import asyncio

import pytest

from hevfast.simulator.answers import Refusal
from hevfast.simulator.timing import CommitTimes, QuerySlots, WriteRate


def test_commits_take_a_time_of_the_span_repeatable_per_namespace() -> None:
    def drawn(seed: int, names: str) -> list[float]:
        times = CommitTimes(seed)
        found = [(name, times.due_s(name, 0.0, (100, 400), grouped=False)) for name in names]
        return [due_s for name, due_s in found if name == "a"]

    first = drawn(1, "aaa")
    assert first == drawn(1, "bababba")
    assert first != drawn(2, "aaa")
    assert all(0.1 <= due_s <= 0.4 for due_s in first)


def test_grouped_writes_wait_for_the_commit_under_way_and_go_together() -> None:
    times = CommitTimes(None)

    def due_s(now_s: float, name: str = "a") -> float:
        return times.due_s(name, now_s, (100, 100), grouped=True)

    assert due_s(0.0) == pytest.approx(0.1)
    assert due_s(0.02) == due_s(0.09) == pytest.approx(0.2)
    assert due_s(0.05, "b") == pytest.approx(0.15)
    # The second commit runs now; who comes meanwhile goes with the third.
    assert due_s(0.15) == due_s(0.19) == pytest.approx(0.3)
    assert due_s(1.0) == pytest.approx(1.1)


def test_namespace_is_held_to_its_rows_and_bytes_a_second() -> None:
    rate = WriteRate()
    rate.spend("a", 0.0, 10_000, 10)
    with pytest.raises(Refusal, match="too many writes"):
        rate.spend("a", 0.0, 1, 1)
    rate.spend("b", 0.0, 1, 40_000_000)
    with pytest.raises(Refusal):
        rate.spend("b", 0.1, 1, 1)
    rate.spend("a", 0.5, 1, 1)
    rate.spend("b", 0.6, 1, 1)


def test_queries_wait_for_slots_in_their_order_and_are_refused_in_the_end() -> None:
    async def play() -> None:
        slots = QuerySlots()
        for _ in range(8):
            await slots.take(2)
        order: list[int] = []

        async def ask(count: int) -> None:
            await slots.take(count)
            order.append(count)

        waiting = [asyncio.create_task(ask(count)) for count in (4, 1)]
        await asyncio.sleep(0)
        slots.give_back(2)
        await asyncio.sleep(0)
        assert order == []
        slots.give_back(2)
        await asyncio.gather(waiting[0])
        slots.give_back(2)
        await asyncio.gather(waiting[1])
        assert order == [4, 1]
        late = asyncio.create_task(ask(4))
        with pytest.raises(Refusal, match="too many concurrent queries") as refused:
            await late
        assert refused.value.status == 429
        # Who was refused or cancelled holds nothing.
        cancelled = asyncio.create_task(ask(16))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        slots.give_back(15)
        assert slots.is_idle

    asyncio.run(play())
