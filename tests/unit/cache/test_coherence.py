"""Courses of writes, event by event: the ones that the exhaustive search cannot ask about."""

import pytest

from hevfast.cache.coherence import Course, Mode, Phase, on, start
from hevfast.cache.events import (
    Action,
    Answer,
    Applied,
    AwaitLapse,
    Bases,
    Began,
    Crowded,
    Done,
    DoubtLapsed,
    Event,
    Finished,
    Full,
    Looked,
    Lost,
    Mirrored,
    OutOfTime,
    Owe,
    Rejected,
    Resolved,
    Send,
    Unknown,
    Verdict,
)
from hevfast.cache.keys import BUCKETS, NO_BUMPS, WHOLE, Bumps, Keys, pack
from hevfast.cache.operations import (
    Begin,
    Deed,
    DropTokens,
    Finish,
    Mirror,
    ReadBases,
    ReadRegistry,
    RemoveRegistry,
    Repair,
)
from hevfast.cache.records import Record
from hevfast.cache.registry import Fence, Registry, Token
from hevfast.cache.rows import Kind

FENCE = Fence(b"epoch--1", 0, bytes(4 * BUCKETS))
KEYS = Keys.of([1, 2])
UPSERTS, PATCHES = bytes([Kind.UPSERT] * 2), bytes([Kind.PATCH] * 2)
MINE, SPARE = b"mine", b"spare"
OTHER = Token(b"other", pack([2]))
BOTH = Bumps(frozenset({1, 2}))

Log = list[tuple[Action, ...]]


def registry(*others: Token, young: bool = False, own: bytes = MINE) -> Registry:
    return Registry(FENCE, young, (Token(own, KEYS.packed()), *others))


def run(
    *events: Event, kinds: bytes = UPSERTS, keys: Keys | None = KEYS, mode: Mode = Mode.REFUSE
) -> tuple[Course, Log]:
    course, actions = start((MINE, SPARE), keys, kinds, mode)
    log = [actions]
    for event in events:
        course, actions = on(course, event)
        log.append(actions)
    return course, log


BEGAN = Began(registry())
SOME = Applied(bytes([Kind.UPSERT]), Keys.of([1]), last=False)
FINISHED = Finished(True, b"epoch--1")


def test_a_write_alone_puts_its_rows_and_never_looks() -> None:
    course, log = run(BEGAN, Applied(), Mirrored(), FINISHED)
    assert log == [
        (Begin(MINE, KEYS),),
        (Send(),),
        (Mirror(KEYS, bytes([Deed.PUT] * 2), FENCE, ()),),
        (Finish((MINE,), NO_BUMPS),),
        (Answer(Verdict.APPLIED),),
    ]
    assert course.phase is Phase.OVER


def test_a_write_with_an_elder_looks_and_bumps_its_bucket() -> None:
    look = Looked(registry(OTHER))
    _, log = run(Began(registry(OTHER)), Applied(), look, Mirrored(), FINISHED)
    assert log[2:5] == [
        (ReadRegistry(KEYS),),
        (Mirror(KEYS, bytes([Deed.PUT, Deed.LEAVE]), FENCE, ()),),
        (Finish((MINE,), Bumps(frozenset({2}))),),
    ]


def test_rows_in_doubt_are_bumped() -> None:
    _, log = run(BEGAN, Applied(), Mirrored(frozenset({1})))
    assert log[-1] == (Finish((MINE,), Bumps(frozenset({2}))),)
    _, log = run(BEGAN, Applied(), Lost())
    assert log[-1] == (Finish((MINE,), BOTH),)


def test_patches_merge_onto_bases_of_the_begin() -> None:
    bases = Bases(((0, Record(b"row", FENCE.stamp(1))), (1, Record(b"void", b"old"))))
    _, log = run(BEGAN, bases, Applied(), Looked(registry()), kinds=PATCHES)
    assert log[1] == (Send(), ReadBases((0, 1)))
    deeds = bytes([Deed.MERGE, Deed.REMOVE])
    assert log[-1] == (Mirror(KEYS, deeds, FENCE, ((0, b"row"),)),)


def test_patches_without_bases_never_look() -> None:
    _, log = run(BEGAN, Bases(()), Applied(), kinds=PATCHES)
    assert log[-1] == (Mirror(KEYS, bytes([Deed.REMOVE] * 2), FENCE, ()),)


def test_patches_read_no_bases_while_the_registry_is_young() -> None:
    _, log = run(Began(registry(young=True)), Applied(), kinds=PATCHES)
    assert log[1:] == [(Send(),), (Mirror(KEYS, bytes([Deed.REMOVE] * 2), FENCE, ()),)]


def test_kinds_told_with_the_answer_read_bases_then() -> None:
    turned = Keys.of([2, 1])
    kinds = bytes([Kind.PATCH, Kind.UPSERT])
    bases = Bases(((0, Record(b"row", FENCE.stamp(2))),))
    _, log = run(BEGAN, Applied(kinds, turned), bases, Looked(registry()), kinds=b"")
    assert log[1:] == [
        (Send(),),
        (ReadBases((0,)),),
        (ReadRegistry(turned),),
        (Mirror(turned, bytes([Deed.MERGE, Deed.PUT]), FENCE, ((0, b"row"),)),),
    ]


def test_unstated_rows_are_removed() -> None:
    kinds = bytes([Kind.UPSERT, Kind.UNSTATED])
    _, log = run(BEGAN, Applied(kinds))
    assert log[-1] == (Mirror(KEYS, bytes([Deed.PUT, Deed.REMOVE]), FENCE, ()),)


def test_a_token_that_is_gone_repairs_before_the_answer() -> None:
    for gone in (Finished(False, b"epoch--1"), Finished(True, b"epoch--2"), Finished(False, b"")):
        _, log = run(BEGAN, Applied(), Mirrored(), gone, Done())
        assert log[-2:] == [(Repair((MINE,), BOTH),), (Answer(Verdict.APPLIED),)]
    for look in (
        None,
        registry(own=b"another"),
        registry()._replace(fence=FENCE._replace(epoch=b"e")),
    ):
        _, log = run(Began(registry(OTHER)), Applied(), Looked(look))
        assert log[-1] == (Repair((MINE,), BOTH),)


def test_a_second_begin_takes_another_token_and_ends_both() -> None:
    began = Began(registry(Token(MINE, KEYS.packed()), own=SPARE))
    course, log = run(Lost(), began, Applied(), Mirrored())
    assert log[1] == (Begin(SPARE, KEYS),)
    # Its own stray token is no elder.
    assert log[3] == (Mirror(KEYS, bytes([Deed.PUT] * 2), FENCE, ()),)
    assert log[4] == (Finish((SPARE, MINE), NO_BUMPS),)
    assert course.tokens() == (SPARE, MINE)


def test_without_a_token_writes_are_refused_or_owed() -> None:
    course, log = run(Lost(), Lost())
    assert log[-1] == (Owe(Repair((MINE, SPARE), NO_BUMPS)), Answer(Verdict.UNAVAILABLE))
    assert course.phase is Phase.OVER

    _, log = run(Lost(), Lost(), Lost(), Applied(), Lost(), OutOfTime(), mode=Mode.OPEN)
    repair = Repair((MINE, SPARE), BOTH)
    assert log[2:] == [
        # The next best thing, if the store can be reached at all.
        (RemoveRegistry(),),
        (Send(),),
        (repair,),
        (repair,),
        (Owe(repair), Answer(Verdict.APPLIED)),
    ]


def test_a_write_that_cannot_be_repaired_is_not_acknowledged_where_stale_hits_are_refused() -> None:
    _, log = run(BEGAN, Applied(), Mirrored(), Lost(), Lost(), OutOfTime())
    assert log[-1] == (Owe(Repair((MINE,), BOTH)), Answer(Verdict.UNREPAIRED))


def test_a_full_store_is_emptied_before_sending_and_before_the_answer() -> None:
    _, log = run(Full(), Done(), Applied(), Full(), Done())
    assert log[1:] == [
        (RemoveRegistry(),),
        (Send(),),
        (Repair((), BOTH),),
        (RemoveRegistry(),),
        (Answer(Verdict.APPLIED),),
    ]
    _, log = run(BEGAN, Applied(), Mirrored(), Full(), Lost())
    assert log[-2:] == [(RemoveRegistry(),), (Repair((MINE,), BOTH),)]


def test_a_rejected_write_drops_its_token_and_nothing_else() -> None:
    course, log = run(BEGAN, Rejected(), Done())
    assert log[-2:] == [(Answer(Verdict.REJECTED), DropTokens((MINE,))), ()]
    assert course.phase is Phase.OVER
    _, log = run(Full(), Done(), Rejected())
    assert log[-1] == (Answer(Verdict.REJECTED),)


def test_a_write_in_doubt_is_cleared_at_once_and_again_after_the_lapse() -> None:
    removes = Mirror(KEYS, bytes([Deed.REMOVE] * 2), FENCE, ())
    course, log = run(BEGAN, Unknown(), Done(), DoubtLapsed(), Mirrored(), FINISHED)
    assert log[2:] == [
        (Repair((), BOTH),),
        (Answer(Verdict.UNKNOWN), AwaitLapse()),
        (removes,),
        (Finish((MINE,), NO_BUMPS),),
        # Answered long ago.
        (),
    ]
    assert course.phase is Phase.OVER


def test_a_write_of_everything_bumps_the_whole_registry() -> None:
    _, log = run(BEGAN, Applied(), FINISHED, keys=None, kinds=b"")
    assert log[2:] == [(Finish((MINE,), WHOLE),), (Answer(Verdict.APPLIED),)]


def test_a_filter_with_a_complete_list_removes_only_that() -> None:
    _, log = run(BEGAN, Applied(keys=KEYS), Mirrored(), keys=None, kinds=b"")
    assert log[2:] == [
        (Mirror(KEYS, bytes([Deed.REMOVE] * 2), FENCE, ()),),
        (Finish((MINE,), NO_BUMPS),),
    ]
    _, log = run(BEGAN, Applied(keys=Keys.of([])), keys=None, kinds=b"")
    assert log[2:] == [(Finish((MINE,), NO_BUMPS),)]


def test_lists_kept_elsewhere_are_taken_for_everything_until_they_are_found() -> None:
    hidden = Token(b"hidden", b"@")
    _, log = run(Began(registry(hidden)), Applied())
    assert log[-1] == (ReadRegistry(KEYS),)
    found = Resolved((Token(b"hidden", pack([99])),))
    _, log = run(Began(registry(hidden)), found, Applied())
    assert log[-1] == (Mirror(KEYS, bytes([Deed.PUT] * 2), FENCE, ()),)


def test_rows_are_ended_some_at_a_time() -> None:
    rest = Applied(PATCHES[:1], Keys.of([2]))
    course, log = run(BEGAN, SOME, Mirrored(frozenset({0})), rest, kinds=b"")
    assert log[2:4] == [(Mirror(Keys.of([1]), bytes([Deed.PUT]), FENCE, ()),), ()]
    # The bases of each part are its own.
    assert log[4] == (ReadBases((0,)),)
    for event in (Bases(((0, Record(b"base", FENCE.stamp(2))),)), Looked(registry())):
        course, actions = on(course, event)
    assert actions == (Mirror(Keys.of([2]), bytes([Deed.MERGE]), FENCE, ((0, b"base"),)),)
    _, actions = on(course, Mirrored())
    assert actions == (Finish((MINE,), Bumps(frozenset({1}))),)


def test_repair_amid_the_rows_covers_all_of_them() -> None:
    course, _ = run(Began(registry(OTHER)), SOME, Mirrored(), kinds=b"")
    course, actions = on(course, Applied(UPSERTS[:1], Keys.of([2])))
    assert actions == (ReadRegistry(Keys.of([2])),)
    _, actions = on(course, Looked(None))
    assert actions == (Repair((MINE,), BOTH),)


def test_doubt_is_ended_some_rows_at_a_time() -> None:
    _, log = run(
        *(BEGAN, Unknown(), Done(), DoubtLapsed(Keys.of([1]), last=False), Mirrored()),
        Applied(bytes([Kind.UNSTATED]), Keys.of([2])),
    )
    assert log[4:] == [
        (Mirror(Keys.of([1]), bytes([Deed.REMOVE]), FENCE, ()),),
        (),
        (Mirror(Keys.of([2]), bytes([Deed.REMOVE]), FENCE, ()),),
    ]


@pytest.mark.parametrize(("event", "owed"), [(Done(), False), (Lost(), True)])
def test_one_doubt_too_many_removes_the_registry(event: Event, owed: bool) -> None:
    course, log = run(BEGAN, Crowded(), event)
    assert log[-2] == (RemoveRegistry(),)
    owing = (Owe(RemoveRegistry()),) if owed else ()
    assert log[-1] == (*owing, Answer(Verdict.UNKNOWN))
    assert course.phase is Phase.OVER


STRAY: tuple[Event, ...] = (
    Began(registry()),
    Bases(()),
    Resolved(),
    Looked(None),
    Mirrored(),
    FINISHED,
    Applied(),
    Rejected(),
    Unknown(),
    Crowded(),
    DoubtLapsed(),
)

# What each phase is reached by, and the stray events that it does expect.
REACHED: dict[Phase, tuple[tuple[Event, ...], set[type[Event]]]] = {
    Phase.BEGINNING: ((), {Began}),
    Phase.VOIDING: ((Full(),), set()),
    Phase.DROPPING: ((BEGAN, Rejected()), set()),
    Phase.CLEARING: ((BEGAN, Unknown()), set()),
    Phase.FORSAKING: ((BEGAN, Crowded()), set()),
    Phase.DOUBTING: ((BEGAN, Unknown(), Done()), {DoubtLapsed}),
    Phase.LOOKING: ((Began(registry(OTHER)), Applied()), {Looked}),
    Phase.BASING: ((BEGAN, Applied(PATCHES)), {Bases}),
    Phase.MIRRORING: ((BEGAN, Applied()), {Mirrored}),
    Phase.AMID: ((BEGAN, SOME, Mirrored()), {Applied}),
    Phase.FINISHING: ((BEGAN, Applied(), Mirrored()), {Finished}),
    Phase.REPAIRING: ((BEGAN, Applied(), Mirrored(), Lost()), set()),
    Phase.REMOVING: ((BEGAN, Applied(), Mirrored(), Full()), set()),
    Phase.OVER: ((BEGAN, Applied(), Mirrored(), FINISHED), set()),
}


@pytest.mark.parametrize("phase", REACHED)
def test_what_comes_too_late_changes_nothing(phase: Phase) -> None:
    events, expected = REACHED[phase]
    course, _ = run(*events)
    assert course.phase is phase
    for event in STRAY:
        if type(event) not in expected:
            assert on(course, event) == (course, ())


def test_every_phase_is_asked_but_the_one_that_takes_all() -> None:
    assert set(Phase) - set(REACHED) == {Phase.WORKING}
