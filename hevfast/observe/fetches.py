"""What is counted of fetches and of the cache that serves them: a hit takes half a microsecond."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from hevfast.core.clock import monotonic_s
from hevfast.core.names import Fetched, Looked, Served, Status
from hevfast.observe.catalogue import (
    BACKFILL_DURATION,
    BACKFILLS,
    COLD_RESPONSES,
    COLD_START,
    COLD_START_ACTIVE,
    COLD_STARTS,
    COLD_STARTS_TOTAL,
    DEMAND,
    DURATIONS,
    FETCH_BATCH,
    FETCH_DURATION,
    FETCH_IDS,
    LOOKUP_DURATION,
    LOOKUPS,
    OTHER,
    PAYLOAD,
    PAYLOADS,
)
from hevfast.observe.tally import Tally

# What Layer calls the kind of vector database behind it.
_UPSTREAM: Final = "turbopuffer"

# Where a histogram's sum is, behind its buckets and the one beyond the last.
_SUM: Final = len(DURATIONS) + 1
_BYTES_SUM: Final = len(PAYLOADS) + 1
_IDS_SUM: Final = len(FETCH_IDS) + 1
_COLD_SUM: Final = len(COLD_STARTS) + 1

# First cells of a hit: fetch, lookup, payload, lookups, demand.
Firsts = tuple[int, int, int, int, int]


class Fetches:
    """Counts fetches. Never raises.

    `set_prefix`: a set is named by it and the namespace, as in Layer, whatever the store.
    """

    def __init__(self, tally: Tally, set_prefix: str) -> None:
        self._tally = tally
        self._values = tally.values
        self._set_prefix = set_prefix
        self._hits: dict[bytes, Firsts] = {}
        self._batches = {each: tally.first(FETCH_BATCH, each.value) for each in Fetched}
        self._one = self._batches[Fetched.ONE]
        # Since when the cache has been out of reach of fetches.
        self._cold_s: float | None = None

    def hit(self, namespace: bytes, size: int, seconds: float) -> None:
        """Count a fetch of one document of `size` bytes that the cache gave without waiting."""
        try:
            firsts = self._hits.get(namespace) or self._found(namespace)
            duration, lookup, payload, lookups, demand = firsts
            values = self._values
            bucket = bisect_left(DURATIONS, seconds)
            values[duration + bucket] += 1.0
            values[duration + _SUM] += seconds
            values[lookup + bucket] += 1.0
            values[lookup + _SUM] += seconds
            values[payload + bisect_left(PAYLOADS, size)] += 1.0
            values[payload + _BYTES_SUM] += size
            values[lookups] += 1.0
            values[demand] += 1.0
            one = self._one
            values[one] += 1.0
            values[one + _IDS_SUM] += 1.0
        except Exception:
            self._tally.fault()

    def looked(
        self,
        namespace: bytes,
        rows: Sequence[bytes | None],
        missing: Looked,
        seconds: float,
        *,
        known: bool,
    ) -> None:
        """Count a lookup of documents: what it gave, and what the rest of them are.

        `known`: upstream or the cache has a document of this namespace.
        """
        try:
            name, set_name = self._names(namespace, known=known)
            sizes = [len(row) for row in rows if row is not None]
            missed = len(rows) - len(sizes)
            first = self._tally.first
            if sizes:
                self._values[first(LOOKUPS, set_name, name, Looked.HIT.value)] += len(sizes)
                self._count_payload(set_name, sizes)
            if missed:
                self._values[first(LOOKUPS, set_name, name, missing.value)] += missed
            self._values[first(DEMAND, name, _UPSTREAM)] += 1
            if missing is Looked.BYPASS:
                return
            result = missing
            if missing is Looked.MISS and sizes:
                result = Looked.PARTIAL if missed else Looked.HIT
            self._count(first(LOOKUP_DURATION, set_name, result.value), seconds)
            self._note_cold(name, missing is Looked.ERROR)
        except Exception:
            self._tally.fault()

    def filled(self, namespace: bytes, count: int, status: Status, seconds: float) -> None:
        """Count documents that were read upstream and given to the cache."""
        try:
            _, set_name = self._names(namespace, known=True)
            first = self._tally.first
            self._values[first(BACKFILLS, set_name, status.value)] += count
            self._count(first(BACKFILL_DURATION, set_name, status.value), seconds)
        except Exception:
            self._tally.fault()

    def fetched(
        self, operation: Fetched, namespace: bytes, served: Served, ids: int, seconds: float
    ) -> None:
        """Count a fetch that could be answered, by 200 or 404."""
        try:
            name, _ = self._names(namespace, known=False)
            first = self._tally.first(FETCH_DURATION, operation.value, name, served.value)
            self._count(first, seconds)
            batch = self._batches[operation]
            self._values[batch + bisect_left(FETCH_IDS, ids)] += 1
            self._values[batch + _IDS_SUM] += ids
        except Exception:
            self._tally.fault()

    def _names(self, namespace: bytes, *, known: bool) -> tuple[str, str]:
        name = self._tally.shown("namespace", namespace.decode("latin-1"), known=known)
        return name, OTHER if name == OTHER else self._set_prefix + name

    def _found(self, namespace: bytes) -> Firsts:
        name, set_name = self._names(namespace, known=True)
        first, hit = self._tally.first, Looked.HIT.value
        firsts = (
            first(FETCH_DURATION, Fetched.ONE.value, name, Served.HIT.value),
            first(LOOKUP_DURATION, set_name, hit),
            first(PAYLOAD, set_name, hit),
            first(LOOKUPS, set_name, name, hit),
            first(DEMAND, name, _UPSTREAM),
        )
        if name != OTHER:
            # Only names that were admitted are remembered: there are not too many of them.
            self._hits[namespace] = firsts
        return firsts

    def _count(self, first: int, seconds: float) -> None:
        self._values[first + bisect_left(DURATIONS, seconds)] += 1
        self._values[first + _SUM] += seconds

    def _count_payload(self, set_name: str, sizes: list[int]) -> None:
        first = self._tally.first(PAYLOAD, set_name, Looked.HIT.value)
        counts = [0] * _BYTES_SUM
        for size in sizes:
            counts[bisect_left(PAYLOADS, size)] += 1
        for cell, count in enumerate(counts, first):
            self._values[cell] += count
        self._values[first + _BYTES_SUM] += sum(sizes)

    def _note_cold(self, name: str, is_cold: bool) -> None:
        """Measure from the first fetch that found the cache out of reach to the first that does."""
        first, values = self._tally.first, self._values
        if is_cold:
            values[first(COLD_RESPONSES, name, _UPSTREAM)] += 1
            if self._cold_s is None:
                self._cold_s = monotonic_s()
                values[first(COLD_STARTS_TOTAL)] += 1
                values[first(COLD_START_ACTIVE)] = 1
        elif self._cold_s is not None:
            seconds, self._cold_s = monotonic_s() - self._cold_s, None
            values[first(COLD_START) + bisect_left(COLD_STARTS, seconds)] += 1
            values[first(COLD_START) + _COLD_SUM] += seconds
            values[first(COLD_START_ACTIVE)] = 0
