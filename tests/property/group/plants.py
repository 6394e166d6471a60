"""Faults planted one at a time, each a change of a few words in one shipped function."""

import contextlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from hevfast.batch import group as batch_group
from hevfast.routes import settling
from hevfast.routes.grouping import Grouping
from hevfast.upstream import lane
from hevfast.upstream.group import Groups
from hevfast.upstream.lane import Lane


class Plant(NamedTuple):
    """A fault: in the function `name` of `owner`, `new` in place of `old`."""

    what: str
    owner: Any
    name: str
    old: str
    new: str


PLANTS = (
    Plant("keys are mixed", Lane, "add", "waiter.key", "waiter.key[0]"),
    Plant("frames are mixed", Grouping, "send", "member.frame)", "member.frame[:1])"),
    Plant("an id twice in a group", Lane, "_cut", "not ids.isdisjoint(digests)", "False"),
    Plant("an id twice in a write", batch_group, "member_of", "!= plan", "> plan"),
    Plant("last in, first out", Lane, "add", "queue.append", "queue.appendleft"),
    Plant("too many in flight", Lane, "due_s", "self.full or ", ""),
    Plant("a slot is never given back", Groups, "_run", "if in_flight:", "if False:"),
    Plant("a slot is given back twice", Groups, "_run", "in_flight = False", "pass"),
    Plant("a turn of one who has gone", Groups, "_turn", "if waiter.has_turn:", "if False:"),
    Plant("who has gone is sent", Lane, "_cut", "not waiter.gone", "True"),
    Plant("who has gone is sent again", Groups, "_still_waiting", "not waiter.gone", "True"),
    Plant("who leaves does not wait", Groups, "_turn", "await waiter.outlive()", "pass"),
    Plant("room is not given back", Lane, "_pop", "self._room.give(size)", "pass"),
    Plant("all share a refusal", lane, "is_refused_for_rows", "400 <= status", "False"),
    Plant("refused writes are lost", lane, "parts_of", "refused[middle:]", "refused[middle + 1:]"),
    Plant("failed groups are sent again", lane, "is_refused_for_rows", "< 500", "< 600"),
    Plant("counts are the group's", batch_group, "shares_of", "if name in fields", "if False"),
    Plant("all are billed", batch_group, "shares_of", 'if "billing" in fields', "if False"),
    Plant("answers are mixed up", batch_group, "shares_of", "[0].rows_count", "[-1].rows_count"),
    Plant("a fault fails the rest", Groups, "_run", "_fail(part, error)", "_fail(group, error)"),
    Plant("told before it is sent", Groups, "_ask", "begun_s =", "_fail(part, _late()); begun_s ="),
    Plant("nobody is too late", Groups, "_look", "- self._wait_s", "- 9 * self._wait_s"),
    Plant("an idle namespace waits", Lane, "free", "not self._pause_s(now_s)", "self.inflight"),
    Plant("a body is lost", batch_group, "body_of", "in members]", "in members[1:]]"),
    Plant("unsent rows are cached", settling, "sent_between", "REJECTED, ()", "APPLIED, rows"),
)


@contextlib.contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """Put a changed function in place of the shipped one."""
    shipped = getattr(plant.owner, plant.name)
    source = textwrap.dedent(inspect.getsource(shipped))
    assert plant.old in source, f"{plant.what}: {plant.old!r} is not there"
    made: dict[str, Any] = {}
    exec(source.replace(plant.old, plant.new), shipped.__globals__, made)
    # Also where it was imported by its name.
    modules = [each for name, each in sys.modules.items() if name.startswith("hevfast.")]
    homes = [
        home
        for home in {id(each): each for each in (plant.owner, *modules)}.values()
        if home.__dict__.get(plant.name) is shipped
    ]
    for home in homes:
        setattr(home, plant.name, made[plant.name])
    try:
        yield
    finally:
        for home in homes:
            setattr(home, plant.name, shipped)
