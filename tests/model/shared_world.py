"""Gateways that share a store, die, are not answered, and whose operations land late.

The shipped deeds are run. One that has been told so much is a value: its script, and the answers it
was sent; it is run again to learn what it asks for next. An operation of a list is one step, in the
list's order or the other way round. What a gateway that dies has under way may land at any later
time, or never; so may one whose answer is lost.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

from hevfast.pipelines import (
    aerospike_claims,
    aerospike_deeds,
    aerospike_lapses,
    aerospike_places,
    aerospike_repeating,
    aerospike_state,
    aerospike_upkeep,
)
from hevfast.pipelines.aerospike_operations import Answer, Deed, Glance, Look, Read
from hevfast.pipelines.aerospike_plan import Desk
from hevfast.pipelines.aerospike_state import state_of
from hevfast.pipelines.store import UnableError, UnknownPipelineError
from tests.model.search import Found, Label, explore
from tests.model.shared_store import (
    NOW,
    Draft,
    Store,
    frozen,
    initial,
    thawed,
    unfrozen,
    wrong_with,
)

START_MS = 100

# Claims in the end: one passes over a bounded number of segments.
_TURNS = 4

LEASE_MS = 10

Script = Callable[[Desk], Deed[Any]]


class Case(NamedTuple):
    """Who does what. `before`: deeds that were done before; `faults`: how many of each kind."""

    name: str
    gateways: tuple[tuple[Script, ...], ...]
    before: tuple[Script, ...] = ()
    # die: gateways that die; lose: answers that are lost; tick: leases that pass;
    # vanish: documents' records that are lost.
    faults: tuple[tuple[str, int], ...] = ()
    # The last operation of a list is done first.
    backwards: bool = False
    # Documents whose records are lost before anybody begins.
    lost: tuple[str, ...] = ()


class Gateway(NamedTuple):
    """How far a gateway has come: its script's deed, what it was told, and this list's answers."""

    number: int
    deed: int = 0
    told: tuple[Any, ...] = ()
    answers: tuple[Any, ...] = ()
    claimed: tuple[str, ...] = ()
    dead: bool = False


class State(NamedTuple):
    store: Store
    gateways: tuple[Gateway, ...]
    # Operations that may land.
    afloat: tuple[Any, ...] = ()
    faults: tuple[tuple[str, int], ...] = ()


_READS = (Read, Look, Glance)


def desk_of(name: str, told: list[Any]) -> Desk:
    """Give a desk whose tokens and time depend on nothing but what was told."""
    drawn = [0]

    def draw() -> bytes:
        drawn[0] += 1
        return f"{name}{len(told)}.{drawn[0]}".encode()

    def about_ms() -> int:
        times = [a.now_ms for answers in told for a in answers if hasattr(a, "now_ms")]
        return int(times[-1]) if times else START_MS

    return Desk(draw, about_ms)


class World:
    def __init__(self, case: Case) -> None:
        self.case = case
        self._asked: dict[Any, Any] = {}

    def initial(self) -> State:
        store = initial(START_MS)
        for number, script in enumerate(self.case.before):
            store, _ = carried_out(store, script, f"before{number}:")
        items = dict(store)
        for document in self.case.lost:
            del items["document", document]
        store = frozenset(items.items())
        gateways = tuple(map(Gateway, range(len(self.case.gateways))))
        return State(store, gateways, (), self.case.faults)

    def steps(self, state: State) -> Iterable[tuple[Label, State]]:
        for gateway in state.gateways:
            asked = None if gateway.dead else self._next(gateway)
            if asked is not None:
                yield from self._stepped(state, gateway, asked)
        for number, spelled in enumerate(state.afloat):
            draft = Draft(state.store)
            draft.do(unfrozen(spelled))
            left = state.afloat[:number] + state.afloat[number + 1 :]
            yield (("lands", spelled[0].__name__), state._replace(store=draft.kept(), afloat=left))
        yield from self._events(state)

    def _events(self, state: State) -> Iterator[tuple[Label, State]]:
        if faults := spent(state.faults, "tick"):
            draft = Draft(state.store)
            draft.items[NOW] += LEASE_MS
            yield ("time passes",), state._replace(store=draft.kept(), faults=faults)
        if faults := spent(state.faults, "vanish"):
            for key, _ in state.store:
                if key[0] == "document":
                    items = dict(state.store)
                    del items[key]
                    after = state._replace(store=frozenset(items.items()), faults=faults)
                    yield ("vanishes", key[1]), after

    def _stepped(
        self, state: State, gateway: Gateway, asked: list[Any]
    ) -> Iterator[tuple[Label, State]]:
        order = list(reversed(asked)) if self.case.backwards else asked
        done = len(gateway.answers)
        op = order[done]
        name = (gateway.number, type(op).__name__)
        draft = Draft(state.store)
        answer = draft.do(op)
        store = draft.kept()
        yield ("does", *name), self._told(state, gateway, asked, answer, store)
        if faults := spent(state.faults, "lose"):
            lost = self._told(state._replace(faults=faults), gateway, asked, Answer.LOST, store)
            yield ("is not answered", *name), lost
            if not isinstance(op, _READS):
                lost = self._told(
                    state._replace(faults=faults), gateway, asked, Answer.LOST, state.store
                )
                yield ("is delayed", *name), lost._replace(afloat=(*lost.afloat, frozen(op)))
        if faults := spent(state.faults, "die"):
            rest = [each for each in order[done:] if not isinstance(each, _READS)]
            died = with_gateway(state, gateway._replace(dead=True, answers=(), told=()))
            # All that is under way, or nothing: what does not land in time never does.
            yield (
                ("dies", *name),
                died._replace(faults=faults, afloat=(*state.afloat, *map(frozen, rest))),
            )

    def _told(
        self, state: State, gateway: Gateway, asked: list[Any], answer: Any, store: Store
    ) -> State:
        answers = (*gateway.answers, answer)
        if len(answers) == len(asked):
            listed = answers[::-1] if self.case.backwards else answers
            gateway = gateway._replace(told=(*gateway.told, listed), answers=())
        else:
            gateway = gateway._replace(answers=answers)
        return with_gateway(state._replace(store=store), self._ended(gateway))

    def _ended(self, gateway: Gateway) -> Gateway:
        """Go on to the next deed of the script, if this one is over."""
        if gateway.answers or self._ask(gateway) is not None:
            return gateway
        claimed = gateway.claimed + tuple(self._asked[_key(gateway)][1])
        return gateway._replace(deed=gateway.deed + 1, told=(), claimed=claimed)

    def _next(self, gateway: Gateway) -> list[Any] | None:
        return self._ask(gateway)

    def _ask(self, gateway: Gateway) -> list[Any] | None:
        """Give what a gateway asks for, or None if it has done its deed."""
        scripts = self.case.gateways[gateway.number]
        if gateway.deed == len(scripts):
            return None
        key = _key(gateway)
        if key not in self._asked:
            told = [tuple(map(thawed, answers)) for answers in gateway.told]
            desk = desk_of(f"{gateway.number}.{gateway.deed}:", [])
            self._asked[key] = replayed(scripts[gateway.deed](desk), told, desk)
        return self._asked[key][0]

    def judge(self, state: State) -> str:
        wrong = wrong_with(state.store) if not self._lossy else ""
        if wrong:
            return wrong
        for gateway in state.gateways:
            if len(set(gateway.claimed)) != len(gateway.claimed):
                return f"gateway {gateway.number} got a document twice: {gateway.claimed}"
        if any(not g.dead and self._ask(g) is not None for g in state.gateways):
            return ""
        return self._aftermath(state)

    @property
    def _lossy(self) -> bool:
        return bool(self.case.lost) or "vanish" in dict(self.case.faults)

    def _aftermath(self, state: State) -> str:
        """Let another gateway take over: all is settled, counted, found, and stays so."""
        store, _ = carried_out(state.store, aerospike_repeating.settle_overdue, "after:")
        if Draft(store).maps["open"]:
            return "a call was not settled"
        draft = Draft(store)
        draft.items[NOW] += 10 * LEASE_MS
        store, _ = carried_out(draft.kept(), aerospike_upkeep.sweep, "sweep:")
        terms = aerospike_claims.Terms("pending", "embedding", "last", LEASE_MS)
        for turn in range(_TURNS):
            script = partial(aerospike_claims.claim, terms=terms, limit=10)
            store, _ = carried_out(store, script, f"last{turn}:")
        for key, kept in store:
            if key[0] == "document" and state_of(kept.state).document.stage == "pending":
                return f"{key[1]} cannot be claimed"
        # The last of them may be late by as much as you like.
        for spelled in (None, *state.afloat):
            if spelled is not None:
                draft = Draft(store)
                draft.do(unfrozen(spelled))
                store, _ = carried_out(draft.kept(), aerospike_repeating.settle_overdue, "late:")
            wrong = wrong_with(store)
            if wrong:
                return f"in the end, {wrong}"
        return ""


def _key(gateway: Gateway) -> tuple[Any, ...]:
    return (gateway.number, gateway.deed, gateway.told)


def replayed(deed: Deed[Any], told: list[Any], desk: Desk) -> tuple[list[Any] | None, Any]:
    """Run a deed as far as it was told; give what it asks for, or None and what it has claimed."""
    try:
        asked = next(deed)
        for answers in told:
            for answer in answers:
                if hasattr(answer, "now_ms"):
                    now_ms = answer.now_ms
                    desk.about_ms = lambda now_ms=now_ms: now_ms
            asked = deed.send(list(answers))
    except StopIteration as stop:
        return None, getattr(stop.value, "documents", ())
    except (UnableError, UnknownPipelineError):
        return None, ()
    finally:
        deed.close()
    return list(asked), ()


def carried_out(store: Store, script: Script, name: str) -> tuple[Store, Any]:
    """Do a deed alone, to its end."""
    desk = desk_of(name, [])
    now_ms = Draft(store).now_ms
    desk.about_ms = lambda: now_ms
    deed = script(desk)
    try:
        asked = next(deed)
        while True:
            answers = []
            for op in asked:
                draft = Draft(store)
                answers.append(thawed(draft.do(op)))
                store = draft.kept()
            asked = deed.send(answers)
    except StopIteration as stop:
        return store, stop.value


def with_gateway(state: State, gateway: Gateway) -> State:
    gateways = list(state.gateways)
    gateways[gateway.number] = gateway
    return state._replace(gateways=tuple(gateways))


def spent(faults: tuple[tuple[str, int], ...], name: str) -> tuple[tuple[str, int], ...]:
    left = dict(faults)
    if not left.get(name):
        return ()
    return tuple((each, count - (each == name)) for each, count in faults)


@contextmanager
def small() -> Iterator[None]:
    """One place a segment, little patience, and no call that is not overdue."""
    with ExitStack() as stack:
        for module in (aerospike_places, aerospike_claims, aerospike_upkeep, aerospike_state):
            stack.enter_context(patch.object(module, "SEGMENT_PLACES", 1))
        for module in (aerospike_claims, aerospike_lapses, aerospike_upkeep):
            stack.enter_context(patch.object(module, "BUCKET_MS", LEASE_MS))
        for module in (aerospike_deeds, aerospike_repeating):
            stack.enter_context(patch.object(module, "ATTEMPTS_MAX", 2))
        stack.enter_context(patch.object(aerospike_claims, "_ROUNDS_MAX", 3))
        stack.enter_context(patch.object(aerospike_repeating, "_SETTLING_ATTEMPT", 1))
        stack.enter_context(patch.object(aerospike_repeating, "OVERDUE_MS", -1_000_000))
        stack.enter_context(patch.object(aerospike_upkeep, "VOID_SEGMENTS", 1))
        yield


def run(case: Case, seconds: float = 1e9) -> Found:
    with small():
        world = World(case)
        return explore(world.initial(), world.steps, world.judge, seconds=seconds)
