"""The course of one write in the registry form of the cache: message and state → actions.

Pure: no I/O, no clock, no randomness; tokens come in, and time is an event. Promises: a hit is
never older than the last write answered 200 before the fetch began, by any replica; it is a row
that upstream held; overlapping writes never leave the loser. They hold if rows are only served by
`records.is_hit` and filled by `records.fill_op`, and tokens only removed by the rules here and in
`registry`. `tests/model` searches this very code for counterexamples.

    course, actions = start(tokens, keys, kinds, mode)
    course, actions = on(course, event)         # for each answer of the store and of upstream

Order: begin → send → (bases, elders) → answer of upstream → [look] → mirror → finish → answer 200.
"""

from collections.abc import Callable

from hevfast.cache.course import Course, Mode, Phase, Step, fences, over, patched
from hevfast.cache.ending import elders_of, told_apart
from hevfast.cache.events import (
    Answer,
    Applied,
    AwaitLapse,
    Bases,
    Began,
    Crowded,
    Done,
    DoubtLapsed,
    Event,
    Full,
    Lost,
    Owe,
    Rejected,
    Resolved,
    Send,
    Unknown,
    Verdict,
)
from hevfast.cache.keys import NO_BUMPS, Keys
from hevfast.cache.operations import Begin, DropTokens, ReadBases, RemoveRegistry, Repair
from hevfast.cache.rows import Kind
from hevfast.cache.settling import (
    basing,
    ended,
    finishing,
    looking,
    mirroring,
    removing,
    repairing,
    settled,
    with_bases,
)

__all__ = ["Course", "Mode", "Phase", "Step", "on", "start"]


def start(tokens: tuple[bytes, ...], keys: Keys | None, kinds: bytes, mode: Mode) -> Step:
    """Begin a write.

    `tokens`: random ids never used before, one for each attempt to begin; two are plenty.
    `keys` None: it may change everything (by filter, copy, branch, deletion of the namespace).
    `kinds`: one `Kind` a row; empty if they will be told with the answer only. Known now, the
    bases of patches are read while upstream works and not after it.
    """
    if keys is not None and kinds:
        kinds = told_apart(keys, kinds)
    course = Course(Phase.BEGINNING, mode, keys, kinds, spare=tokens)
    return course, (Begin(tokens[0], keys),)


def on(course: Course, event: Event) -> Step:
    """Take one event.

    An event that its phase does not expect changes nothing; one that means another operation than
    the one under way (a base read that fails late) can cost cached rows, never a promise.
    """
    return _IN_PHASE[course.phase](course, event)


# ---- before upstream has settled it


def _beginning(course: Course, event: Event) -> Step:
    token, *spare = course.spare
    if isinstance(event, Began):
        registry = event.registry
        own = {token, *course.stray}
        course = course._replace(
            phase=Phase.WORKING,
            token=token,
            spare=(),
            fence=registry.fence,
            young=registry.young,
            seen=tuple(other for other in registry.tokens if other.id not in own),
        )
        rows = patched(course)
        if not rows:
            return course, (Send(),)
        return course._replace(based=True), (Send(), ReadBases(rows))
    if isinstance(event, Full):
        # A registry that is created after this is young, and so protects its writers and me from
        # each other just as it does after a loss.
        course = course._replace(phase=Phase.VOIDING, spare=())
        return course, (RemoveRegistry(),)
    if isinstance(event, Lost):
        course = course._replace(spare=tuple(spare), stray=(*course.stray, token))
        if spare:
            return course, (Begin(spare[0], course.keys),)
        if course.mode is Mode.REFUSE:
            return _unregistered(course)
        # No other can be sure to know of this write. If the store can be reached at all, removing
        # the registry makes up for that, as it does where there is no room.
        return course._replace(phase=Phase.VOIDING), (RemoveRegistry(),)
    return course, ()


def _unregistered(course: Course) -> Step:
    if course.mode is Mode.REFUSE:
        # A token that landed unseen is swept in the end; but its rows are not cached until then.
        owed = (Owe(Repair(course.stray, NO_BUMPS)),) if course.stray else ()
        return over(course, *owed, Answer(Verdict.UNAVAILABLE))
    return course._replace(phase=Phase.WORKING), (Send(),)


def _voiding(course: Course, event: Event) -> Step:
    if isinstance(event, Done):
        return course._replace(phase=Phase.WORKING), (Send(),)
    if isinstance(event, Lost | Full):
        return _unregistered(course)
    return course, ()


def _working(course: Course, event: Event) -> Step:
    if isinstance(event, Applied):
        return settled(_stated(course, event))
    if isinstance(event, Rejected):
        answer = Answer(Verdict.REJECTED)
        if not course.tokens():
            return over(course, answer)
        course = course._replace(phase=Phase.DROPPING, answered=True)
        return course, (answer, DropTokens(course.tokens()))
    if isinstance(event, Unknown):
        # The older row may be what upstream has no more, so it is not served from now on.
        return course._replace(phase=Phase.CLEARING), (Repair((), fences(course)),)
    if isinstance(event, Crowded):
        # The next registry is young for longer than upstream may still apply this write: nobody
        # merges meanwhile, and what is filled or put is void at the end.
        return course._replace(phase=Phase.FORSAKING), (RemoveRegistry(),)
    return _informed(course, event), ()


def _stated(course: Course, event: Applied) -> Course:
    """Take what upstream has done to each row."""
    if course.keys is None:
        if event.keys is None:
            return course
        # It names every row it has changed, so from here on it is a write of these.
        kinds = bytes([Kind.UNSTATED]) * len(event.keys)
        return course._replace(keys=event.keys, rows=event.keys, kinds=kinds)
    assert event.keys is None or not course.bases, "bases are numbered by the rows of begin"
    rows = course.keys if event.keys is None else event.keys
    kinds = course.kinds if event.kinds is None else told_apart(rows, event.kinds)
    return course._replace(rows=rows, kinds=kinds, more=not event.last)


def _informed(course: Course, event: Event) -> Course:
    """Take what the store tells of others while upstream works."""
    if isinstance(event, Bases):
        return with_bases(course, event)
    if isinstance(event, Resolved):
        lists = {token.id: token for token in event.tokens}
        seen = tuple(lists.get(token.id, token) for token in course.seen)
        return course._replace(seen=elders_of(course.keys, seen))
    return course


def _clearing(course: Course, event: Event) -> Step:
    if isinstance(event, Done | Lost | Full):
        # The token stays: a fetch can fill the old row again until upstream commits.
        course = course._replace(phase=Phase.DOUBTING, answered=True)
        return course, (Answer(Verdict.UNKNOWN), AwaitLapse())
    return course, ()


def _forsaking(course: Course, event: Event) -> Step:
    if isinstance(event, Done):
        return over(course, Answer(Verdict.UNKNOWN))
    if isinstance(event, Lost | Full):
        # A token that is still there is swept; without one, nothing but this speaks for the write.
        return over(course, Owe(RemoveRegistry()), Answer(Verdict.UNKNOWN))
    return course, ()


def _amid(course: Course, event: Event) -> Step:
    if isinstance(event, Applied):
        return ended(_stated(course._replace(based=False), event))
    return course, ()


def _doubting(course: Course, event: Event) -> Step:
    if isinstance(event, DoubtLapsed):
        # Nobody knows what upstream has: no row is put.
        rows = course.keys if event.keys is None else event.keys
        kinds = bytes([Kind.UNSTATED]) * (0 if rows is None else len(rows))
        return settled(course._replace(rows=rows, kinds=kinds, bases=(), more=not event.last))
    return course, ()


def _dropping(course: Course, event: Event) -> Step:
    if isinstance(event, Done | Lost | Full):
        # A token that could not be removed is swept.
        return over(course)
    return course, ()


def _ended(course: Course, _: Event) -> Step:
    return course, ()


_IN_PHASE: dict[Phase, Callable[[Course, Event], Step]] = {
    Phase.BEGINNING: _beginning,
    Phase.VOIDING: _voiding,
    Phase.WORKING: _working,
    Phase.DROPPING: _dropping,
    Phase.CLEARING: _clearing,
    Phase.FORSAKING: _forsaking,
    Phase.AMID: _amid,
    Phase.DOUBTING: _doubting,
    Phase.BASING: basing,
    Phase.LOOKING: looking,
    Phase.MIRRORING: mirroring,
    Phase.FINISHING: finishing,
    Phase.REPAIRING: repairing,
    Phase.REMOVING: removing,
    Phase.OVER: _ended,
}
