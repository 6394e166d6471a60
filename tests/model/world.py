"""The world around the registry form: upstream, the model store, the writers, and the faults.

What is searched is the shipped code: every decision is asked of `hevfast.cache`, and here is only
what the world may do to it. One step is one store operation together with the answer to it; each
record of a batch is a step; whoever does not take his step has stopped there for ever.
"""

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from hevfast.cache import coherence, records
from hevfast.cache import operations as ops
from hevfast.cache.coherence import Course, Phase
from hevfast.cache.events import (
    Action,
    Answer,
    Event,
    Owe,
    Verdict,
)
from hevfast.cache.keys import BUCKETS, Keys
from hevfast.cache.records import Record
from hevfast.cache.rows import Kind
from tests.model import store as shop
from tests.model.configuration import Configuration, Write, row_after
from tests.model.search import Label
from tests.model.store import Store

KINDS = {"put": Kind.UPSERT, "patch": Kind.PATCH, "delete": Kind.DELETE}
NOT_SENT, PENDING, COMMITTED, UNMET, REJECTED, LOST = "", "p", "c", "m", "r", "x"


class Writer(NamedTuple):
    """A write: its course (a number), what upstream does with it, and what it has asked for."""

    course: int
    upstream: str
    # Key and index in the key's history of what upstream has committed.
    commits: tuple[tuple[int, int], ...]
    # Actions under way: numbers, or (number, rows left, what was found out).
    acts: tuple[Any, ...]
    dead: bool = False


class State(NamedTuple):
    history: tuple[tuple[bytes | None, ...], ...]
    # Index in the history of the last commit that was acknowledged.
    acked: tuple[int, ...]
    store: Store
    writers: tuple[Writer, ...]
    fetchers: tuple[tuple[Any, ...], ...]
    # Operations that will land at some time, or never: (number, row or None, writer).
    afloat: tuple[tuple[int, int | None, int], ...]
    budget: tuple[int, ...]
    # Repairs owed after an answer, and what they acknowledge.
    debts: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    wrong: str = ""


Steps = Iterator[tuple[Label, State]]


class Numbers:
    """Gives equal values equal numbers, so that states hash fast."""

    def __init__(self) -> None:
        self._of: dict[Hashable, int] = {}
        self.values: list[Any] = []

    def of(self, value: Hashable) -> int:
        # Operations without fields are equal to nothing but their own kind.
        number = self._of.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


def replaced(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


class World:
    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.courses = Numbers()
        self.actions = Numbers()
        # Every decision asked for: what is covered is read off it.
        self.decided: dict[tuple[int, Event], tuple[Course, tuple[Action, ...]]] = {}
        self.hits: set[str] = set()
        self._shown: dict[tuple[Any, ...], bool] = {}
        digests = [b + BUCKETS * n for n, b in enumerate(configuration.buckets)]
        self._digests = digests
        self.tokens = {
            b"W%d%s" % (i + 1, attempt): i
            for i in range(len(configuration.writes))
            for attempt in (b"a", b"b")
        }

    # ---- the beginning

    def initial(self) -> State:
        configuration = self.configuration
        shelf = shop.FIRST_EPOCH._replace(young=configuration.young)
        fence = shop.fence_of(shelf)
        row = bytes((0, 0))
        cached = [
            Record(value=row, stamp=fence.stamp(bucket)) if configuration.cached else None
            for bucket in configuration.buckets
        ]
        return State(
            history=((row,),) * len(cached),
            acked=(0,) * len(cached),
            store=Store(shelf, tuple(cached), 1, False, configuration.inline_max),
            writers=tuple(self._writer(i) for i in range(len(configuration.writes))),
            fetchers=(("idle",),) * len(configuration.fetches),
            afloat=(),
            budget=configuration.budget(),
            debts=(),
        )

    @staticmethod
    def kinds_of(write: Write) -> bytes:
        return bytes([KINDS[write.kind]]) * len(write.keys)

    def keys_of(self, numbers: tuple[int, ...]) -> Keys:
        return Keys.of(self._digests[number] for number in numbers)

    def _writer(self, i: int) -> Writer:
        write = self.configuration.writes[i]
        tokens = tuple(token for token, owner in self.tokens.items() if owner == i)
        if write.kind in KINDS:
            keys = self.keys_of(write.keys)
            kinds = b"" if self.configuration.late_kinds else self.kinds_of(write)
            course, actions = coherence.start(tokens, keys, kinds, self.configuration.mode)
        else:
            course, actions = coherence.start(tokens, None, b"", self.configuration.mode)
        return Writer(self.courses.of(course), NOT_SENT, (), self._under_way((), actions))

    def course(self, writer: Writer) -> Course:
        course: Course = self.courses.values[writer.course]
        return course

    # ---- a writer takes an event, and what follows from it

    def _under_way(self, acts: tuple[Any, ...], actions: tuple[Action, ...]) -> tuple[Any, ...]:
        for action in actions:
            number = self.actions.of(action)
            if isinstance(action, ops.Mirror):
                rows = tuple(r for r, deed in enumerate(action.deeds) if deed != ops.Deed.LEAVE)
                acts += ((number, rows, frozenset()),)
            elif isinstance(action, ops.ReadBases):
                acts += ((number, action.rows, ()),)
            else:
                acts += (number,)
        return acts

    def hear(self, state: State, i: int, event: Event, acts: tuple[Any, ...]) -> State:
        """Give the state after writer `i` heard an event; `acts`: what is still under way."""
        writer = state.writers[i]
        key = (writer.course, event)
        step = self.decided.get(key)
        if step is None:
            step = self.decided[key] = coherence.on(self.course(writer), event)
        course, actions = step
        asked = []
        for action in actions:
            if isinstance(action, Owe):
                number = self.actions.of(action.debt)
                state = state._replace(debts=(*state.debts, (number, writer.commits)))
            elif isinstance(action, Answer):
                owing = any(isinstance(other, Owe) for other in actions)
                if action.verdict is Verdict.APPLIED and not owing:
                    state = self.acknowledge(state, writer.commits)
            else:
                asked.append(action)
        if course.phase not in (Phase.WORKING, Phase.BASING):
            # Bases that come now come too late.
            acts = tuple(act for act in acts if not self._is_bases(act))
        acts = self._under_way(acts, tuple(asked))
        commits = () if course.phase is Phase.OVER else writer.commits
        writer = writer._replace(course=self.courses.of(course), commits=commits, acts=acts)
        return state._replace(writers=replaced(state.writers, i, writer))

    def _is_bases(self, act: Any) -> bool:
        return isinstance(act, tuple) and isinstance(self.actions.values[act[0]], ops.ReadBases)

    @staticmethod
    def acknowledge(state: State, commits: tuple[tuple[int, int], ...]) -> State:
        acked = list(state.acked)
        for number, index in commits:
            acked[number] = max(acked[number], index)
        return state._replace(acked=tuple(acked))

    def put_row(self, store: Store, op: ops.Mirror, row: int, i: int) -> tuple[Store, Event]:
        """Let one record of a batch land."""
        digest = op.keys.view()[row]
        deed = op.deeds[row]
        kind = self.configuration.writes[i].kind
        record = None
        if deed != ops.Deed.REMOVE:
            base = dict(op.bases)[row] if deed == ops.Deed.MERGE else None
            value = row_after(kind, i + 1, base)
            if kind == "patch" and deed == ops.Deed.PUT:
                # Half a row, as a store would hold it.
                value = bytes((i + 1, 255))
            record = Record(value=value, stamp=op.fence.stamp(digest % BUCKETS))
        return shop.write_record(store, shop.number_of(digest), record)

    # ---- the promises

    def shown(self, state: State, number: int) -> bool:
        """Say whether the record of a key would be served now."""
        record, shelf = state.store.records[number], state.store.shelf
        if record is None or shelf is None or record.value is None:
            return False
        key = (record, shelf.epoch, shelf.whole, shelf.counters, number)
        hit = self._shown.get(key)
        if hit is None:
            bucket = self.configuration.buckets[number]
            hit = self._shown[key] = records.is_hit(record, shop.fence_of(shelf), bucket)
        return hit

    def quiet(self, state: State) -> bool:
        """Say whether nothing is in flight and nothing is left to be repaired."""
        shelf = state.store.shelf
        if shelf is None or shelf.tokens or shelf.young or state.afloat or state.debts:
            return False
        return all(
            writer.upstream != PENDING
            and (writer.dead or self.course(writer).phase is Phase.OVER or self._idle(writer))
            for writer in state.writers
        )

    def _idle(self, writer: Writer) -> bool:
        course = self.course(writer)
        return course.phase is Phase.BEGINNING and not course.stray

    def judge(self, state: State) -> str:
        if state.wrong:
            return state.wrong
        quiet = None
        for number in self.configuration.numbers:
            if not self.shown(state, number):
                continue
            record = state.store.records[number]
            assert record is not None
            value, history = record.value, state.history[number]
            allowed = history[state.acked[number] :]
            if value not in allowed:
                return f"key {number}: a hit gives {value!r}; allowed {allowed} of {history}"
            if quiet is None:
                quiet = self.quiet(state)
            if quiet and value == history[-1] and value is not None and any(value):
                self.hits.add(self.configuration.writes[max(value) - 1].kind)
            if quiet and self.configuration.settles and value != history[-1]:
                return f"key {number}: settled on {value!r} for ever, upstream has {history[-1]!r}"
        return ""
