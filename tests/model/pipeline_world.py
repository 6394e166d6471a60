"""Pipelines, explored: workers that stage, claim, embed and write, in every order, by the shipped
transactions; after each step the whole file is compared with itself and with a plain account.
"""

from collections.abc import Iterator

from hevfast.pipelines.lmdb_step import document_of, opened
from hevfast.pipelines.lmdb_upkeep import sweep
from tests.model import pipeline_pages as model
from tests.model.pipeline_account import (
    Account,
    Case,
    State,
    Worker,
    can,
    name_of,
    rows_of,
    spent,
    worker_name,
)
from tests.model.pipeline_audit import audit
from tests.model.pipeline_pages import NUMBER, ModelPages
from tests.model.search import Found, Label, explore

FOREVER_MS = 1_000_000

Steps = Iterator[tuple[Label, State]]


class World(Account):
    # ---- what can happen

    def steps(self, state: State) -> Steps:
        if can(state, "restage"):
            for number in range(self.case.documents):
                yield ("restages", number), self._staged(spent(state, "restage"), number)
        if can(state, "tick"):
            ends = {told.lease[1] for told in state.told if told.lease}
            for now_ms in sorted({at for end in ends for at in (end - 1, end)}):
                if now_ms > state.now_ms:
                    yield ("it is", now_ms), spent(state, "tick")._replace(now_ms=now_ms)
        if "sweep" in self.case.deeds:
            pages = ModelPages(state.contents, state.now_ms)
            sweep(pages, 0)
            yield ("sweeps",), state._replace(contents=pages.committed())
        if can(state, "stranger"):
            for number in range(self.case.documents):
                left = spent(state, "stranger")
                done = self._moved(left, number, "indexed", None, None)
                yield ("is completed by a stranger", number), done
                freed = self._moved(left, number, "pending", "embedding", None)
                yield ("is freed by a stranger", number), freed
        for i, worker in enumerate(state.workers):
            yield from self._worker_steps(state, i, worker)

    def _worker_steps(self, state: State, i: int, worker: Worker) -> Steps:
        for stage, claim_stage in self.case.claims:
            for prefix in self.case.prefixes:
                for limit in self.case.limits:
                    after, given = self._claimed(state, i, stage, claim_stage, limit, prefix)
                    if given or after.wrong:
                        held = {**dict(worker.held), **dict.fromkeys(given, 0)}
                        heard = Worker(tuple(sorted(held.items())), worker.writing)
                        yield (
                            ("claims", i, stage, limit, prefix),
                            self._work(after, i, heard),
                        )
                        busy = {each for each, _ in worker.held} | set(worker.writing or ())
                        if can(state, "deaf") and (self.case.anew or busy.isdisjoint(given)):
                            yield ("claims unheard", i, stage, limit), spent(after, "deaf")
        if worker != Worker() and can(state, "crash"):
            yield ("crashes", i), self._work(spent(state, "crash"), i, Worker())
        if worker.held and "heartbeat" in self.case.deeds:
            yield ("heartbeats", i), self._extended(state, i, worker)
        for number, version in worker.held:
            yield from self._document_steps(state, i, worker, number, version)
        if worker.writing is not None:
            yield from self._end_steps(state, i, worker, worker.writing)

    def _document_steps(
        self, state: State, i: int, worker: Worker, number: int, version: int
    ) -> Steps:
        name = worker_name(i)
        rest = tuple(each for each in worker.held if each[0] != number)
        if not version:
            read = self._read(state, number)
            held = tuple(sorted((*rest, (number, state.told[number].version))))
            yield ("reads", i, number), self._work(read, i, worker._replace(held=held))
        elif "complete" in self.case.deeds:
            done = self._moved(state, number, "indexed", None, name, rows=version)
            yield ("completes", i, number), self._work(done, i, worker._replace(held=rest))
        if version and "vectors" in self.case.deeds and worker.writing is None:
            yield from self._open_steps(state, i, number, version)
        if "advance" in self.case.deeds:
            done = self._moved(state, number, "extracted", "extracting", name)
            yield ("advances", i, number), self._work(done, i, worker._replace(held=rest))
        if can(state, "move"):
            for stage in ("pending", "failed"):
                done = self._moved(spent(state, "move"), number, stage, "embedding", name)
                yield (
                    ("moves", i, number, stage),
                    self._work(done, i, worker._replace(held=rest)),
                )

    def _open_steps(self, state: State, i: int, number: int, version: int) -> Steps:
        told = state.told[number].at(state.now_ms)
        for fenced in (True, False) if can(state, "stranger") else (True,):
            pages = ModelPages(state.contents, state.now_ms)
            name = worker_name(i) if fenced else None
            answer = opened(pages, NUMBER, name_of(number), name)
            assert answer is not None
            after = state if fenced else spent(state, "stranger")
            after = self._same(after, "may write", answer.writable, told.may_be_written(name))
            after = self._same(after, "rows", answer.rows, rows_of(told.written))
            if answer.writable:
                if fenced and version != told.version:
                    after = after._replace(wrong="rows of other chunks may be written")
                writing = (number, answer.generation, told.turns, version, fenced)
                writer = state.workers[i]._replace(writing=writing)
                yield ("sends rows of", i, number, fenced), self._work(after, i, writer)
            elif after.wrong:
                yield ("may not send", i, number), after
            else:
                self.seen.add("a write was refused")

    def _end_steps(
        self, state: State, i: int, worker: Worker, writing: tuple[int, int, int, int, bool]
    ) -> Steps:
        number, generation, turns, version, fenced = writing
        name = worker_name(i) if fenced else None
        rows = rows_of(version) or b""
        answer, after = self._do(
            state, lambda step: step.index(name_of(number), generation, rows, name)
        )
        told = state.told[number].at(state.now_ms)
        allowed = told.turns == turns
        after = self._same(after, "index", answer.changed, int(allowed))
        if answer.changed and version != told.version and fenced:
            after = after._replace(wrong=f"indexed by rows of {version}, not {told.version}")
        if allowed:
            now = told._replace(stage="indexed", lease=None, written=version, writer=name or "")
            after = self._tell(after, number, now)
            self.seen.add("indexed")
        else:
            self.seen.add("an index was refused")
        rest = tuple(each for each in worker.held if each[0] != number)
        yield ("marks", i, number), self._work(after, i, Worker(rest))
        yield ("gives up", i, number), self._work(state, i, worker._replace(writing=None))
        if can(state, "deaf"):
            unheard = worker._replace(writing=None)
            yield ("marks unheard", i, number), self._work(spent(after, "deaf"), i, unheard)

    # ---- the promises

    def judge(self, state: State) -> str:
        if state.wrong:
            return state.wrong
        tables = model.tables(state.contents)
        wrong = audit(tables)
        if wrong:
            return wrong
        pages = ModelPages(state.contents, state.now_ms)
        for number, told in enumerate(state.told):
            kept = document_of(pages, NUMBER, name_of(number))
            if kept is None:
                return f"{name_of(number)} is lost"
            document = kept.document
            now, lease = told.at(state.now_ms), document.lease
            found = document.stage, lease and (lease.worker, lease.ends_ms)
            if lease is not None and lease.ends_ms <= state.now_ms:
                # It lapsed, and nobody has come by.
                found = lease.origin, None
            expected = now.stage, now.lease and now.lease[:2]
            if found != expected:
                return f"{name_of(number)} is {found}, must be {expected}"
        return self._reachable(state)

    def _reachable(self, state: State) -> str:
        """Every document can be claimed once all leases have lapsed, the oldest first."""
        late = [told.at(FOREVER_MS) for told in state.told]
        for stage in {told.stage for told in late}:
            order = sorted((each.order, n) for n, each in enumerate(late) if each.stage == stage)
            expected = [name_of(number) for _, number in order]
            later = state._replace(now_ms=FOREVER_MS)
            answer, _ = self._do(
                later,
                lambda step, stage=stage: step.claim(
                    stage=stage, claim_stage="x", worker="x", limit=9, lease_ms=1, prefix=""
                ),
            )
            if answer.documents != expected:
                return f"claims from {stage} reach {answer.documents}, not {expected}"
        return ""


def run(case: Case, seconds: float = 1e9) -> tuple[World, Found]:
    world = World(case)
    return world, explore(world.initial(), world.steps, world.judge, seconds=seconds)


def spelled(label: Label) -> str:
    deed, *rest = label
    return " ".join([str(deed), *map(str, rest)])
