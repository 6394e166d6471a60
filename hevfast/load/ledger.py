"""What one process has seen since it last told the parent."""

from array import array
from collections import Counter, defaultdict

from .arrivals import US_PER_S
from .messages import Batch, Marks, Miss


class _Moments:
    __slots__ = ("due", "latency")

    def __init__(self) -> None:
        self.due = array("Q")
        self.latency = array("Q")

    def marks(self) -> Marks:
        return Marks(self.due.tobytes(), self.latency.tobytes())


class Ledger:
    """Takes down moments; histograms are made by the parent, which has no schedule to keep.

    Recording into a histogram costs 2 us here and encoding one 1.5 ms, in which nothing is sent.
    Units: microseconds since the start of the step. What was due before `from_us` is left out.
    """

    def __init__(self, from_us: int) -> None:
        self.from_us = from_us
        self._clear()

    def _clear(self) -> None:
        self._answered: defaultdict[str, _Moments] = defaultdict(_Moments)
        self._lost: defaultdict[str, _Moments] = defaultdict(_Moments)
        self._misses: Counter[tuple[str, str, int]] = Counter()
        self._cache: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._late = array("Q")

    def late(self, due_us: int, now_us: int) -> None:
        """An arrival was looked at, `now_us - due_us` after it was due."""
        if due_us >= self.from_us:
            self._late.append(max(0, now_us - due_us))

    def answered(self, name: str, due_us: int, now_us: int, cache: str = "") -> None:
        if due_us >= self.from_us:
            moments = self._answered[name]
            moments.due.append(due_us)
            moments.latency.append(max(0, now_us - due_us))
            if cache:
                self._cache[name][cache] += 1

    def wrong(self, name: str, word: str, due_us: int, now_us: int) -> None:
        """An answer came and was not good; it has no part in the percentiles."""
        if due_us >= self.from_us:
            self._misses[name, word, now_us // US_PER_S] += 1

    def lost(self, name: str, word: str, due_us: int, now_us: int) -> None:
        """No answer came; whoever waited for it waited as long as this, at least."""
        if due_us >= self.from_us:
            self._misses[name, word, now_us // US_PER_S] += 1
            moments = self._lost[name]
            moments.due.append(due_us)
            moments.latency.append(max(0, now_us - due_us))

    def take(self) -> Batch:
        """Give what has gathered and begin anew."""
        batch = Batch(
            {name: moments.marks() for name, moments in self._answered.items()},
            {name: moments.marks() for name, moments in self._lost.items()},
            [Miss(*what, count) for what, count in self._misses.items()],
            {name: dict(words) for name, words in self._cache.items()},
            self._late.tobytes(),
        )
        self._clear()
        return batch
