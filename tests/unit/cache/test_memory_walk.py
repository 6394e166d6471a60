"""The memory store against upstream, in random walks: overlapping writes, fetches, doubt, eviction.

What the exhaustive search does for the rules, this does for the store around them: longer walks,
more rows, parts, time, and a bound that is always reached.
"""

import random
from array import array
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from hevfast.cache import transactional as rules
from hevfast.cache.memory import MemoryStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Lease, Part, Ticket, Touched
from tests.model.configuration import row_after

NS = b"books"
# The first two share a digest.
DIGESTS = {b"a1": 1, b"a2": 1, b"b": 2, b"c": 3}
IDS = list(DIGESTS)
# Room for three documents.
BYTES_MAX = 3 * 404
LAPSE_MS, DOUBT_MS, LEASE_MS = 1000, 100, 50
KINDS = {"put": Kind.UPSERT, "patch": Kind.PATCH, "delete": Kind.DELETE, "everything": Kind.DELETE}


def digest_of(text: bytes) -> bytes:
    return DIGESTS[text].to_bytes(4, "big")


def merge(base: bytes, patch: bytes) -> bytes | None:
    return row_after("patch", patch[0], base)


@dataclass
class Write:
    writer: int
    kind: str
    ids: list[bytes]
    ticket: Ticket
    begun_ms: int
    # sent, committed, rejected, ending, doubtful (not committed yet), over
    phase: str = "sent"
    commits: dict[bytes, int] = field(default_factory=dict)
    end: Coroutine[Any, Any, None] | None = None
    doubtful_ms: int = 0


@dataclass
class Fetch:
    text: bytes
    lease: Lease
    row: bytes | None = None
    read: bool = False


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


class Walk:
    """One walk; what can be done next is drawn from what is possible, so that no step is wasted."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # Few writes at a time leave rows to be served, many leave faults to be found.
        self.writes_max = 1 + seed % 4
        self.now_ms = 0
        self.store = MemoryStore(
            BYTES_MAX,
            lapse_s=LAPSE_MS / 1000,
            doubt_s=DOUBT_MS / 1000,
            lease_s=LEASE_MS / 1000,
            digest_of=digest_of,
            now_s=lambda: self.now_ms / 1000,
            merge=merge,
        )
        self.history: dict[bytes, list[bytes | None]] = {text: [bytes(2)] for text in IDS}
        self.acked = dict.fromkeys(IDS, 0)
        self.writes: list[Write] = []
        self.fetches: list[Fetch] = []
        self.writers = 0
        self.hits = 0

    def step(self) -> None:
        draw = self.random
        deed = draw.choices(
            [self.begin, self.go_on, self.fetch, self.read_or_fill, self.pass_time],
            [3 if len(self.writes) < self.writes_max else 0, 10, 4, 6 if self.fetches else 0, 1],
        )[0]
        deed()
        self.writes = [write for write in self.writes if write.phase != "over"]
        self.check()

    # Writes

    def begin(self) -> None:
        kinds = ["put", "patch", "delete", "everything"]
        kind = self.random.choices(kinds, [10, 6, 3, 1])[0]
        ids = self.random.sample(IDS, self.random.randint(1, 3))
        self.writers = self.writers % 250 + 1
        digests = array("I", sorted({DIGESTS[text] for text in ids})).tobytes()
        touched = Touched(NS, None if kind == "everything" else digests)
        ids = IDS if kind == "everything" else ids
        ticket = at_once(self.store.begin(touched))
        self.writes.append(Write(self.writers, kind, ids, ticket, self.now_ms))

    def go_on(self) -> None:
        """Let something happen to one of the writes."""
        if not self.writes:
            return
        write = self.random.choice(self.writes)
        deeds = {
            "sent": [self.commit, self.commit, self.commit, self.reject, self.lose, self.cancel],
            "committed": [self.end] * 8 + [self.lose, self.cancel],
            "ending": [self.end] * 8 + [self.cancel],
            "doubtful": [self.commit],
            "gone": [self.commit],
        }
        self.random.choice(deeds[write.phase])(write)

    def commit(self, write: Write) -> None:
        for text in write.ids:
            rows = self.history[text]
            rows.append(row_after(write.kind, write.writer, rows[-1]))
            write.commits[text] = len(rows) - 1
        write.phase = "committed" if write.phase == "sent" else "over"

    def reject(self, write: Write) -> None:
        at_once(self.store.end(write.ticket, Outcome.REJECTED, ()))
        write.phase = "over"

    def parts(self, write: Write) -> list[Part]:
        kind = KINDS[write.kind]
        put = None if kind is Kind.DELETE else bytes((write.writer, write.writer))
        return [(kind, [(digest_of(text), text, put)]) for text in write.ids]

    def end(self, write: Write) -> None:
        if write.end is None:
            write.phase = "ending"
            write.end = self.store.end(write.ticket, Outcome.APPLIED, self.parts(write))
        try:
            write.end.send(None)
        except StopIteration:
            write.phase = "over"
            for text, index in write.commits.items():
                self.acked[text] = max(self.acked[text], index)

    def lose(self, write: Write) -> None:
        at_once(self.store.end(write.ticket, Outcome.UNKNOWN, self.parts(write)))
        write.phase = "doubtful" if write.phase == "sent" else "over"
        write.doubtful_ms = self.now_ms

    def cancel(self, write: Write) -> None:
        """The handler is gone without a word, before or in the middle of its end."""
        if write.end is not None:
            write.end.close()
        write.phase = "gone" if write.phase == "sent" else "over"

    def pass_time(self) -> None:
        """Nobody who lives is older than the lapse allows, and upstream keeps to the doubt."""
        then = self.now_ms + self.random.choice([1, 30, LEASE_MS, DOUBT_MS, LAPSE_MS])
        for write in self.writes:
            if write.phase in ("sent", "committed", "ending"):
                then = min(then, write.begun_ms + LAPSE_MS)
        for write in self.writes:
            late = write.phase == "doubtful" and then - write.doubtful_ms >= DOUBT_MS
            dead = write.phase == "gone" and then - write.begun_ms >= LAPSE_MS
            if late or dead:
                write.phase = "over"
        self.now_ms = max(self.now_ms, then)

    # Fetches

    def fetch(self) -> None:
        text = self.random.choice(IDS)
        found = at_once(self.store.read(NS, [text]))
        if found.rows[0] is not None:
            self.hits += 1
            assert found.rows[0] in self.history[text][self.acked[text] :]
        elif found.leases[0] is not None:
            self.fetches.append(Fetch(text, found.leases[0]))

    def read_or_fill(self) -> None:
        fetch = self.random.choice(self.fetches)
        if not fetch.read:
            fetch.read, fetch.row = True, self.history[fetch.text][-1]
            return
        self.fetches.remove(fetch)
        if fetch.row is not None:
            at_once(self.store.fill(fetch.lease, fetch.row))

    # Promises

    def shown(self) -> dict[bytes, bytes]:
        """Give what would be served now, without touching anything."""
        at_once(self.store.read(NS, []))
        fence = self.store._fence_of(NS)
        rows = {}
        for text in IDS:
            document = self.store._documents.get((NS, DIGESTS[text]))
            if rules.look(document, text, fence, 0, 1) is rules.Look.HIT:
                assert document is not None
                assert document.value is not None
                rows[text] = document.value
        return rows

    def check(self) -> None:
        """No hit is older than an acknowledged write, and none is what upstream never had."""
        for text, row in self.shown().items():
            assert row in self.history[text][self.acked[text] :]

    def settle(self) -> None:
        """Once all is quiet, what is cached is what upstream has."""
        for write in self.writes:
            if write.end is not None:
                write.end.close()
        self.now_ms += 10 * LAPSE_MS
        for text, row in self.shown().items():
            assert row == self.history[text][-1]
        assert not self.store._spaces


@pytest.mark.parametrize("seed", range(200))
def test_no_walk_breaks_a_promise(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(200):
        walk.step()
    walk.settle()


@pytest.mark.parametrize("seed", range(4))
def test_walks_meet_hits(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(2000):
        walk.step()
    assert walk.hits > 20
