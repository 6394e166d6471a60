"""Faults planted in the registry form, around writes: records, upkeep, a store away or full."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from hevfast.cache import coherence, records, registry, settling
from hevfast.cache import operations as ops
from hevfast.cache.course import Course, Mode, Step, over
from hevfast.cache.events import (
    Answer,
    Crowded,
    Done,
    Event,
    Full,
    Lost,
    Send,
    Verdict,
)
from hevfast.cache.keys import NO_BUMPS
from hevfast.cache.records import Record
from hevfast.cache.registry import Fence
from tests.model import store as shop
from tests.model.configuration import Write
from tests.model.planting import Plant, nursery
from tests.model.write_plants import in_phase

DELETE, PATCH, PUT = Write("delete"), Write("patch"), Write("put")
EVERYTHING, FILTER = Write("everything", ()), Write("filter")


STORE_PLANTS: list[Plant] = []
plant = nursery(STORE_PLANTS)


# ---- records


@plant("a hit needs no stamp", PUT, PUT)
def _() -> Any:
    return patch.object(records, "is_hit", lambda r, fence, bucket: r and r.value is not None)


@plant("the epoch is not in the stamp", PUT, PUT, lose_registry=1)
def _() -> Any:
    return patch.object(Fence, "prefix", lambda fence: fence.whole.to_bytes(8, "big"))


@plant("an epoch is used twice", PUT, PUT, lose_registry=1)
def _() -> Any:
    real = shop.ensured

    def ensured(store: shop.Store) -> Any:
        return real(store._replace(epochs=0))

    return patch.object(shop, "ensured", ensured)


def filling(change: Callable[[shop.Store, int, ops.FillIfLease], Any]) -> Any:
    return patch.object(shop, "fill_record", change)


def _fill(store: shop.Store, number: int, op: ops.FillIfLease) -> Any:
    return shop.write_record(store, number, Record(value=op.value, stamp=op.stamp))


@plant("a fill asks for no lease", PUT, fetches=(0,), cached=False)
def _() -> Any:
    return filling(_fill)


@plant("a fill creates a record", DELETE, fetches=(0,), cached=False)
def _() -> Any:
    real = shop.fill_record

    def fill(store: shop.Store, number: int, op: ops.FillIfLease) -> Any:
        absent = store.records[number] is None
        return _fill(store, number, op) if absent else real(store, number, op)

    return filling(fill)


@plant("a fill takes any lease for its own", PUT, fetches=(0, 0), cached=False, evict=1)
def _() -> Any:
    def fill(store: shop.Store, number: int, op: ops.FillIfLease) -> Any:
        record = store.records[number]
        leased = record is not None and record.lease is not None
        return _fill(store, number, op) if leased else (store, shop.Refused())

    return filling(fill)


@plant("a fill takes the stamp of its end", PUT, PUT, fetches=(0,), cached=False)
def _() -> Any:
    real = shop.fill_record

    def fill(store: shop.Store, number: int, op: ops.FillIfLease) -> Any:
        if store.shelf is not None:
            op = replace(op, stamp=shop.fence_of(store.shelf).stamp(0))
        return real(store, number, op)

    return filling(fill)


# ---- sweeping and maturing


@plant("a sweep bumps nothing", PUT, crash=1)
def _() -> Any:
    return patch.object(registry, "sweep_op", lambda token: ops.Sweep(token.id, NO_BUMPS))


@plant("a sweep of everything bumps nothing", EVERYTHING, crash=1)
def _() -> Any:
    real = registry.held_bumps
    bumps = {b"*": NO_BUMPS}
    return patch.object(registry, "held_bumps", lambda held: bumps.get(held) or real(b""))


@plant("a registry matures without a bump", PUT, fetches=(0,), lose_registry=1, crash=1)
def _() -> Any:
    real = shop.apply

    def apply(store: shop.Store, op: object) -> Any:
        after, reply = real(store, op)
        if isinstance(op, ops.Mature) and after.shelf is not None and isinstance(reply, Done):
            after = after._replace(shelf=after.shelf._replace(whole=after.shelf.whole - 1))
        return after, reply

    return patch.object(shop, "apply", apply)


@plant(
    "any young registry matures, not that one",
    Write("put", outcomes=""),
    fetches=(0, 0),
    cached=False,
    young=True,
    one_order=True,
    lose_registry=1,
    crash=1,
    late=1,
)
def _() -> Any:
    real = shop.apply

    def apply(store: shop.Store, op: object) -> Any:
        if isinstance(op, ops.Mature) and store.shelf is not None:
            op = ops.Mature(shop.fence_of(store.shelf).epoch)
        return real(store, op)

    return patch.object(shop, "apply", apply)


# ---- the store is away or full


@plant("no answer to a repair is as good as one", PUT, doubt=1, fail=2)
def _() -> Any:
    def trusting(course: Course, event: Event, step: Step) -> Step:
        return over(course, Answer(Verdict.APPLIED)) if isinstance(event, Lost) else step

    return in_phase(coherence.Phase.REPAIRING, trusting)


@plant("a write that cannot be repaired is acknowledged", PUT, doubt=1, fail=2, hopeless=1)
def _() -> Any:
    def give_up(course: Course) -> Step:
        return over(course, Answer(Verdict.APPLIED))

    return patch.object(settling, "_give_up", give_up)


@plant("a full store is not bumped", PUT, PUT, full=1)
def _() -> Any:
    def give_up(course: Course) -> Step:
        return over(course, Answer(Verdict.APPLIED))

    return patch.object(settling, "_remove_registry", give_up)


@plant(
    "a full store is removed before upstream has answered, and not after", PUT, fetches=(0,), full=1
)
def _() -> Any:
    real = settling.settled

    def settled(course: Course) -> Step:
        voided = course.token is None
        return over(course, Answer(Verdict.APPLIED)) if voided else real(course)

    return patch.object(coherence, "settled", settled)


@plant("a write without a token voids nothing beforehand", PUT, full=1, crash=1)
def _() -> Any:
    def unvoided(course: Course, event: Event, step: Step) -> Step:
        after = course._replace(phase=coherence.Phase.WORKING, spare=())
        return (after, (Send(),)) if isinstance(event, Full) else step

    return in_phase(coherence.Phase.BEGINNING, unvoided)


def unregistered(course: Course, event: Event, step: Step) -> Step:
    """Send a write whose begin was lost twice, whatever the mode, and do nothing else."""
    if not isinstance(event, Lost) or len(course.spare) > 1:
        return step
    return course._replace(phase=coherence.Phase.WORKING, spare=()), (Send(),)


@plant("a write that should be refused is sent", PUT, begin=2, crash=1)
def _() -> Any:
    return in_phase(coherence.Phase.BEGINNING, unregistered)


@plant("a write nobody knows of leaves the registry", PUT, mode=Mode.OPEN, begin=2, crash=1)
def _() -> Any:
    return in_phase(coherence.Phase.BEGINNING, unregistered)


@plant(
    "a write nobody knows of leaves the registry, and another patches",
    *(PUT, PATCH),
    mode=Mode.OPEN,
    begin=2,
)
def _() -> Any:
    return in_phase(coherence.Phase.BEGINNING, unregistered)


@plant("a refusing gateway answers 200 without a repair", PUT, fetches=(0,), fail=2, hopeless=1)
def _() -> Any:
    def give_up(course: Course) -> Step:
        return over(course, Answer(Verdict.APPLIED))

    return patch.object(settling, "_give_up", give_up)


def forsaken(course: Course, event: Event, step: Step) -> Step:
    return over(course, Answer(Verdict.UNKNOWN)) if isinstance(event, Crowded) else step


@plant(
    "a forsaken write leaves the registry", Write("put", outcomes="C"), PUT, fetches=(0,), full=1
)
def _() -> Any:
    def dropped(course: Course, event: Event, step: Step) -> Step:
        if not isinstance(event, Crowded) or not course.tokens():
            return forsaken(course, event, step)
        after = course._replace(phase=coherence.Phase.DROPPING, answered=True)
        return after, (ops.DropTokens(course.tokens()),)

    return in_phase(coherence.Phase.WORKING, dropped)


@plant(
    "a removal that failed is not owed",
    Write("put", outcomes="C"),
    fetches=(0,),
    mode=Mode.OPEN,
    begin=2,
    fail=2,
)
def _() -> Any:
    def unowed(course: Course, event: Event, step: Step) -> Step:
        return over(course, Answer(Verdict.UNKNOWN)) if isinstance(event, Lost) else step

    return in_phase(coherence.Phase.FORSAKING, unowed)
