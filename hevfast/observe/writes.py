"""What is counted of writes: half a microsecond each."""

from bisect import bisect_left
from typing import Final

from hevfast.core.errors import MEANINGS, GatewayError, Source
from hevfast.core.names import Status
from hevfast.observe.catalogue import (
    DURATIONS,
    OTHER,
    UPSERT_BATCH,
    UPSERT_DURATION,
    UPSERT_OVERHEAD,
    UPSERT_TPUF,
    WRITE_ROWS,
    WRITES_REJECTED,
)
from hevfast.observe.tally import Tally

# The pipeline of writes that come by none.
DIRECT: Final = "direct"

# Where a histogram's sum is, behind its buckets and the one beyond the last.
_SUM: Final = len(DURATIONS) + 1
_ROWS_SUM: Final = len(WRITE_ROWS) + 1

# First cells of duration, upstream's part, the rest, and the batch size.
Firsts = tuple[int, int, int, int]


class Writes:
    """Counts writes. Never raises."""

    __slots__ = ("_applied", "_rejected", "_tally", "_values")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._values = tally.values
        # Of writes that were applied, by namespace, or by pipeline and namespace.
        self._applied: dict[object, Firsts] = {}
        self._rejected = {
            code: tally.first(WRITES_REJECTED, code)
            for code, meaning in MEANINGS.items()
            if meaning.source in (Source.CLIENT, Source.CACHE)
        }

    def applied(
        self, pipeline: str, namespace: bytes, rows: int, total_s: float, upstream_s: float
    ) -> None:
        """Count a write that upstream answered 2xx."""
        try:
            key = namespace if pipeline is DIRECT else (pipeline, namespace)
            firsts = self._applied.get(key) or self._found(key, pipeline, namespace)
            self._count(firsts, total_s, upstream_s)
            self._count_rows(firsts[3], rows)
        except Exception:
            self._tally.fault()

    def refused(
        self, pipeline: str, namespace: bytes, rows: int, total_s: float, upstream_s: float
    ) -> None:
        """Count a write that upstream answered otherwise."""
        try:
            names = self._names(pipeline, namespace, known=False)
            firsts = self._firsts(names, Status.TPUF_ERROR)
            self._count(firsts, total_s, upstream_s)
            self._count_rows(firsts[3], rows)
        except Exception:
            self._tally.fault()

    def failed(
        self,
        pipeline: str,
        namespace: bytes,
        total_s: float,
        upstream_s: float,
        error: BaseException,
    ) -> None:
        """Count a write that ended without an answer of upstream's to pass on."""
        try:
            status = status_of(error)
            if status in (Status.LAYER_ERROR, Status.AEROSPIKE_ERROR):
                upstream_s = 0.0
            firsts = self._firsts(self._names(pipeline, namespace, known=False), status)
            self._count(firsts, total_s, min(upstream_s, total_s))
            self.rejected(error)
        except Exception:
            self._tally.fault()

    def rejected(self, error: BaseException) -> None:
        """Count a write that was refused here, if this error says so."""
        try:
            first = self._rejected.get(error.code) if isinstance(error, GatewayError) else None
            if first is not None:
                self._values[first] += 1
        except Exception:
            self._tally.fault()

    def _count(self, firsts: Firsts, total_s: float, upstream_s: float) -> None:
        values = self._values
        duration, upstream, overhead, _ = firsts
        values[duration + bisect_left(DURATIONS, total_s)] += 1.0
        values[duration + _SUM] += total_s
        values[upstream + bisect_left(DURATIONS, upstream_s)] += 1.0
        values[upstream + _SUM] += upstream_s
        own_s = total_s - upstream_s
        values[overhead + bisect_left(DURATIONS, own_s)] += 1.0
        values[overhead + _SUM] += own_s

    def _count_rows(self, first: int, rows: int) -> None:
        self._values[first + bisect_left(WRITE_ROWS, rows)] += 1.0
        self._values[first + _ROWS_SUM] += rows

    def _found(self, key: object, pipeline: str, namespace: bytes) -> Firsts:
        names = self._names(pipeline, namespace, known=True)
        firsts = self._firsts(names, Status.OK)
        if OTHER not in names:
            # Only names that were admitted are remembered: there are not too many of them.
            self._applied[key] = firsts
        return firsts

    def _names(self, pipeline: str, namespace: bytes, *, known: bool) -> tuple[str, str]:
        tally = self._tally
        if pipeline is not DIRECT:
            pipeline = tally.shown("pipeline_id", pipeline, known=known)
        return pipeline, tally.shown("namespace", namespace.decode("latin-1"), known=known)

    def _firsts(self, names: tuple[str, str], status: Status) -> Firsts:
        first = self._tally.first
        return (
            first(UPSERT_DURATION, *names, status.value),
            first(UPSERT_TPUF, *names, status.value),
            first(UPSERT_OVERHEAD, *names, status.value),
            first(UPSERT_BATCH, *names),
        )


def status_of(error: BaseException) -> Status:
    """Give the status of a write that ended with an error."""
    if isinstance(error, GatewayError):
        if error.source is Source.CACHE:
            return Status.AEROSPIKE_ERROR
        if error.source is Source.UPSTREAM:
            if error.__cause__ is None:
                # Upstream applied it, and the cache could not be told.
                return Status.AEROSPIKE_ERROR
            timeout = isinstance(error.__cause__, TimeoutError)
            return Status.TIMEOUT if timeout else Status.TPUF_ERROR
    return Status.LAYER_ERROR
