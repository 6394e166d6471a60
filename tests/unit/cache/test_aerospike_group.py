"""Operations that wait are gathered, in bounded calls, and each hears what became of its own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hevfast.cache import aerospike_group
from hevfast.cache.aerospike_client import StoreAwayError, StoreLostError
from hevfast.cache.aerospike_group import Followed, Group

pytestmark = pytest.mark.anyio


class Record:
    """What the group knows of a record."""

    def __init__(self, name: str, result: int = 0) -> None:
        self.name = name
        self.result = result


class Threads:
    """Jobs that wait to be done, and the batches that the client was given."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[Any], None], asyncio.Future[None]]] = []
        self.batches: list[list[str]] = []
        self.fails: set[str] = set()
        self.is_away = False

    def ask(self, job: Callable[[Any], None]) -> "asyncio.Future[None]":
        if self.is_away:
            raise StoreAwayError("there is no connection")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.jobs.append((job, future))
        return future

    def do_batch(
        self, _: Any, records: Sequence[Record], *, small: bool, least_ms: int = 0
    ) -> None:
        self.batches.append([record.name for record in records])
        if self.fails.intersection(self.batches[-1]):
            raise StoreLostError("a batch ended with 9")

    async def work(self) -> None:
        """Do what waits, and let those hear of it who wait for it."""
        for job, future in self.jobs:
            try:
                job(None)
            except StoreLostError as error:
                future.set_exception(error)
            else:
                future.set_result(None)
        self.jobs = []
        await turn()


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    given = Threads()
    monkeypatch.setattr(aerospike_group, "do_batch", given.do_batch)
    return given


@pytest.fixture
def group(threads: Threads) -> Group:
    return Group(threads.ask)


def submit(
    group: Group, *names: str, size: int = 10, seconds: float = 60.0, then: Record | None = None
) -> "asyncio.Future[Followed]":
    deadline_s = asyncio.get_running_loop().time() + seconds
    return group.submit([Record(name) for name in names], size, deadline_s, following=then)


async def test_what_is_asked_for_in_one_turn_is_one_call(threads: Threads, group: Group) -> None:
    waiting = [submit(group, name) for name in "abc"]
    await turn()
    await threads.work()
    assert threads.batches == [["a", "b", "c"]]
    assert await asyncio.gather(*waiting) == [Followed.NOT_ASKED] * 3


async def test_what_is_asked_for_while_calls_are_under_way_gathers(
    threads: Threads, group: Group
) -> None:
    for name in "abcd":
        submit(group, name)
        await turn()
    # Two at once, and no third one.
    assert len(threads.jobs) == 2
    await threads.work()
    await threads.work()
    assert threads.batches == [["a"], ["b"], ["c", "d"]]


@pytest.mark.parametrize(("bound", "value", "size"), [("RECORDS", 3, 10), ("BYTES", 35, 15)])
async def test_call_is_bounded_and_takes_whole_submissions(
    threads: Threads,
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    value: int,
    size: int,
) -> None:
    monkeypatch.setattr(aerospike_group, f"CALL_{bound}_MAX", value)
    waiting = [submit(group, f"{n}a", f"{n}b", size=size) for n in range(3)]
    waiting.append(submit(group, "large", size=10_000))
    await turn()
    while threads.jobs:
        await threads.work()
    assert all(len(batch) <= 4 for batch in threads.batches)
    assert [name for batch in threads.batches for name in batch][-1] == "large"
    assert threads.batches[-1] == ["large"] or bound == "RECORDS"
    await asyncio.gather(*waiting)


async def test_failed_call_is_heard_by_all_that_were_in_it(threads: Threads, group: Group) -> None:
    threads.fails = {"b"}
    waiting = [submit(group, name) for name in "ab"]
    await turn()
    await threads.work()
    for each in waiting:
        with pytest.raises(StoreLostError):
            await each
    # And the next call is made all the same.
    following = submit(group, "c")
    await turn()
    await threads.work()
    assert await following is Followed.NOT_ASKED


async def test_what_follows_is_done_only_after_all_before_it_are_confirmed(
    threads: Threads, group: Group
) -> None:
    deadline_s = asyncio.get_running_loop().time() + 60
    results = {"done": [0], "missing": [0, 2], "busy": [0, 14], "doubtful": [-15]}
    waiting = {
        name: group.submit(
            [Record(name, code) for code in codes], 10, deadline_s, following=Record(f"end {name}")
        )
        for name, codes in results.items()
    }
    await turn()
    await threads.work()
    assert threads.batches[1:] == [["end done", "end missing"]]
    assert {name: await each for name, each in waiting.items()} == {
        "done": Followed.ASKED,
        "missing": Followed.ASKED,
        "busy": Followed.NOT_ASKED,
        "doubtful": Followed.NOT_ASKED,
    }


async def test_what_follows_and_fails_leaves_the_rest_confirmed(
    threads: Threads, group: Group
) -> None:
    threads.fails = {"end"}
    followed, beside = submit(group, "a", then=Record("end")), submit(group, "b")
    await turn()
    await threads.work()
    assert await followed is Followed.LOST
    assert await beside is Followed.NOT_ASKED


async def test_nobody_waits_beyond_his_deadline(threads: Threads, group: Group) -> None:
    under_way, waiting = submit(group, "a", seconds=0.03), None
    await turn()
    submit(group, "b")
    await turn()
    waiting = submit(group, "c", seconds=0.03)
    for late in (under_way, waiting):
        with pytest.raises(StoreLostError, match="no answer in time"):
            await asyncio.wait_for(late, 5)
    await threads.work()
    # What was given up before its call was made is not done.
    assert threads.batches == [["a"], ["b"]]
    assert not threads.jobs


async def test_what_a_caller_has_left_is_not_done(threads: Threads, group: Group) -> None:
    left, kept = submit(group, "a"), submit(group, "b")
    left.cancel()
    await turn()
    await threads.work()
    assert threads.batches == [["b"]]
    assert await kept is Followed.NOT_ASKED


async def test_what_waits_is_bounded(
    threads: Threads, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aerospike_group, "_WAITING_MAX", 2)
    waiting = [submit(group, "a"), submit(group, "b")]
    with pytest.raises(StoreAwayError):
        submit(group, "c")
    await turn()
    await threads.work()
    await asyncio.gather(*waiting)


async def test_store_that_is_away_is_heard_at_once(threads: Threads, group: Group) -> None:
    threads.is_away = True
    with pytest.raises(StoreAwayError):
        await submit(group, "a")
    assert repr(group) == "<Group 0 waiting, 0 calls under way>"
