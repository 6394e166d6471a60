"""Judges every answer the moment it comes, against what upstream had held by then.

A hit may show what upstream held at any moment from the last write answered 200 before the fetch
was sent, up to the answer. An answer read from upstream may only show what upstream held while the
fetch was under way. Both are exact: no order has to be searched for.
"""

import time
from collections import Counter, deque
from typing import Any, Final, NamedTuple

from tests.history.line import Reply
from tests.history.truth import Entry, Past, Truth, spelled

# Writes whose worker is remembered, to tell which hits another worker served.
_REMEMBERED_MAX: Final = 20_000

# Nanoseconds of a row's story that are told before the answer that is wrong.
_STORY_NS: Final = 6_000_000_000


class View(NamedTuple):
    """What was known of a row when a fetch of it was sent."""

    text: str
    past: Past
    acknowledged: int
    last: int


class Violation(NamedTuple):
    """A promise that was broken, with the story of the row."""

    promise: str
    story: str

    def __str__(self) -> str:
        return f"{self.promise}\n{self.story}"


class Judge:
    """Knows the truth, counts what was seen, and keeps the first violation."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.violation: Violation | None = None
        self.counts: Counter[str] = Counter()
        self.hits_by_worker: Counter[int] = Counter()
        self.writes_by_status: Counter[int] = Counter()
        # Nothing is in flight any more: a hit must show the row as it is.
        self.quiet = False
        self.faults: deque[tuple[int, str]] = deque(maxlen=200)
        self._writers: dict[int, int] = {}

    # Writes

    def sent(self, write: int, pasts: list[Past], what: str) -> None:
        now = time.monotonic_ns()
        for past in pasts:
            past.note(f"#{write} is sent: {what}", now)

    def answered(self, write: int, pasts: list[Past], status: int, worker: int) -> None:
        self.writes_by_status[status] += 1
        now = time.monotonic_ns()
        for past in pasts:
            past.note(f"#{write} is answered {status} by worker {worker}", now)
        if status == 200:
            self.counts["writes answered 200"] += 1
            self._writers[write] = worker
            if len(self._writers) > _REMEMBERED_MAX:
                del self._writers[next(iter(self._writers))]
            if not self.truth.acknowledge(write):
                self._violated(f"#{write} was answered 200 and never applied", pasts[0])
        if self.truth.twice:
            self._violated(f"#{self.truth.twice[0]} was sent to upstream twice", pasts[0])

    def lost(self, write: int, pasts: list[Past]) -> None:
        self.counts["writes without an answer"] += 1
        for past in pasts:
            past.note(f"#{write} gets no answer")

    # Fetches

    def view(self, name: str, texts: list[str]) -> list[View]:
        """Take down what is known of some rows, right before they are asked for."""
        pasts = self.truth.spaces[name].pasts
        return [View(t, pasts[t], pasts[t].acknowledged, pasts[t].last) for t in texts]

    def fetched(self, views: list[View], sent_ns: int, reply: Reply, worker: int) -> None:
        """Judge the answer to a fetch of one document or of several."""
        found = _documents(reply, [view.text for view in views])
        if found is None:
            self.counts["fetches refused"] += 1
            return
        self.counts[f"fetches: {reply.served or 'no row'}"] += 1
        for view in views:
            state = found.get(view.text)
            shown = "no row" if state is None else state
            after_ms = (time.monotonic_ns() - sent_ns) / 1e6
            view.past.note(
                f"a fetch shows ({reply.served or '404'}, worker {worker}, after {after_ms:.2f} ms)"
                f" {shown}"
            )
            from_cache = reply.served in ("hit", "partial")
            # What is left out of a batch when the store fails may have been found before.
            from_cache |= reply.served == "miss-on-error" and len(views) > 1
            self._check(view, state, from_cache, reply.served, worker)

    def _check(
        self, view: View, state: str | None, from_cache: bool, served: str, worker: int
    ) -> None:
        # The cache knows no absent rows: that one is absent can only be read from upstream.
        cached = state is not None and from_cache
        floor = view.acknowledged if cached and not self.quiet else view.last
        allowed = view.past.since(floor)
        places = [n for n, entry in enumerate(allowed) if entry.state == state]
        if not places:
            self._violated(_reason(view, floor, state, served, self.quiet), view.past)
        elif served == "hit":
            self._count_hit(view.past, floor + places[-1], worker)

    def _count_hit(self, past: Past, position: int, worker: int) -> None:
        self.counts["hits"] += 1
        self.hits_by_worker[worker] += 1
        entry = past.maker(position)
        if past.told_ns < entry.at_ns:
            # Upstream has told nobody of this row since the write: the cache has it of the write.
            self.counts[f"hits put by {entry.kind}"] += 1
            if self._writers.get(entry.write, worker) != worker:
                self.counts["hits put by another worker"] += 1

    def _violated(self, promise: str, past: Past) -> None:
        if self.violation is None:
            self.violation = Violation(f"{past.name}: {promise}", self._story(past))

    def _story(self, past: Past) -> str:
        events = sorted([*past.events, *self.faults])
        end = time.monotonic_ns()
        told = _without_repetitions([each for each in events if each[0] > end - _STORY_NS])
        return "\n".join(f"{(at - end) / 1e6:10.2f} ms  {text}" for at, text in told)


def _documents(reply: Reply, texts: list[str]) -> dict[str, str] | None:
    """Give the rows shown, by id; None if the fetch was not answered."""
    if reply.status == 404 and len(texts) == 1:
        return {}
    if reply.status != 200:
        return None
    value: Any = reply.json
    documents = value.get("documents", [value])
    found = {each["id"]: spelled(each["attributes"]) for each in documents}
    if "missing" in value:
        assert sorted([*found, *value["missing"]]) == sorted(texts), value
    return found


def _without_repetitions(events: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Leave out what was read again and again, but for the first and the last time."""
    told: list[tuple[int, str]] = []
    repeated: tuple[int, str] | None = None
    shown = None
    for event in events:
        is_read = event[1].startswith(("a fetch shows", "upstream tells"))
        row = event[1].partition("{")[2] if is_read else None
        if row is not None and row == shown:
            repeated = event
            continue
        told += [event] if repeated is None else [repeated, event]
        repeated, shown = None, row
    return told if repeated is None else [*told, repeated]


def _reason(view: View, floor: int, state: str | None, served: str, quiet: bool) -> str:
    """Say which promise was broken, and how."""
    when = "after everything had settled, " if quiet else ""
    what = f"{when}a fetch ({served or '404'}) showed {state or 'no row'}, "
    older = [entry for entry in view.past.kept() if entry.state == state]
    if not older:
        return what + "which upstream never held: I2"
    entry = older[-1]
    what += f"as #{entry.write} had left it, which #{_next(view.past, entry)} had replaced"
    if quiet:
        return what + ": I4"
    return what + f"; #{view.past.at(floor).write} is the oldest that may show: I1"


def _next(past: Past, entry: Entry) -> int:
    entries = past.kept()
    following = entries[entries.index(entry) + 1 :]
    return following[0].write if following else entry.write
