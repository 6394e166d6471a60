"""What is counted of documents' ways through pipelines: half a microsecond a change of stage."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from hevfast.core.names import Status
from hevfast.observe.catalogue import (
    DURATIONS,
    OTHER,
    PIPELINE_FAILED,
    PIPELINE_INDEXED,
    STAGE_DURATION,
    STAGE_TRANSITIONS,
)
from hevfast.observe.tally import Tally

# Where the histogram's sum is, behind its buckets and the one beyond the last.
_SUM: Final = len(DURATIONS) + 1

# Words of `pipelines/model.py` and `store.py`, which are above this: the stages that every pipeline
# has, and the reason of a worker that gave none.
STAGES: Final = ("none", "pending", "embedding", "indexed", "failed")
INDEXED: Final = "indexed"
REASON_UNSTATED: Final = "worker_failed"
_ENDS: Final = STAGES[3:]

# Stage left, stage entered, seconds spent in the first.
Move = tuple[str, str, float]


class Stages:
    """Counts changes of stages. Never raises."""

    __slots__ = ("_firsts", "_tally", "_values")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._values = tally.values
        # First cells of the transitions and of their durations, by pipeline and both stages.
        self._firsts: dict[tuple[str, str, str], tuple[int, int]] = {}
        # Before all others, so that these have names of their own for sure.
        for stage in STAGES:
            tally.shown("stage", stage, known=True)
        tally.shown("reason", REASON_UNSTATED, known=True)

    def moved(self, pipeline: str, moves: Iterable[Move], reason: str = "") -> None:
        """Count changes of documents of a pipeline that the store knows."""
        values = self._values
        try:
            for source, target, seconds in moves:
                way = pipeline, source, target
                transitions, durations = self._firsts.get(way) or self._found(way)
                values[transitions] += 1.0
                values[durations + bisect_left(DURATIONS, seconds)] += 1.0
                values[durations + _SUM] += seconds
                if target in _ENDS:
                    self._ended(pipeline, target, reason)
        except Exception:
            self._tally.fault()

    def _ended(self, pipeline: str, stage: str, reason: str) -> None:
        tally = self._tally
        name = tally.shown("pipeline_id", pipeline, known=True)
        if stage == INDEXED:
            first = tally.first(PIPELINE_INDEXED, name)
        else:
            why = tally.shown("reason", reason or REASON_UNSTATED, known=True)
            first = tally.first(PIPELINE_FAILED, name, why)
        self._values[first] += 1.0

    def _found(self, way: tuple[str, str, str]) -> tuple[int, int]:
        pipeline, source, target = way
        shown = self._tally.shown
        names = (
            shown("pipeline_id", pipeline, known=True),
            shown("stage", source, known=True),
            shown("stage", target, known=True),
        )
        first = self._tally.first
        firsts = first(STAGE_TRANSITIONS, *names, Status.OK.value), first(STAGE_DURATION, *names)
        if OTHER not in names:
            # Only names that were admitted are remembered: there are not too many of them.
            self._firsts[way] = firsts
        return firsts
