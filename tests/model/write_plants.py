"""Faults planted in the registry form, in writes: one for each rule they cannot do without."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from hevfast.cache import coherence, course, ending, settling
from hevfast.cache import operations as ops
from hevfast.cache.course import Course, Step, over
from hevfast.cache.ending import Ending
from hevfast.cache.events import (
    Answer,
    Began,
    DoubtLapsed,
    Event,
    Finished,
    Mirrored,
    Unknown,
    Verdict,
)
from hevfast.cache.keys import NO_BUMPS
from hevfast.cache.records import Record
from tests.model import store as shop
from tests.model.configuration import Write
from tests.model.planting import Plant, nursery

DELETE, PATCH, PUT = Write("delete"), Write("patch"), Write("put")
EVERYTHING, FILTER = Write("everything", ()), Write("filter")


def on(write: Write, *keys: int) -> Write:
    return Write(write.kind, keys, write.outcomes)


WRITE_PLANTS: list[Plant] = []
plant = nursery(WRITE_PLANTS)


def in_phase(
    phase: coherence.Phase, change: Callable[[Course, Event, Step], Step]
) -> AbstractContextManager[Any]:
    """Change what one phase makes of an event."""
    real = coherence._IN_PHASE[phase]

    def changed(course: Course, event: Event) -> Step:
        return change(course, event, real(course, event))

    return patch.dict(coherence._IN_PHASE, {phase: changed})


# ---- begin


@plant("elders are not looked for", PUT, PUT)
def _() -> Any:
    return patch.object(settling, "elders_of", lambda keys, seen: ())


@plant("elders are not looked for by a write that holds everything", FILTER, PUT)
def _() -> Any:
    real = ending.elders_of

    def elders_of(keys: Any, seen: Any) -> Any:
        return real(keys, [token for token in seen if token.held != b"*"])

    return patch.object(settling, "elders_of", elders_of)


@plant("rows are put before upstream has answered", Write("put", outcomes="OR"))
def _() -> Any:
    def early(course: Course, event: Event, step: Step) -> Step:
        after, actions = step
        if not isinstance(event, Began) or after.keys is None or after.fence is None:
            return step
        deeds = bytes([ops.Deed.PUT]) * len(after.keys)
        return after, (*actions, ops.Mirror(after.keys, deeds, after.fence, ()))

    return in_phase(coherence.Phase.BEGINNING, early)


@plant(
    "patches merge in a young registry",
    PUT,
    PATCH,
    fetches=(0,),
    cached=False,
    one_order=True,
    lose_registry=1,
)
def _() -> Any:
    real = course.patched

    def patched(mine: Course) -> tuple[int, ...]:
        return real(mine._replace(young=False))

    return [patch.object(module, "patched", patched) for module in (coherence, settling)]


@plant("a base is valid whatever its stamp", PATCH, PUT, PUT, one_order=True)
def _() -> Any:
    return patch.object(settling, "is_hit", lambda record, fence, bucket: True)


# ---- the end


@plant("the end does not look who is in flight", PUT, PUT)
def _() -> Any:
    return patch.object(settling, "needs_look", lambda keys, elders, based: False)


@plant("an elder still in flight is not bumped", PUT, PUT)
def _() -> Any:
    real = ending.plan_end
    return patch.object(settling, "plan_end", lambda *a: real(*a)._replace(bumps=NO_BUMPS))


@plant("an elder that has ended is forgotten", PUT, PUT, PUT)
def _() -> Any:
    real = ending.plan_end

    def plan_end(keys: Any, kinds: Any, elders: Any, based: Any, begun: Any, look: Any) -> Ending:
        if look is not None:
            elders = [token for token in elders if look.has(token.id)]
        return real(keys, kinds, elders, based, begun, look)

    return patch.object(settling, "plan_end", plan_end)


@plant("a put takes the stamp of its end", PUT, PUT)
def _() -> Any:
    def write_record(store: shop.Store, number: int, record: Record | None) -> Any:
        if record is not None and store.shelf is not None:
            record = record._replace(stamp=shop.fence_of(store.shelf).stamp(0))
        return real(store, number, record)

    real = shop.write_record
    return patch.object(shop, "write_record", write_record)


@plant("the token is removed before the batch is confirmed", PUT, PUT)
def _() -> Any:
    real = settling._mirror

    def mirror(course: Course, look: Any) -> Step:
        after, actions = real(course, look)
        return after, (ops.DropTokens(after.tokens()), *actions)

    def content(course: Course, event: Event, step: Step) -> Step:
        finished = isinstance(event, Finished)
        return over(course, Answer(Verdict.APPLIED)) if finished else step

    return [
        patch.object(settling, "_mirror", mirror),
        in_phase(coherence.Phase.FINISHING, content),
    ]


@plant("records in doubt are not bumped", PUT, PUT, doubt=1)
def _() -> Any:
    real = coherence._IN_PHASE[coherence.Phase.MIRRORING]
    sure = {coherence.Phase.MIRRORING: lambda course, event: real(course, Mirrored())}
    return patch.dict(coherence._IN_PHASE, sure)


@plant("a token that is gone is not missed", PUT, PUT, early=1)
def _() -> Any:
    return patch.object(settling, "_mine", lambda course, has, epoch: True)


@plant("the answer comes before the mirror", PUT)
def _() -> Any:
    real = settling.settled

    def settled(course: Course) -> Step:
        after, actions = real(course._replace(answered=True))
        return after, (Answer(Verdict.APPLIED), *actions)

    return patch.object(coherence, "settled", settled)


@plant("half a row is put for a patch without a base", PATCH, cached=False)
def _() -> Any:
    whole = bytes([ops.Deed.PUT, ops.Deed.PUT]) + ending._ALONE[2:]
    return patch.object(ending, "_ALONE", whole)


@plant("a patch does not look for younger writes", PATCH, PUT)
def _() -> Any:
    real = ending.plan_end

    def plan_end(keys: Any, kinds: Any, elders: Any, based: Any, begun: Any, look: Any) -> Ending:
        if look is not None:
            ids = {token.id for token in elders}
            look = look._replace(tokens=tuple(t for t in look.tokens if t.id in ids))
        return real(keys, kinds, elders, based, begun, look)

    return patch.object(settling, "plan_end", plan_end)


@plant("a patch does not look at the fence", PATCH, PUT, fetches=(0,))
def _() -> Any:
    return patch.object(ending, "moved", lambda begun, now: frozenset())


@plant("a write that changes everything bumps nothing", EVERYTHING)
def _() -> Any:
    real = ending.plan_end

    def plan_end(keys: Any, *others: Any) -> Ending:
        return Ending(b"", NO_BUMPS) if keys is None else real(keys, *others)

    return patch.object(settling, "plan_end", plan_end)


@plant(
    "elders are forgotten after some rows", on(PUT, 0, 1), on(PUT, 1), buckets=(0, 1), parted=True
)
def _() -> Any:
    def forgetful(course: Course, event: Event, step: Step) -> Step:
        after, actions = step
        return (after._replace(seen=()) if after.more else after), actions

    return in_phase(coherence.Phase.MIRRORING, forgetful)


@plant("a write ends with some of its rows", on(PUT, 0, 1), buckets=(0, 1), parted=True)
def _() -> Any:
    real = settling._through
    return patch.object(settling, "_through", lambda mine: real(mine._replace(more=False)))


@plant(
    "rows in doubt are forgotten with the next", on(PUT, 0, 1), buckets=(0, 1), parted=True, doubt=1
)
def _() -> Any:
    def forgetful(course: Course, event: Event, step: Step) -> Step:
        after, actions = step
        return (after._replace(bumps=NO_BUMPS) if after.more else after), actions

    return in_phase(coherence.Phase.MIRRORING, forgetful)


@plant(
    "a repair bumps the rows at hand",
    on(PUT, 0, 1),
    on(PUT, 0),
    buckets=(0, 1),
    parted=True,
    fail=1,
)
def _() -> Any:
    real = course.fences

    def fences(mine: Course) -> Any:
        return real(mine if mine.rows is None else mine._replace(keys=mine.rows))

    return patch.object(settling, "fences", fences)


# ---- upstream's answer is lost


@plant("a token is not held through the doubt", Write("put", outcomes="U"), PUT)
def _() -> Any:
    def unheld(course: Course, event: Event, step: Step) -> Step:
        if not isinstance(event, Unknown) or not course.tokens():
            return step
        after = course._replace(phase=coherence.Phase.DROPPING, answered=True)
        return after, (ops.DropTokens(course.tokens()),)

    return in_phase(coherence.Phase.WORKING, unheld)


@plant("a write in doubt is repaired at once", Write("put", outcomes="U"), fetches=(0,))
def _() -> Any:
    def at_once(course: Course, event: Event, step: Step) -> Step:
        if not isinstance(event, Unknown):
            return step
        return coherence._doubting(course._replace(answered=True), DoubtLapsed())

    return in_phase(coherence.Phase.WORKING, at_once)


@plant("a write in doubt is never repaired", Write("put", outcomes="U"), fetches=(0,))
def _() -> Any:
    def dropped(course: Course, event: Event, step: Step) -> Step:
        after = course._replace(phase=coherence.Phase.DROPPING)
        return after, (ops.DropTokens(course.tokens()),)

    return in_phase(coherence.Phase.DOUBTING, dropped)
