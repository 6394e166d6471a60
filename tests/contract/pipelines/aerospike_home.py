"""Pipelines on the stand-in, or on the server that HEVFAST_TEST_AEROSPIKE names; their audit."""

import os
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from hevfast.cache import aerospike_client
from hevfast.pipelines import aerospike_runner
from hevfast.pipelines.aerospike_operations import Book, Deed, Glance, Hints, Kept, Look, Read
from hevfast.pipelines.aerospike_plan import Desk
from hevfast.pipelines.aerospike_settling import settle
from hevfast.pipelines.aerospike_state import (
    SEGMENT_PLACES,
    VOID_SEGMENTS,
    State,
    before_of,
    bucket_segments,
    hinted_of,
    line_segment,
    returns_segment,
    state_of,
)
from hevfast.pipelines.aerospike_store import AerospikePipelines
from hevfast.pipelines.store import Move, Tell, UnknownPipelineError, tell_nobody
from tests.fakes.aerospike import FakeAerospike

REAL = os.environ.get("HEVFAST_TEST_AEROSPIKE", "")
NAMESPACE = "hevlayer_registry"


class AerospikeHome:
    """A set prefix of a server's own. The store's time stands still but for `pass_ms`."""

    def __init__(self, folder: Path) -> None:
        self.node = None if REAL else FakeAerospike()
        if self.node is not None:
            self.node.start()
            self.hosts = self.node.hosts
        else:
            host, _, port = REAL.rpartition(":")
            self.hosts = [(host, int(port))]
        self.set_prefix = f"t{uuid.uuid4().hex[:8]}_"
        self.now_ms = 1_000_000_000
        self.told: list[Move] = []
        self._store: AerospikePipelines | None = None

    async def open(self) -> AerospikePipelines:
        self._store = self.store(self._hear)
        await self._store.open()
        return self._store

    def store(self, tell: Tell = tell_nobody) -> AerospikePipelines:
        return AerospikePipelines(
            self.hosts,
            NAMESPACE,
            set_prefix=self.set_prefix,
            clock=lambda server_ms: self.now_ms,
            tell=tell,
        )

    async def _hear(self, pipeline: str, moves: Sequence[Move]) -> None:
        self.told += moves

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            wrong = await audit(store)
            await store.close()
            assert not wrong, wrong

    def stop(self) -> None:
        if self.node is not None:
            self.node.stop()

    def pass_ms(self, span_ms: int) -> None:
        self.now_ms += span_ms


@contextmanager
def settings_of_a_cluster() -> Iterator[dict[str, str]]:
    """Give a gateway's settings for a cluster, and a set prefix that no other gateway has."""
    home = AerospikeHome(Path())
    host, port = home.hosts[0]
    try:
        yield {"AEROSPIKE_HOSTS": f"{host}:{port}", "AEROSPIKE_SET_PREFIX": home.set_prefix}
    finally:
        home.stop()


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """Have a server for several processes, and say in a folder where it is."""
    home = AerospikeHome(folder)
    host, port = home.hosts[0]
    (folder / "server").write_text(f"{host} {port} {home.set_prefix}")
    try:
        yield
    finally:
        home.stop()


@contextmanager
def patience() -> Iterator[None]:
    """Have this process wait longer for a stand-in, which a busy machine makes slow.

    What comes of answers that are late is tried where they are held back.
    """
    with (
        patch.multiple(aerospike_client, _CALL_MS=2000, _BATCH_MS=2000, _BULK_MS=2000),
        patch.object(aerospike_runner, "_TRIP_S", 2.5),
    ):
        yield


def store_of(folder: Path) -> AerospikePipelines:
    """Give a store on the server of a folder, by its own time."""
    host, port, set_prefix = (folder / "server").read_text().split()
    return AerospikePipelines([(host, int(port))], NAMESPACE, set_prefix=set_prefix)


async def audit(store: AerospikePipelines) -> str:
    """Settle what is open, then compare counts, documents and hints of all pipelines."""
    for pipeline in await store.pipelines():
        try:
            wrong = await store.access.run(pipeline.id, audited)
        except UnknownPipelineError:
            continue
        if wrong:
            return f"{pipeline.id}: {wrong}"
    return ""


def audited(desk: Desk) -> Deed[str]:
    """Say what is wrong with a pipeline that nobody changes."""
    (book,) = yield [Look(bodies=True)]
    if not isinstance(book, Book):
        raise UnknownPipelineError
    for token in book.open:
        yield from settle(desk, token)
    (book,) = yield [Look()]
    hints: dict[bytes, dict[bytes, bytes]] = {}
    names = segments_of(book)
    for at in range(0, len(names), 64):
        some = names[at : at + 64]
        answers = yield [Glance(segment, 10_000) for segment in some]
        for segment, answer in zip(some, answers, strict=True):
            if isinstance(answer, Hints):
                hints[segment] = answer.hints
    documents = sorted({hinted_of(v).document for found in hints.values() for v in found.values()})
    states: dict[str, State] = {}
    for at in range(0, len(documents), 64):
        some_documents = documents[at : at + 64]
        found = yield [Read(document) for document in some_documents]
        for document, kept in zip(some_documents, found, strict=True):
            if isinstance(kept, Kept):
                states[document] = state_of(kept.state)
    return compared(book, hints, states)


def segments_of(book: Book) -> list[bytes]:
    names = [b"v" + bytes((number,)) for number in range(VOID_SEGMENTS)]
    for bucket, places in book.buckets.items():
        names += bucket_segments(bucket, places)
    for stage in {*book.arrivals, *book.stages, *book.origins}:
        names.append(returns_segment(stage))
        last = book.arrivals.get(stage, 0) // SEGMENT_PLACES
        names += [line_segment(stage, number) for number in range(last + 1)]
    return names


def compared(book: Book, hints: dict[bytes, dict[bytes, bytes]], states: dict[str, State]) -> str:
    for document, state in states.items():
        if state.spot.key not in hints.get(state.spot.segment, {}):
            return f"{document} has no hint: {state}"
        if state.spot.segment[:1] == b"l":
            number = int.from_bytes(state.spot.segment[1:5], "big")
            if number < book.heads.get(state.document.stage, 0):
                return f"{document} is in front of the line's head: {state}"
    stages, reasons, origins = Counter[str](), Counter[str](), Counter[str]()
    for state in states.values():
        counted = before_of(state)
        stages[counted.stage] += 1
        reasons[counted.reason] += 1
        origins[counted.origin] += 1
    for counter, kept in (
        (stages, book.stages),
        (reasons, book.reasons),
        (origins, book.origins),
    ):
        del counter[""]
        if dict(counter) != kept:
            return f"counted are {kept}, there are {dict(counter)}"
    return ""
