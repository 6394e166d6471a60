"""What is counted of queries."""

from bisect import bisect_left
from typing import Final

from hevfast.core.names import Status
from hevfast.observe.catalogue import (
    DURATIONS,
    QUERY_CUTS,
    QUERY_DURATION,
    QUERY_OVERHEAD,
    QUERY_SHAPE,
    QUERY_TPUF,
)
from hevfast.observe.tally import Tally
from hevfast.observe.writes import DIRECT, status_of

_SUM: Final = len(DURATIONS) + 1
_WORDS: Final = {True: "true", False: "false"}


class Queries:
    """Counts queries. Never raises."""

    __slots__ = ("_tally", "_values")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._values = tally.values

    def answered(
        self,
        namespace: bytes,
        status: int,
        total_s: float,
        upstream_s: float,
        *,
        has_filter: bool,
        has_rank_by: bool,
    ) -> None:
        """Count a query that upstream answered."""
        said = Status.OK if status < 300 else Status.TPUF_ERROR
        self._count(namespace, said, total_s, upstream_s)
        try:
            name = self._name(namespace, known=status < 300)
            shape = _WORDS[has_filter], _WORDS[has_rank_by]
            first = self._tally.first(QUERY_SHAPE, DIRECT, name, *shape, said.value)
            self._values[first] += 1
        except Exception:
            self._tally.fault()

    def failed(self, namespace: bytes, total_s: float, error: BaseException) -> None:
        """Count a query that ended without an answer of upstream's."""
        self._count(namespace, status_of(error), total_s, 0.0)

    def cut(self) -> None:
        """Count a query that was cut at the watermark."""
        try:
            self._values[self._tally.first(QUERY_CUTS)] += 1
        except Exception:
            self._tally.fault()

    def _count(self, namespace: bytes, status: Status, total_s: float, upstream_s: float) -> None:
        try:
            name = self._name(namespace, known=status is Status.OK)
            upstream_s = min(upstream_s, total_s)
            for metric, seconds in (
                (QUERY_DURATION, total_s),
                (QUERY_TPUF, upstream_s),
                (QUERY_OVERHEAD, total_s - upstream_s),
            ):
                first = self._tally.first(metric, DIRECT, name, status.value)
                self._values[first + bisect_left(DURATIONS, seconds)] += 1
                self._values[first + _SUM] += seconds
        except Exception:
            self._tally.fault()

    def _name(self, namespace: bytes, *, known: bool) -> str:
        return self._tally.shown("namespace", namespace.decode("latin-1"), known=known)
