"""The scenarios: what an arrival asks for. Each makes courses; `scenario` picks one by its name."""

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import quote

from . import bodies, checks
from .arrivals import keys
from .exchange import Check, Course, Request, Steps, Target
from .options import BODY_BYTES_MAX, Workload

# Write bodies made beforehand, at most; of large ones as many as BODY_BYTES_MAX allows.
BODIES_MAX = 4_096
VECTORS_MAX = 256
# Seconds. A claimed document is heartbeaten and completed at once, so this is never waited for.
LEASE_S = 60


class Scenario(Protocol):
    def course(self) -> Course: ...


class Place:
    """Where in the run a scenario works: its target, its share of the keys, its own chances."""

    def __init__(self, target: Target, workload: Workload, index: int, processes: int) -> None:
        self.target = target
        self.workload = workload
        self.index = index
        self.processes = processes
        self.rng = random.Random(f"{workload.seed}/{index}")
        self.namespace = f"/v2/namespaces/{workload.namespace}"


def document_id(key: int) -> str:
    return f"doc-{key}"


def unwritten_id(key: int) -> str:
    return f"none-{key}"


def pipelines(workload: Workload) -> dict[str, str]:
    """Give the pipeline of each scenario: claims must not meet documents only staged."""
    return {name: f"{workload.pipeline}-{name}" for name in ("stage", "claim")}


def _one(request: Request) -> Steps:
    yield request


class Write:
    """Upserts of `rows` rows; ids walk through the keys."""

    def __init__(self, place: Place) -> None:
        load = place.workload
        make = bodies.Rows(load.dim, load.text_bytes, load.vectors, load.seed)
        check = checks.written(load.rows)
        starts = itertools.count(place.index * load.rows, place.processes * load.rows)
        made: list[Request] = []
        room = BODY_BYTES_MAX
        while not made or (len(made) < BODIES_MAX and room > 0):
            start = next(starts)
            ids = (document_id((start + row) % load.keys) for row in range(load.rows))
            body = make.upsert(ids)
            room -= len(body)
            made.append(place.target.request("write", "POST", place.namespace, check, body))
        self._requests = itertools.cycle(made)

    def course(self) -> Course:
        return Course("write", _one(next(self._requests)))


class _Draw:
    """Ids to fetch: written ones by the law of the keys, and unwritten ones now and then."""

    def __init__(self, place: Place) -> None:
        self._hit_ratio = place.workload.hit_ratio
        self._rng = place.rng
        self._key = keys(place.workload.keys, place.workload.zipf, place.rng)

    def __call__(self) -> tuple[str, bool]:
        if self._hit_ratio < 1 and self._rng.random() >= self._hit_ratio:
            return unwritten_id(self._rng.randrange(1_000_000_000)), False
        return document_id(self._key()), True


class Fetch:
    """One document by its id."""

    def __init__(self, place: Place) -> None:
        self._target = place.target
        self._path = f"{place.namespace}/documents/"
        self._draw = _Draw(place)

    def course(self) -> Course:
        identity, is_written = self._draw()
        check = checks.fetched(identity) if is_written else checks.absent
        name = "fetch" if is_written else "fetch-absent"
        request = self._target.request(name, "GET", self._path + identity, check)
        return Course("fetch", _one(request))


class BatchFetch:
    """`batch` documents by their ids."""

    def __init__(self, place: Place) -> None:
        self._target = place.target
        self._path = f"{place.namespace}/documents"
        self._count = place.workload.batch
        self._draw = _Draw(place)

    def course(self) -> Course:
        drawn = [self._draw() for _ in range(self._count)]
        asked = [identity for identity, _ in drawn]
        check = checks.fetched_all(asked, {name for name, is_written in drawn if not is_written})
        body = bodies.compact({"ids": asked})
        request = self._target.request("batch-fetch", "POST", self._path, check, body)
        return Course("batch-fetch", _one(request))


class Query:
    """The `top_k` nearest neighbours of a vector."""

    def __init__(self, place: Place) -> None:
        load = place.workload
        check = checks.queried(load.top_k)
        path = f"{place.namespace}/query"
        made: list[Request] = []
        for _ in range(VECTORS_MAX):
            asked = {
                "rank_by": ["vector", "ANN", bodies.vector(load.dim, place.rng)],
                "top_k": load.top_k,
                "include_attributes": ["title"],
            }
            made.append(place.target.request("query", "POST", path, check, bodies.compact(asked)))
        self._requests = itertools.cycle(made)

    def course(self) -> Course:
        return Course("query", _one(next(self._requests)))


class _Documents:
    """Documents to stage, over and over; each process has its own."""

    def __init__(self, place: Place, pipeline: str) -> None:
        load = place.workload
        self._target = place.target
        self._path = f"/v2/pipelines/{quote(pipeline, safe='')}/documents/"
        self._ids = itertools.cycle(range(place.index, load.keys, place.processes))
        self._count = load.chunks
        self._bodies: Iterator[bytes] = itertools.cycle(
            bodies.chunks("chunk", load.chunks, load.text_bytes, place.rng)
            for _ in range(bodies.Rows.KINDS)
        )

    def stage(self, name: str) -> Request:
        identity = document_id(next(self._ids))
        check = checks.staged(identity, self._count)
        return self._target.request(name, "PUT", self._path + identity, check, next(self._bodies))


class Stage:
    """One document of `chunks` chunks staged."""

    def __init__(self, place: Place) -> None:
        self._documents = _Documents(place, pipelines(place.workload)["stage"])

    def course(self) -> Course:
        return Course("stage", _one(self._documents.stage("stage")))


class Claim:
    """A document's whole way, as the workers of both stages go it.

    Staged by one; claimed by another, which reads the chunks, sends a heartbeat and completes. The
    document claimed need not be the one this course staged; one is waiting in any case.
    """

    def __init__(self, place: Place) -> None:
        pipeline = pipelines(place.workload)["claim"]
        self._documents = _Documents(place, pipeline)
        self._target = place.target
        self._path = f"/v2/pipelines/{quote(pipeline, safe='')}"
        self._worker = f"load-{place.index}"
        self._chunks = checks.chunks_read(place.workload.chunks)

    def course(self) -> Course:
        return Course("claim", self._steps())

    def _steps(self) -> Steps:
        yield self._documents.stage("claim/stage")
        order = {"worker_id": self._worker, "limit": 1, "lease_seconds": LEASE_S}
        answer = yield self._post("claim/claim", "/claim", order, checks.claimed)
        document = checks.claimed_document(answer)
        path = f"{self._path}/documents/{quote(document, safe='')}/chunks"
        yield self._target.request("claim/chunks", "GET", path, self._chunks)
        mine = {"document_ids": [document], "worker_id": self._worker}
        yield self._post("claim/heartbeat", "/documents/heartbeat", mine, checks.updated)
        done = {**mine, "stage": "indexed", "from_stage": "embedding"}
        yield self._post("claim/complete", "/documents/stage", done, checks.updated)

    def _post(self, name: str, path: str, asked: object, check: Check) -> Request:
        return self._target.request(name, "POST", self._path + path, check, bodies.compact(asked))


class Mixed:
    """Other scenarios by their weights."""

    def __init__(self, place: Place) -> None:
        mix = place.workload.mix
        self._scenarios = [SCENARIOS[name](place) for name in mix]
        self._weights = list(itertools.accumulate(mix.values()))
        self._rng = place.rng

    def course(self) -> Course:
        (chosen,) = self._rng.choices(self._scenarios, cum_weights=self._weights)
        return chosen.course()


SCENARIOS: dict[str, Callable[[Place], Scenario]] = {
    "write": Write,
    "fetch": Fetch,
    "batch-fetch": BatchFetch,
    "query": Query,
    "stage": Stage,
    "claim": Claim,
}
NAMES = (*SCENARIOS, "mixed")


def scenario(place: Place) -> Scenario:
    chosen = place.workload.scenario
    return Mixed(place) if chosen == "mixed" else SCENARIOS[chosen](place)
