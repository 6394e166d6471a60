"""Faults planted in the deeds on a shared store, and in the store: each must be found."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from hevfast.pipelines import aerospike_call as call
from hevfast.pipelines import aerospike_settling as settling
from hevfast.pipelines.aerospike_operations import Answer, Drop
from hevfast.pipelines.aerospike_plan import Change, Desk
from tests.model.shared_cases import SHARED_SMALL
from tests.model.shared_store import Draft
from tests.model.shared_world import Case

Patches = list[AbstractContextManager[Any]]


class SharedPlant(NamedTuple):
    name: str
    where: Case
    patches: Callable[[], Patches]


SHARED_PLANTS: list[SharedPlant] = []

DESK = Desk(lambda: b"", lambda: 0)


def plant(name: str, case: str) -> Any:
    where = next(each for each in SHARED_SMALL if each.name == case)

    def register(patches: Callable[[], Patches]) -> None:
        SHARED_PLANTS.append(SharedPlant(name, where, patches))

    return register


# ---- the store's conditions


@plant("a write does not ask for the generation", "two claim one each")
def _() -> Patches:
    return [patch.object(Draft, "checks_generation", False)]


@plant("a call is counted by all who close it", "settled while it runs")
def _() -> Patches:
    return [patch.object(Draft, "checks_token", False)]


@plant("a segment is sealed that is not empty", "a segment is passed")
def _() -> Patches:
    return [patch.object(Draft, "checks_empty", False)]


@plant("a sealed segment takes hints", "a segment is passed")
def _() -> Patches:
    return [patch.object(Draft, "checks_seal", False)]


@plant("a touch does not change the generation", "settled while it claims")
def _() -> Patches:
    return [patch.object(Draft, "touches", False)]


@plant("a touch does not say what was settled", "settled while it claims")
def _() -> Patches:
    return [patch.object(Draft, "marks", False)]


# ---- the order of steps


@plant("the state is written before its hint", "staged while it is claimed")
def _() -> Patches:
    announce, write = call._announce, call._write

    def nothing(desk: Any, plan: Any, chosen: Any, outcome: Any) -> Any:
        return chosen, []
        yield

    def both(chosen: Any, plan: Any, outcome: Any) -> Any:
        written, lost = yield from write(chosen, plan, outcome)
        yield from announce(DESK, plan, written, outcome)
        return written, lost

    return [patch.object(call, "_announce", nothing), patch.object(call, "_write", both)]


@plant("the old hint goes before the state does", "two claim one each")
def _() -> Patches:
    write = call._write

    def early(chosen: Any, plan: Any, outcome: Any) -> Any:
        yield [
            Drop(each.after.before.spot.segment, [each.after.before.spot.key])
            for each in chosen
            if each.after.before.spot is not None
        ]
        return (yield from write(chosen, plan, outcome))

    return [patch.object(call, "_write", early)]


@plant("what was refused is counted", "staged anew while it is claimed")
def _() -> Patches:
    write = call._write

    def hopeful(chosen: Any, plan: Any, outcome: Any) -> Any:
        yield from write(chosen, plan, outcome)
        outcome.again.clear()
        outcome.changed[:] = [Change(each.number, each.before, each.after) for each in chosen]
        return chosen, []

    return [patch.object(call, "_write", hopeful)]


@plant("a write without an answer counts as refused", "not answered")
def _() -> Patches:
    write = call._write

    def hasty(chosen: Any, plan: Any, outcome: Any) -> Any:
        deed = write(chosen, plan, outcome)
        answers = None
        while True:
            try:
                asked = deed.send(answers)
            except StopIteration as stop:
                return stop.value
            answers = [
                Answer.REFUSED if answer is Answer.LOST else answer for answer in (yield asked)
            ]

    return [patch.object(call, "_write", hasty)]


# ---- open calls


@plant("documents of open calls are changed", "failed with reasons")
def _() -> Patches:
    return [patch.object(call, "is_open", lambda tag, number, opened: False)]


@plant("a hint of an open call counts as stale", "staged while it is claimed")
def _() -> Patches:
    sort_out = call._sort_out

    def hasty(plan: Any, *words: Any) -> None:
        plan.book = plan.book._replace(open={}, number=1 << 60)
        sort_out(plan, *words)

    return [patch.object(call, "_sort_out", hasty)]


@plant("settling leaves no void behind", "settled while it runs")
def _() -> Patches:
    find_out = settling._find_out

    def trusting(token: Any, body: Any, number: int) -> Any:
        return (yield from find_out(token, body._replace(creates=False), number))

    return [patch.object(settling, "_find_out", trusting)]


@plant("settling forgets the hints that were left", "two claim two")
def _() -> Patches:
    closing = settling.closing
    return [
        patch.object(settling, "closing", lambda token, states, second: closing(token, (), second))
    ]
