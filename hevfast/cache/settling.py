"""The end of a write that upstream has settled: look, mirror, finish, and repair if need be."""

from collections.abc import Callable

from hevfast.cache.course import Course, Mode, Phase, Step, fences, over, patched
from hevfast.cache.ending import elders_of, needs_look, plan_end
from hevfast.cache.events import (
    Answer,
    Bases,
    Done,
    Event,
    Finished,
    Full,
    Looked,
    Lost,
    Mirrored,
    OutOfTime,
    Owe,
    Verdict,
)
from hevfast.cache.keys import BUCKETS, Bumps
from hevfast.cache.operations import (
    Deed,
    Finish,
    Mirror,
    ReadBases,
    ReadRegistry,
    RemoveRegistry,
    Repair,
)
from hevfast.cache.records import is_hit
from hevfast.cache.registry import Registry


def settled(course: Course) -> Step:
    """End a write that upstream has settled."""
    if course.token is None:
        return _repair(course)
    return ended(course._replace(seen=elders_of(course.keys, course.seen)))


def ended(course: Course) -> Step:
    """End the rows at hand: all of the write, or some."""
    rows = patched(course)
    if rows and not course.based:
        # Before the look: a row filled after it may hold what a younger write made of mine.
        return course._replace(phase=Phase.BASING, based=True), (ReadBases(rows),)
    return _look(course)


def with_bases(course: Course, event: Bases) -> Course:
    """Keep the rows that patches may be merged onto: those valid by the stamp of *my begin*.

    One that a later bump has voided may lack another write.
    """
    rows = course.keys if course.rows is None else course.rows
    assert rows is not None
    digests = rows.view()
    bases = tuple(
        (row, record.value)
        for row, record in event.records
        if record.value is not None and is_hit(record, course.fence, digests[row] % BUCKETS)
    )
    return course._replace(bases=bases)


def basing(course: Course, event: Event) -> Step:
    if isinstance(event, Bases):
        return _look(with_bases(course, event))
    if isinstance(event, Lost):
        return _look(course)
    return course, ()


def _look(course: Course) -> Step:
    rows, based = course.rows, frozenset(row for row, _ in course.bases)
    if rows is not None and needs_look(rows, elders_of(rows, course.seen), based):
        return course._replace(phase=Phase.LOOKING), (ReadRegistry(rows),)
    return _mirror(course, None)


def looking(course: Course, event: Event) -> Step:
    if isinstance(event, Looked):
        registry = event.registry
        if registry is None or not _mine(course, registry.has, registry.fence.epoch):
            return _repair(course)
        mine = course.tokens()
        others = tuple(token for token in registry.tokens if token.id not in mine)
        return _mirror(course, registry._replace(tokens=others))
    if isinstance(event, Lost | Full):
        return _repair(course)
    return course, ()


def _mine(course: Course, has: Callable[[bytes], bool], epoch: bytes) -> bool:
    """Say whether my token is there, in the registry it was inserted in."""
    assert course.token is not None
    assert course.fence is not None
    return has(course.token) and epoch == course.fence.epoch


def _mirror(course: Course, look: Registry | None) -> Step:
    rows, fence = course.rows, course.fence
    assert fence is not None
    based = frozenset(row for row, _ in course.bases)
    ending = plan_end(rows, course.kinds, course.seen, based, fence, look)
    merged = tuple(base for base in course.bases if ending.deeds[base[0]] == Deed.MERGE)
    course = course._replace(deeds=ending.deeds, bumps=course.bumps | ending.bumps, bases=())
    if rows is None or ending.deeds.count(Deed.LEAVE) == len(ending.deeds):
        return _through(course)
    return course._replace(phase=Phase.MIRRORING), (Mirror(rows, ending.deeds, fence, merged),)


def mirroring(course: Course, event: Event) -> Step:
    assert course.rows is not None
    if isinstance(event, Mirrored):
        unconfirmed = event.unconfirmed
    elif isinstance(event, Lost | Full):
        unconfirmed = frozenset(row for row, deed in enumerate(course.deeds) if deed != Deed.LEAVE)
    else:
        return course, ()
    # In doubt: the old record may still be there, or mine land after the next write's.
    digests = course.rows.view()
    doubtful = Bumps.of(frozenset(digests[row] % BUCKETS for row in unconfirmed))
    return _through(course._replace(bumps=course.bumps | doubtful))


def _through(course: Course) -> Step:
    if course.more:
        return course._replace(phase=Phase.AMID, deeds=b""), ()
    # Only now, with all rows confirmed: whoever begins without seeing my token may put.
    course = course._replace(phase=Phase.FINISHING, seen=())
    return course, (Finish(course.tokens(), course.bumps),)


def finishing(course: Course, event: Event) -> Step:
    if isinstance(event, Finished):
        if _mine(course, lambda _: event.there, event.epoch):
            return over(course, Answer(Verdict.APPLIED))
        return _repair(course)
    if isinstance(event, Lost):
        return _repair(course)
    if isinstance(event, Full):
        return _remove_registry(course)
    return course, ()


# ---- the end of a write whose token is gone, or whose end is in doubt


def _repair(course: Course) -> Step:
    """Bump all that is mine. After upstream has settled this is always safe, and always enough."""
    bumps = fences(course)
    course = course._replace(phase=Phase.REPAIRING, bumps=bumps, bases=(), seen=())
    return course, (Repair(course.tokens(), bumps),)


def repairing(course: Course, event: Event) -> Step:
    if isinstance(event, Done):
        return over(course, Answer(Verdict.APPLIED))
    if isinstance(event, Lost):
        return _repair(course)
    if isinstance(event, Full):
        return _remove_registry(course)
    if isinstance(event, OutOfTime):
        return _give_up(course)
    return course, ()


def _remove_registry(course: Course) -> Step:
    return course._replace(phase=Phase.REMOVING), (RemoveRegistry(),)


def removing(course: Course, event: Event) -> Step:
    if isinstance(event, Done):
        return over(course, Answer(Verdict.APPLIED))
    if isinstance(event, Lost | Full):
        return _repair(course)
    if isinstance(event, OutOfTime):
        return _give_up(course)
    return course, ()


def _give_up(course: Course) -> Step:
    verdict = Verdict.APPLIED if course.mode is Mode.OPEN else Verdict.UNREPAIRED
    return over(course, Owe(Repair(course.tokens(), fences(course))), Answer(verdict))
