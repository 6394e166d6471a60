"""Documents' changes of stages, counted; and how many are in each stage, when metrics are read."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hevfast.observe.catalogue import ADMITTED_MAX, STAGE_COUNT, Metric
from hevfast.pipelines.model import STANDARD_STAGES
from hevfast.pipelines.store import Move, PipelineStore, UnableError, UnknownPipelineError

if TYPE_CHECKING:
    from hevfast.observe.stages import Stages
    from hevfast.observe.tally import Tally

# Changes counted between two turns of the loop.
_COUNTED_A_TURN: Final = 1000

# Seconds that a scrape waits for the store at most; what has not come by then is left out.
_WAIT_S: Final = 0.5


async def count_moves(
    stages: "Stages", pipeline: str, moves: Sequence[Move], reason: str = ""
) -> None:
    """Count changes, and give other requests their turn if they are many."""
    for start in range(0, len(moves), _COUNTED_A_TURN):
        if start:
            await asyncio.sleep(0)
        stages.moved(pipeline, moves[start : start + _COUNTED_A_TURN], reason)


class StageCounts:
    """Asks the store how many documents are in each stage, of as many pipelines as have names."""

    __slots__ = ("_store", "_tally")

    def __init__(self, store: PipelineStore, tally: "Tally") -> None:
        self._store = store
        self._tally = tally

    async def __call__(self) -> list[tuple[Metric, tuple[str, ...], float]]:
        found: list[tuple[Metric, tuple[str, ...], float]] = []
        try:
            async with asyncio.timeout(_WAIT_S):
                for pipeline in await self._named():
                    for stage, count in (await self._counts(pipeline)).items():
                        found.append((STAGE_COUNT, (pipeline, stage), count))
        except (UnableError, TimeoutError):
            pass
        return found

    async def _named(self) -> list[str]:
        """Give the pipelines with a name of their own in metrics, the oldest first."""
        named: list[str] = []
        for pipeline in await self._store.pipelines():
            if self._tally.shown("pipeline_id", pipeline.id, known=True) == pipeline.id:
                named.append(pipeline.id)
            if len(named) == ADMITTED_MAX["pipeline_id"]:
                break
        return named

    async def _counts(self, pipeline: str) -> dict[str, float]:
        shown: dict[str, float] = dict.fromkeys(STANDARD_STAGES, 0.0)
        try:
            counts = await self._store.counts(pipeline)
        except UnknownPipelineError:
            # It was deleted since.
            return {}
        for stage, count in counts.stages.items():
            name = self._tally.shown("stage", stage, known=True)
            shown[name] = shown.get(name, 0.0) + count
        return shown
