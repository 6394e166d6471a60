"""What is counted of the cache's troubles: the witness of its store."""

import threading
from bisect import bisect_left
from typing import Final

from hevfast.core.names import Failure, Incident, Replaced, Status
from hevfast.observe.catalogue import (
    AEROSPIKE_OPS,
    BREAKER_OPENED,
    CACHE_FAILURES,
    DURATIONS,
    FILES_REPLACED,
    IN_DOUBT,
    MIRRORS_FAILED,
    OWED,
    UNANNOUNCED,
    VOIDED,
)
from hevfast.observe.tally import Tally

_METRICS: Final = {
    Incident.UNANNOUNCED: UNANNOUNCED,
    Incident.MIRROR_FAILED: MIRRORS_FAILED,
    Incident.IN_DOUBT: IN_DOUBT,
    Incident.VOIDED: VOIDED,
    Incident.OWED: OWED,
    Incident.BREAKER_OPENED: BREAKER_OPENED,
}

_SUM: Final = len(DURATIONS) + 1


class Incidents:
    """Counts what a store tells of itself. Never raises.

    All but `called` may come from a store's thread. Adding to a cell is reading and writing it, so
    their cells are found beforehand and one lock is held meanwhile; they are rare.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._values = tally.values
        self._alone = threading.Lock()
        self._saw = {each: tally.first(metric) for each, metric in _METRICS.items()}
        self._failed = {each: tally.first(CACHE_FAILURES, each.value) for each in Failure}
        self._replaced = {each: tally.first(FILES_REPLACED, each.value) for each in Replaced}

    def saw(self, incident: Incident) -> None:
        self._add(self._saw[incident])

    def failed(self, failure: Failure) -> None:
        self._add(self._failed[failure])

    def replaced(self, reason: Replaced) -> None:
        self._add(self._replaced[reason])

    def called(self, operation: str, set_name: str, status: Status, seconds: float) -> None:
        try:
            first = self._tally.first(AEROSPIKE_OPS, operation, set_name, status.value)
            self._values[first + bisect_left(DURATIONS, seconds)] += 1
            self._values[first + _SUM] += seconds
        except Exception:
            self._tally.fault()

    def _add(self, first: int) -> None:
        try:
            with self._alone:
                self._values[first] += 1
        except Exception:
            # Released by now: the gateway is closing.
            self._tally.fault()
