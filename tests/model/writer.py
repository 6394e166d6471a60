"""What a write may do next in the registry form, and what may go wrong with it."""

from typing import Any

from hevfast.cache import operations as ops
from hevfast.cache.coherence import Course, Phase
from hevfast.cache.events import (
    Applied,
    AwaitLapse,
    Bases,
    Crowded,
    Done,
    DoubtLapsed,
    Lost,
    Mirrored,
    OutOfTime,
    Rejected,
    Resolved,
    Send,
    Unknown,
)
from hevfast.cache.keys import ELSEWHERE
from hevfast.cache.registry import Token
from hevfast.cache.rows import Kind
from tests.model import store as shop
from tests.model.configuration import Write, can, row_after, spent
from tests.model.world import (
    COMMITTED,
    LOST,
    NOT_SENT,
    PENDING,
    REJECTED,
    UNMET,
    State,
    Steps,
    World,
    Writer,
    replaced,
)


def writer_steps(world: World, state: State) -> Steps:
    for i, writer in enumerate(state.writers):
        yield from _upstream_steps(world, state, i, writer)
        if not writer.dead:
            yield from _writer_steps(world, state, i, writer)


def _upstream_steps(world: World, state: State, i: int, writer: Writer) -> Steps:
    if writer.upstream != PENDING:
        return
    write = world.configuration.writes[i]

    def becomes(phase: str) -> State:
        return state._replace(writers=replaced(state.writers, i, writer._replace(upstream=phase)))

    numbers = write.keys if write.kind != "everything" else world.configuration.numbers
    history, commits = list(state.history), []
    for number in numbers:
        row = row_after(write.kind, i + 1, history[number][-1])
        history[number] += (row,)
        commits.append((number, len(history[number]) - 1))
    done = writer._replace(upstream=COMMITTED, commits=tuple(commits))
    yield (
        ("upstream commits", i),
        state._replace(history=tuple(history), writers=replaced(state.writers, i, done)),
    )
    if "R" in write.outcomes:
        yield ("upstream rejects", i), becomes(REJECTED)
    if "M" in write.outcomes:
        yield ("upstream: condition unmet", i), becomes(UNMET)
    # A write that is over and not settled is one that was forsaken.
    unheard = (Phase.CLEARING, Phase.DOUBTING, Phase.FORSAKING, Phase.OVER)
    if writer.dead or world.course(writer).phase in unheard:
        yield ("the request is lost", i), becomes(LOST)


def _writer_steps(world: World, state: State, i: int, writer: Writer) -> Steps:
    for at, act in enumerate(writer.acts):
        rest = writer.acts[:at] + writer.acts[at + 1 :]
        if isinstance(act, tuple):
            yield from _batch_steps(world, state, i, writer, at)
        else:
            yield from _action_steps(world, state, i, writer, act, rest)
    yield from _hearing_steps(world, state, i, writer)
    if can(state.budget, "crash") and world.course(writer).phase is not Phase.OVER:
        yield from _crash_steps(world, state, i, writer)


def _crash_steps(world: World, state: State, i: int, writer: Writer) -> Steps:
    dead = writer._replace(dead=True, acts=())
    budget = spent(state.budget, "crash")
    crashed = state._replace(writers=replaced(state.writers, i, dead), budget=budget)
    yield ("crashes", i), crashed
    if can(state.budget, "doubt"):
        left = [(a[0], row, i) for a in writer.acts if isinstance(a, tuple) for row in a[1]]
        left = [one for one in left if isinstance(world.actions.values[one[0]], ops.Mirror)]
        if left:
            afloat = tuple(sorted((*state.afloat, *left), key=repr))
            yield (
                ("crashes with its batch on the wire", i),
                crashed._replace(budget=spent(budget, "doubt"), afloat=afloat),
            )


def _hearing_steps(world: World, state: State, i: int, writer: Writer) -> Steps:
    course = world.course(writer)
    write = world.configuration.writes[i]
    if course.phase is Phase.AMID:
        done = write.keys.index(shop.number_of(course.rows.view()[0])) + 1  # type: ignore[union-attr]
        yield ("tells more rows", i), world.hear(state, i, _part(world, write, done), writer.acts)
    if course.phase is not Phase.WORKING or writer.upstream == NOT_SENT:
        return
    absent = [token for token in course.seen if token.held == ELSEWHERE]
    if absent:
        owners = [world.tokens[token.id] for token in absent]
        lists = [world.keys_of(world.configuration.writes[owner].keys) for owner in owners]
        found = tuple(
            Token(token.id, keys.packed()) for token, keys in zip(absent, lists, strict=True)
        )
        yield ("finds lists", i), world.hear(state, i, Resolved(found), writer.acts)
    if writer.upstream == COMMITTED and "O" in write.outcomes:
        yield ("hears OK", i), world.hear(state, i, _applied(world, write), writer.acts)
    if writer.upstream == UNMET:
        kinds = bytes([Kind.UNSTATED]) * len(write.keys)
        yield ("hears unmet", i), world.hear(state, i, Applied(kinds=kinds), writer.acts)
    if writer.upstream == REJECTED:
        yield ("hears rejected", i), world.hear(state, i, Rejected(), writer.acts)
    if "U" in write.outcomes:
        yield ("loses its connection", i), world.hear(state, i, Unknown(), writer.acts)
    if "C" in write.outcomes:
        yield ("loses its connection, like many", i), world.hear(state, i, Crowded(), writer.acts)


def _applied(world: World, write: Write) -> Applied:
    if world.configuration.parted:
        return _part(world, write, 0)
    if write.kind == "filter":
        return Applied(keys=world.keys_of(write.keys))
    if write.kind != "everything" and world.configuration.late_kinds:
        return Applied(world.kinds_of(write), world.keys_of(write.keys))
    return Applied()


def _part(world: World, write: Write, row: int) -> Applied:
    keys, kinds = world.keys_of(write.keys[row : row + 1]), world.kinds_of(write)[row : row + 1]
    return Applied(kinds, keys, last=row + 1 == len(write.keys))


def _action_steps(
    world: World, state: State, i: int, writer: Writer, act: int, rest: tuple[Any, ...]
) -> Steps:
    op = world.actions.values[act]
    if isinstance(op, Send):
        sent = writer._replace(upstream=PENDING, acts=rest)
        yield ("sends", i), state._replace(writers=replaced(state.writers, i, sent))
        if "N" in world.configuration.writes[i].outcomes:
            yield ("does not send", i), world.hear(state, i, Rejected(), rest)
    elif isinstance(op, AwaitLapse):
        if writer.upstream in (COMMITTED, UNMET, REJECTED, LOST):
            yield ("doubt has lapsed", i), world.hear(state, i, DoubtLapsed(), rest)
    else:
        store, reply = shop.apply(state.store, op)
        then = state._replace(store=store)
        yield ("does", i, act), world.hear(then, i, reply, rest)  # type: ignore[arg-type]
        yield from _failing_steps(world, state, then, i, act, rest)


def _failing_steps(
    world: World, state: State, then: State, i: int, act: int, rest: tuple[Any, ...]
) -> Steps:
    op = world.actions.values[act]
    fault = "begin" if isinstance(op, ops.Begin) else "fail"
    if can(state.budget, fault):
        budget = spent(state.budget, fault)
        failed = state._replace(budget=budget)
        yield ("fails to", i, act), world.hear(failed, i, Lost(), rest)
        if not isinstance(op, ops.ReadRegistry):
            landed = then._replace(budget=budget)
            yield ("does unseen", i, act), world.hear(landed, i, Lost(), rest)
            afloat = tuple(sorted((*state.afloat, (act, None, i)), key=repr))
            later = failed._replace(afloat=afloat)
            yield ("has on the wire", i, act), world.hear(later, i, Lost(), rest)
    phase = world.course(state.writers[i]).phase
    if phase in (Phase.REPAIRING, Phase.REMOVING) and can(state.budget, "hopeless"):
        failed = state._replace(budget=spent(state.budget, "hopeless"))
        yield ("is out of time", i), world.hear(failed, i, OutOfTime(), rest)


# ---- batches: one record after the other, in any order


def _batch_steps(world: World, state: State, i: int, writer: Writer, at: int) -> Steps:
    number, rows, found = writer.acts[at]
    op = world.actions.values[number]
    if can(state.budget, "fail"):
        # The rest of the batch is given up; what it has done is done.
        failed = state._replace(budget=spent(state.budget, "fail"))
        others = writer.acts[:at] + writer.acts[at + 1 :]
        yield ("gives up", i, number), world.hear(failed, i, Lost(), others)
        if isinstance(op, ops.Mirror):
            wire = [(number, row, i) for row in rows]
            later = failed._replace(afloat=tuple(sorted((*state.afloat, *wire), key=repr)))
            yield ("gives up, on the wire", i, number), world.hear(later, i, Lost(), others)
    for row in rows:
        left = tuple(other for other in rows if other != row)
        if isinstance(op, ops.ReadBases):
            record = state.store.records[_number(world, world.course(writer), row)]
            more = found if record is None else (*found, (row, record))
            yield ("reads base", i, row), _batched(world, state, i, at, left, more)
            continue
        store, event = world.put_row(state.store, op, row, i)
        unconfirmed = found if isinstance(event, Done) else found | {row}
        then = state._replace(store=store)
        yield ("writes", i, number, row), _batched(world, then, i, at, left, unconfirmed)
        if can(state.budget, "doubt"):
            budget = spent(state.budget, "doubt")
            doubt = found | {row}
            failed = state._replace(budget=budget)
            yield ("fails on", i, number, row), _batched(world, failed, i, at, left, doubt)
            landed = then._replace(budget=budget)
            yield ("writes unseen", i, number, row), _batched(world, landed, i, at, left, doubt)
            afloat = tuple(sorted((*state.afloat, (number, row, i)), key=repr))
            later = failed._replace(afloat=afloat)
            yield ("has on the wire", i, number, row), _batched(world, later, i, at, left, doubt)


def _number(world: World, course: Course, row: int) -> int:
    rows = course.keys if course.rows is None else course.rows
    assert rows is not None
    return shop.number_of(rows.view()[row])


def _batched(
    world: World, state: State, i: int, at: int, left: tuple[int, ...], found: Any
) -> State:
    writer = state.writers[i]
    number = writer.acts[at][0]
    if left:
        acts = replaced(writer.acts, at, (number, left, found))
        return state._replace(writers=replaced(state.writers, i, writer._replace(acts=acts)))
    rest = writer.acts[:at] + writer.acts[at + 1 :]
    if isinstance(world.actions.values[number], ops.ReadBases):
        return world.hear(state, i, Bases(tuple(sorted(found))), rest)
    return world.hear(state, i, Mirrored(found), rest)
