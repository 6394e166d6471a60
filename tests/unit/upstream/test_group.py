"""What becomes of writes that wait when the worker stops, and of faults that nobody foresaw."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hevfast.core.errors import GatewayError, UnsentError
from hevfast.settings import load
from hevfast.upstream import group as module
from hevfast.upstream.answer import Answer
from hevfast.upstream.group import Groups, Joined
from tests.unit.upstream.test_lane import Body, caller

pytestmark = pytest.mark.anyio


class Held:
    """Groups whose every exchange waits for `go`."""

    def __init__(self, shares: Callable[[Answer, list[Body]], list[Answer]] | None = None) -> None:
        self._may_end = asyncio.Semaphore(0)
        self.sent: list[int] = []
        self.groups: Groups[Body] = Groups(
            load({"HEVFAST_COALESCE": "on"}), self._together, shares or self._shares
        )

    async def _together(self, key: object, members: list[Body]) -> Answer:
        return await self._sent(len(members))

    async def _sent(self, count: int) -> Answer:
        self.sent.append(count)
        await self._may_end.acquire()
        return Answer(200, [], b"{}")

    @staticmethod
    def _shares(answer: Answer, members: list[Body]) -> list[Answer]:
        return [answer.with_body(b"%d" % n) for n in range(len(members))]

    def go(self, exchanges: int = 99) -> None:
        for _ in range(exchanges):
            self._may_end.release()

    async def begin(self, *names: int) -> "list[asyncio.Task[Answer]]":
        tasks = [asyncio.ensure_future(self._send(name)) for name in names]
        await asyncio.sleep(0)
        return tasks

    def _send(self, name: int) -> Awaitable[Answer]:
        def alone() -> Awaitable[Answer]:
            return self._sent(1)

        def join() -> Joined[Body]:
            return "k", caller(name).member, alone

        return self.groups.send(b"n", alone, join)


async def test_closing_waits_for_what_waits_behind_a_write_of_a_caller() -> None:
    held = Held()
    tasks = await held.begin(1, 2, 3)
    closing = asyncio.ensure_future(held.groups.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    held.go()
    await closing
    assert held.sent == [1, 2]
    assert [(await task).status for task in tasks] == [200] * 3
    assert repr(held.groups) == "<Groups 0 lanes, 0 waiting>"


async def test_closing_ends_and_tells_who_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_DRAIN_S", 0.02)
    held = Held()
    [first] = await held.begin(1)
    together = await held.begin(2, 3)
    held.go(1)
    await first
    waiting = await held.begin(2)
    await held.groups.close()
    for task in together:
        with pytest.raises(GatewayError, match="given up"):
            await task
    with pytest.raises(UnsentError):
        await waiting[0]
    assert held.sent == [1, 2]


async def test_each_caller_of_a_failed_group_gets_an_error_of_its_own() -> None:
    held = Held()

    async def lost(key: object, members: list[Body]) -> Answer:
        raise GatewayError("upstream_error", "lost") from TimeoutError()

    held.groups._together = lost
    first, *others = await held.begin(1, 2, 3)
    held.go()
    await first
    errors = [task.exception() for task in others if not (await asyncio.wait([task]))[1]]
    assert [type(error) for error in errors] == [GatewayError, GatewayError]
    assert errors[0] is not errors[1]
    assert all(error and isinstance(error.__cause__, TimeoutError) for error in errors)


async def test_a_fault_of_our_own_is_told_to_all_and_frees_the_namespace() -> None:
    def broken(answer: Answer, members: list[Body]) -> list[Answer]:
        raise ZeroDivisionError

    held = Held(broken)
    first, *others = await held.begin(1, 2, 3)
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    held.go()
    await first
    for task in others:
        with pytest.raises(GatewayError, match="given up"):
            await task
    assert repr(held.groups) == "<Groups 0 lanes, 0 waiting>"
    assert (await (await held.begin(4))[0]).status == 200
