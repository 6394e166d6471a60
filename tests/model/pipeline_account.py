"""What must come of each deed on a pipeline: the specification again, a few lines a deed.

Every answer of the shipped code is compared with it. `Told` is a plain account of a document.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hevfast.pipelines.lmdb_step import Step, chunks_of, document_of
from hevfast.pipelines.store import Staging
from tests.model import pipeline_pages as model
from tests.model.pipeline_pages import NUMBER, PIPELINE, Contents, ModelPages

LEASE_MS = 10

FAULTS = (
    "restage",
    "crash",  # a worker forgets what it holds
    "deaf",  # a claim or an end is done, and nobody hears of it
    "tick",  # time passes, to just before or to the end of a lease
    "move",  # a worker gives a document up, or fails it
    "stranger",  # somebody who does not say who it is changes a stage or writes vectors
)


class Told(NamedTuple):
    """What must be true of a document."""

    stage: str
    order: int
    # Of the chunks; what the workers' rows are made of. 0: none.
    version: int
    # Stagings and claims so far: who began before one of them is told apart after it.
    turns: int
    # Worker, end, length, origin.
    lease: tuple[str, int, int, str] | None = None
    # The version that was written last.
    written: int = 0
    # Who wrote it, if it was said, and nothing was changed since.
    writer: str = ""

    def at(self, now_ms: int) -> "Told":
        if self.lease is None or now_ms < self.lease[1]:
            return self
        return self._replace(stage=self.lease[3], lease=None)

    def held_by(self, worker: str | None) -> bool:
        return worker is None or (self.lease is not None and self.lease[0] == worker)

    def may_be_written(self, worker: str | None) -> bool:
        return self.held_by(worker) or worker == self.writer


class Worker(NamedTuple):
    # Documents it was given, with the version it has read of each (0: not yet).
    held: tuple[tuple[int, int], ...] = ()
    # Document, generation, turns, version of the rows, and whether it had said who it is.
    writing: tuple[int, int, int, int, bool] | None = None


class State(NamedTuple):
    contents: Contents
    now_ms: int
    told: tuple[Told, ...]
    workers: tuple[Worker, ...]
    budget: tuple[int, ...]
    order: int
    wrong: str = ""


@dataclass(frozen=True)
class Case:
    """What is explored in one go. `claims`: stages claimed from, and into."""

    name: str
    documents: int = 2
    workers: int = 2
    claims: tuple[tuple[str, str], ...] = (("pending", "embedding"),)
    # vectors, complete, heartbeat, advance (to a stage of its own), sweep
    deeds: tuple[str, ...] = ("vectors",)
    limits: tuple[int, ...] = (1, 2)
    prefixes: tuple[str, ...] = ("",)
    faults: dict[str, int] = field(default_factory=dict)
    # Whether a worker may claim again, without hearing of it, what it is still at work on.
    anew: bool = False


def name_of(number: int) -> str:
    return f"d{number}"


def chunks_at(version: int) -> bytes:
    return b'[{"id":"%d"}]' % version


def worker_name(i: int) -> str:
    return f"w{i}"


def can(state: State, fault: str) -> bool:
    return state.budget[FAULTS.index(fault)] > 0


def spent(state: State, fault: str) -> State:
    at = FAULTS.index(fault)
    budget = (*state.budget[:at], state.budget[at] - 1, *state.budget[at + 1 :])
    return state._replace(budget=budget)


class Account:
    """Deeds on a state, done by the shipped code and by the account."""

    def __init__(self, case: Case) -> None:
        self.case = case
        # What has happened at all, so that a search that sees nothing is told from a good one.
        self.seen: set[str] = set()

    def initial(self) -> State:
        case = self.case
        state = State(
            model.created(),
            0,
            (),
            (Worker(),) * case.workers,
            tuple(case.faults.get(fault, 0) for fault in FAULTS),
            0,
        )
        assert set(case.faults) <= set(FAULTS)
        for number in range(case.documents):
            state = self._staged(state, number)
        return state

    # ---- transactions

    def _do(self, state: State, deed: Callable[[Step], Any]) -> tuple[Any, State]:
        pages = ModelPages(state.contents, state.now_ms)
        result = deed(Step(pages, pages.book(PIPELINE.id)))
        return result, state._replace(contents=pages.committed())

    def _tell(self, state: State, number: int, told: Told) -> State:
        if number == len(state.told):
            return state._replace(told=(*state.told, told))
        return state._replace(told=(*state.told[:number], told, *state.told[number + 1 :]))

    def _work(self, state: State, i: int, worker: Worker) -> State:
        return state._replace(workers=(*state.workers[:i], worker, *state.workers[i + 1 :]))

    @staticmethod
    def _same(state: State, what: str, found: object, expected: object) -> State:
        if found == expected:
            return state
        return state._replace(wrong=f"{what}: {found!r}, must be {expected!r}")

    def _staged(self, state: State, number: int) -> State:
        known = state.told[number] if number < len(state.told) else None
        version = known.version + 1 if known else 1
        staging = Staging(name_of(number), chunks_at(version), 1)
        _, state = self._do(state, lambda step: step.stage([staging]))
        turns = known.turns + 1 if known else 1
        written = known.written if known else 0
        told = Told("pending", state.order, version, turns, written=written)
        return self._tell(state._replace(order=state.order + 1), number, told)

    # ---- deeds, and what must come of them

    def _claimed(
        self, state: State, i: int, stage: str, claim_stage: str, limit: int, prefix: str
    ) -> tuple[State, list[int]]:
        name, now_ms = worker_name(i), state.now_ms
        waiting = sorted(
            (told.at(now_ms).order, number)
            for number, told in enumerate(state.told)
            if told.at(now_ms).stage == stage
            and told.at(now_ms).lease is None
            and name_of(number).startswith(prefix)
        )
        given = [number for _, number in waiting[:limit]]
        answer, after = self._do(
            state,
            lambda step: step.claim(
                stage=stage,
                claim_stage=claim_stage,
                worker=name,
                limit=limit,
                lease_ms=LEASE_MS,
                prefix=prefix,
            ),
        )
        after = self._same(after, "claim", answer.documents, [name_of(each) for each in given])
        for number in given:
            told = state.told[number].at(now_ms)
            lease = (name, now_ms + LEASE_MS, LEASE_MS, stage)
            now = told._replace(stage=claim_stage, turns=told.turns + 1, lease=lease, writer="")
            after = self._tell(after, number, now)
        return after, given

    def _extended(self, state: State, i: int, worker: Worker) -> State:
        name, expected = worker_name(i), 0
        numbers = [number for number, _ in worker.held]
        count, after = self._do(
            state,
            lambda step: step.extend(
                [name_of(each) for each in numbers], stage="embedding", worker=name
            ),
        )
        for number in numbers:
            told = state.told[number].at(state.now_ms)
            if told.stage == "embedding" and told.lease and told.lease[0] == name:
                expected += 1
                ends = state.now_ms + told.lease[2]
                lease = (name, ends, *told.lease[2:])
                after = self._tell(after, number, told._replace(lease=lease))
        return self._same(after, "heartbeat", count, expected)

    def _moved(
        self,
        state: State,
        number: int,
        stage: str,
        from_stage: str | None,
        worker: str | None,
        rows: int | None = None,
    ) -> State:
        answer, after = self._do(
            state,
            lambda step: step.move(
                [name_of(number)],
                stage=stage,
                from_stage=from_stage,
                worker=worker,
                reason="",
                create_missing=False,
            ),
        )
        told = state.told[number].at(state.now_ms)
        allowed = from_stage in (None, told.stage) and told.held_by(worker)
        after = self._same(after, f"move to {stage}", answer.changed, int(allowed))
        if answer.changed and rows is not None and rows != told.version:
            return after._replace(wrong=f"indexed by rows of {rows}, staged is {told.version}")
        if allowed:
            after = self._tell(after, number, told._replace(stage=stage, lease=None, writer=""))
            self.seen.add(f"moved to {stage}")
        else:
            self.seen.add("a move was refused")
        return after

    def _read(self, state: State, number: int) -> State:
        pages = ModelPages(state.contents, state.now_ms)
        kept = document_of(pages, NUMBER, name_of(number))
        assert kept is not None
        told = state.told[number].at(state.now_ms)
        expected = None if told.stage == "indexed" else chunks_at(told.version)
        if told.stage != "indexed" and kept.document.chunk_count == 0:
            # It was indexed since it was staged, and moved on: the chunks are gone for good.
            return state
        return self._same(state, "chunks", chunks_of(pages, NUMBER, kept.document), expected)


def rows_of(version: int) -> bytes | None:
    return b'["%d"]' % version if version else None
