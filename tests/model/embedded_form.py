"""The transactional form, explored: each step is a transaction by the shipped rules."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hevfast.cache import transactional as rules
from hevfast.cache.rows import Kind
from hevfast.cache.transactional import Document, Held, Merge, Page, Row
from tests.model.configuration import Configuration, can, row_after, spent
from tests.model.search import Found, Label, explore

KINDS = {
    "put": Kind.UPSERT,
    "patch": Kind.PATCH,
    "delete": Kind.DELETE,
    "filter": Kind.UNSTATED,
}
NOT_SENT, PENDING, COMMITTED, REJECTED, LOST = "", "p", "c", "r", "x"


class Writer(NamedTuple):
    """`phase`: idle, begun, sent, doubt, over; `left`: rows not mirrored yet."""

    phase: str = "idle"
    upstream: str = NOT_SENT
    registered: bool = False
    commits: tuple[tuple[int, int], ...] = ()
    left: tuple[int, ...] | None = None
    # What was read at begin.
    page: Page = Page()
    dead: bool = False


class State(NamedTuple):
    history: tuple[tuple[bytes | None, ...], ...]
    acked: tuple[int, ...]
    # (token, held, spoiled), sorted by token.
    tokens: tuple[tuple[bytes, Held, Held], ...]
    documents: tuple[Document | None, ...]
    writers: tuple[Writer, ...]
    fetchers: tuple[tuple[Any, ...], ...]
    budget: tuple[int, ...]
    page: Page = Page()
    # No transaction can be committed.
    full: bool = False
    # Transactions given up, which are done at some time, or never: (deed, writer).
    afloat: tuple[tuple[str, int], ...] = ()


Steps = Iterator[tuple[Label, State]]


class Transaction:
    """One transaction on a copy of a state. A key's digest is its number."""

    def __init__(self, state: State) -> None:
        self._tokens = {token: (held, spoiled) for token, held, spoiled in state.tokens}
        self._documents = list(state.documents)

    def committed(self, state: State) -> State:
        tokens = tuple((token, *sides) for token, sides in sorted(self._tokens.items()))
        return state._replace(tokens=tokens, documents=tuple(self._documents))

    def sharing(self, held: Held) -> Iterable[tuple[bytes, Held]]:
        for token, (theirs, _) in self._tokens.items():
            shared = rules.overlap(held, theirs)
            if shared is None or shared:
                yield token, shared

    def held(self, token: bytes) -> Held:
        return self._tokens[token][0]

    def spoiled(self, token: bytes) -> Held:
        return self._tokens[token][1]

    def insert(self, token: bytes, held: Held, spoiled: Held) -> None:
        self._tokens[token] = held, spoiled

    def spoil(self, token: bytes, rows: Held) -> None:
        held, spoiled = self._tokens[token]
        self._tokens[token] = held, rules.union(spoiled, rows)

    def drop(self, token: bytes) -> None:
        self._tokens.pop(token, None)

    def get(self, digest: int) -> Document | None:
        return self._documents[digest]

    def put(self, digest: int, document: Document) -> None:
        self._documents[digest] = document

    def remove(self, digest: int) -> None:
        self._documents[digest] = None

    def clear(self) -> None:
        self._documents = [None] * len(self._documents)


def token_of(i: int) -> bytes:
    return b"W%d" % (i + 1)


def id_of(number: int) -> bytes:
    return b"%d" % number


class World:
    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.hits: set[str] = set()

    def initial(self) -> State:
        configuration = self.configuration
        row = bytes((0, 0))
        numbers = configuration.numbers
        cached = tuple(
            Document(id_of(n), 0, row) if configuration.cached else None for n in numbers
        )
        return State(
            history=((row,),) * len(cached),
            acked=(0,) * len(cached),
            tokens=(),
            documents=cached,
            writers=(Writer(),) * len(configuration.writes),
            fetchers=(("idle",),) * len(configuration.fetches),
            budget=configuration.budget(),
        )

    def _held(self, i: int) -> Held:
        write = self.configuration.writes[i]
        return None if write.kind in ("everything", "filter") else frozenset(write.keys)

    def _rows(self, i: int, numbers: tuple[int, ...]) -> list[Row]:
        kind = KINDS[self.configuration.writes[i].kind]
        return [Row(kind, number, id_of(number), bytes((i + 1, i + 1))) for number in numbers]

    def _merging(self, page: Page) -> Merge | None:
        return self._merge if rules.may_merge(page) else None

    @staticmethod
    def _merge(base: bytes, patch: bytes) -> bytes | None:
        return row_after("patch", patch[0], base)

    # ---- what can happen

    def steps(self, state: State) -> Steps:
        for i, writer in enumerate(state.writers):
            yield from self._upstream_steps(state, i, writer)
            if not writer.dead and writer.phase != "over":
                yield from self._writer_steps(state, i, writer)
        for j, fetcher in enumerate(state.fetchers):
            yield from self._fetch_steps(state, j, fetcher)
        for number, document in enumerate(state.documents):
            if document is not None and can(state.budget, "evict"):
                documents = (*state.documents[:number], None, *state.documents[number + 1 :])
                budget = spent(state.budget, "evict")
                yield ("evicts", number), state._replace(documents=documents, budget=budget)
        if can(state.budget, "lose_all"):
            lost = state._replace(tokens=(), documents=(None,) * len(state.documents))
            yield ("loses everything",), lost._replace(budget=spent(state.budget, "lose_all"))
        if state.full or can(state.budget, "full"):
            left = state.budget if state.full else spent(state.budget, "full")
            label = "has room again" if state.full else "is full"
            yield (label,), state._replace(full=not state.full, budget=left)
        if not state.full:
            yield from self._transaction_steps(state)
        if all(writer.registered or self._ended(writer) for writer in state.writers):
            page = rules.matured(state.page, 9, 1)
            if page != state.page:
                yield ("the page matures",), state._replace(page=page)

    @staticmethod
    def _ended(writer: Writer) -> bool:
        ended = writer.phase in ("idle", "over") or writer.dead
        return ended and writer.upstream != PENDING

    def _with(self, state: State, i: int, writer: Writer) -> State:
        return state._replace(writers=(*state.writers[:i], writer, *state.writers[i + 1 :]))

    def _upstream_steps(self, state: State, i: int, writer: Writer) -> Steps:
        if writer.upstream != PENDING:
            return
        write = self.configuration.writes[i]
        numbers = write.keys if write.kind != "everything" else self.configuration.numbers
        history, commits = list(state.history), []
        for number in numbers:
            history[number] += (row_after(write.kind, i + 1, history[number][-1]),)
            commits.append((number, len(history[number]) - 1))
        done = writer._replace(upstream=COMMITTED, commits=tuple(commits))
        yield (
            ("upstream commits", i),
            self._with(state, i, done)._replace(history=tuple(history)),
        )
        if "R" in write.outcomes:
            rejected = writer._replace(upstream=REJECTED)
            yield ("upstream rejects", i), self._with(state, i, rejected)
        if writer.dead or writer.phase == "doubt":
            lost = writer._replace(upstream=LOST)
            yield ("the request is lost", i), self._with(state, i, lost)

    def _transaction_steps(self, state: State) -> Steps:
        """Give what others commit: sweeps, and transactions that were given up."""
        for token, _, _ in state.tokens:
            i = int(token[1:]) - 1
            writer = state.writers[i]
            ended = writer.dead or writer.phase in ("doubt", "over")
            timely = ended and writer.upstream != PENDING
            if timely or can(state.budget, "early"):
                transaction = Transaction(state)
                rules.sweep(transaction, token)
                budget = state.budget if timely else spent(state.budget, "early")
                label = "is swept" if timely else "is swept too early"
                yield (label, i), transaction.committed(state)._replace(budget=budget)
        for at, (deed, i) in enumerate(state.afloat):
            transaction = Transaction(state)
            if deed == "begin":
                rules.begin(transaction, token_of(i), self._held(i))
            else:
                keys, page = self.configuration.writes[i].keys, state.writers[i].page
                rows, merge = self._rows(i, keys), self._merging(page)
                if rules.mirror(transaction, token_of(i), rows, page.fence, merge):
                    transaction.drop(token_of(i))
            after = transaction.committed(state)
            afloat = state.afloat[:at] + state.afloat[at + 1 :]
            yield (f"has its {deed} land", i), after._replace(afloat=afloat)

    def _writer_steps(self, state: State, i: int, writer: Writer) -> Steps:
        if writer.phase == "idle":
            yield from self._begin_steps(state, i, writer)
            return
        if can(state.budget, "crash"):
            dead = self._with(state, i, writer._replace(dead=True))
            yield ("crashes", i), dead._replace(budget=spent(state.budget, "crash"))
        if writer.phase == "begun":
            sent = writer._replace(phase="sent", upstream=PENDING)
            yield ("sends", i), self._with(state, i, sent)
        elif writer.phase == "doubt" and writer.upstream in (COMMITTED, REJECTED, LOST):
            if state.full:
                over = self._with(state, i, Writer("over", writer.upstream))
                yield ("voids all, doubt has lapsed", i), self._voided(over)
            else:
                yield ("doubt has lapsed", i), self._invalidated(state, i, writer)
        elif writer.phase == "sent":
            if writer.upstream == COMMITTED and "O" in self.configuration.writes[i].outcomes:
                yield from self._end_steps(state, i, writer)
            if writer.upstream == REJECTED:
                transaction = Transaction(state)
                if not state.full:
                    transaction.drop(token_of(i))
                over = self._with(state, i, Writer("over", REJECTED))
                yield ("ends rejected", i), transaction.committed(over)
            if "U" in self.configuration.writes[i].outcomes and writer.left is None:
                doubtful = self._with(state, i, writer._replace(phase="doubt"))
                yield ("loses its connection", i), doubtful
                if not state.full:
                    # What may be stale is taken out at once, if that can be done.
                    transaction = Transaction(state)
                    rules.invalidate(transaction, None, self._held(i))
                    yield ("takes out its rows, in doubt", i), transaction.committed(doubtful)

    def _begin_steps(self, state: State, i: int, writer: Writer) -> Steps:
        begun = writer._replace(phase="begun", page=state.page)
        marked = state._replace(page=rules.unannounced(state.page, 0))
        unregistered = self._with(marked, i, begun)
        if state.full:
            yield ("finds no room to begin", i), unregistered
            return
        transaction = Transaction(state)
        rules.begin(transaction, token_of(i), self._held(i))
        registered = self._with(state, i, begun._replace(registered=True))
        yield ("begins", i), transaction.committed(registered)
        if can(state.budget, "begin"):
            unregistered = unregistered._replace(budget=spent(state.budget, "begin"))
            yield ("fails to begin", i), unregistered
            yield ("begins unseen", i), transaction.committed(unregistered)
            afloat = (*state.afloat, ("begin", i))
            yield ("has a begin under way", i), unregistered._replace(afloat=afloat)

    def _end_steps(self, state: State, i: int, writer: Writer) -> Steps:
        """End a write, its rows in parts of any size that divides them, in any order."""
        if state.full or can(state.budget, "fail"):
            voided = self._voided(self._answered(state, i, writer))
            if not state.full:
                voided = voided._replace(budget=spent(state.budget, "fail"))
            yield ("voids all", i), voided
            if writer.registered and self.configuration.writes[i].kind != "everything":
                afloat = (*state.afloat, ("mirror", i))
                yield ("voids all, with its end under way", i), voided._replace(afloat=afloat)
        if state.full:
            return
        write = self.configuration.writes[i]
        token = token_of(i) if writer.registered else b""
        if write.kind == "everything":
            transaction = Transaction(state)
            if rules.mirror(transaction, token, None, writer.page.fence):
                transaction.drop(token)
                yield ("ends", i), self._answered(transaction.committed(state), i, writer)
            else:
                yield ("ends without token", i), self._invalidated(state, i, writer, True)
            return
        left = write.keys if writer.left is None else writer.left
        parts = {left, *((number,) for number in left)}
        for part in sorted(parts):
            transaction = Transaction(state)
            rows, fence = self._rows(i, part), writer.page.fence
            if not rules.mirror(transaction, token, rows, fence, self._merging(writer.page)):
                yield ("ends without token", i), self._invalidated(state, i, writer, True)
                return
            rest = tuple(number for number in left if number not in part)
            if rest:
                after = self._with(state, i, writer._replace(left=rest))
                yield ("ends a part", i), transaction.committed(after)
            else:
                transaction.drop(token)
                yield ("ends", i), self._answered(transaction.committed(state), i, writer)

    @staticmethod
    def _voided(state: State) -> State:
        return state._replace(page=rules.voided(state.page))

    def _invalidated(self, state: State, i: int, writer: Writer, answer: bool = False) -> State:
        transaction = Transaction(state)
        rules.invalidate(transaction, token_of(i) if writer.registered else None, self._held(i))
        after = transaction.committed(state)
        if answer:
            return self._answered(after, i, writer)
        return self._with(after, i, Writer("over", writer.upstream))

    def _answered(self, state: State, i: int, writer: Writer) -> State:
        acked = list(state.acked)
        for number, index in writer.commits:
            acked[number] = max(acked[number], index)
        over = Writer("over", COMMITTED, page=writer.page)
        return self._with(state, i, over)._replace(acked=tuple(acked))

    # ---- fetches: a look is a transaction of its own

    def _fetch_steps(self, state: State, j: int, fetcher: tuple[Any, ...]) -> Steps:
        number = self.configuration.fetches[j]
        row_id, mark = id_of(number), b"F%d" % j

        def now(*memory: Any, state: State = state) -> State:
            fetchers = (*state.fetchers[:j], memory, *state.fetchers[j + 1 :])
            return state._replace(fetchers=fetchers)

        if fetcher[0] == "idle":
            document, fence = state.documents[number], state.page.fence
            # A lease may be taken for old at any time: the longest wait is no promise.
            looks = {rules.look(document, row_id, fence, at, 1) for at in (0, 9)}
            if rules.Look.VACANT in looks and not state.full:
                transaction = Transaction(state)
                rules.lease(transaction, number, row_id, mark, fence, 0)
                yield ("F leases", j), now("leased", state=transaction.committed(state))
        elif fetcher[0] == "leased":
            value = state.history[number][-1]
            yield ("F reads upstream", j), now("over") if value is None else now("read", value)
        elif fetcher[0] == "read" and not state.full:
            transaction = Transaction(state)
            filled = rules.fill(transaction, number, mark, fetcher[1])
            label = "F fills" if filled else "F may not fill"
            yield (label, j), now("over", state=transaction.committed(state))

    # ---- the promises

    def judge(self, state: State) -> str:
        left = state.tokens or state.afloat
        mature = rules.may_merge(state.page)
        quiet = mature and not left and all(self._ended(writer) for writer in state.writers)
        for number, document in enumerate(state.documents):
            if rules.look(document, id_of(number), state.page.fence, 0, 1) is not rules.Look.HIT:
                continue
            assert document is not None
            value, history = document.value, state.history[number]
            allowed = history[state.acked[number] :]
            if value not in allowed:
                return f"key {number}: a hit gives {value!r}; allowed {allowed} of {history}"
            if quiet and value is not None and value == history[-1] and any(value):
                self.hits.add(self.configuration.writes[max(value) - 1].kind)
            if quiet and self.configuration.settles and value != history[-1]:
                return f"key {number}: settled on {value!r} for ever, upstream has {history[-1]!r}"
        return ""


def run(configuration: Configuration, seconds: float = 1e9) -> tuple[World, Found]:
    world = World(configuration)
    return world, explore(world.initial(), world.steps, world.judge, seconds=seconds)


def spelled(label: Label) -> str:
    deed, *rest = label
    if not rest or deed == "evicts":
        return " ".join(str(word) for word in label)
    if deed.startswith("F "):
        return f"F{rest[0] + 1} {deed[2:]}"
    return f"W{rest[0] + 1} {deed}"
