"""A pipeline's status, from what its store counts."""

from typing import Final

from hevfast.pipelines.model import EMBEDDING, FAILED, INDEXED, PENDING, STANDARD_STAGES
from hevfast.pipelines.store import RATE_WINDOW_S, Counts

_S_PER_MIN: Final = 60

IDLE: Final = "idle"
WAITING: Final = "waiting_on_upstream"


def status_of(pipeline: str, counts: Counts) -> dict[str, object]:
    """Give the nine fields of the answer (layer-api 5.5)."""
    stages = dict.fromkeys(STANDARD_STAGES, 0)
    stages.update(
        (stage, count) for stage, count in counts.stages.items() if count or stage in stages
    )
    pending, failed = stages[PENDING], stages[FAILED]
    processing = sum(stages.values()) - pending - failed - stages[INDEXED]
    return {
        "pipeline_id": pipeline,
        "status": _word(pending, stages[EMBEDDING], processing, counts.pushed_back),
        "counts": stages,
        "failed_reasons": counts.failed_reasons,
        "pending_count": pending,
        "processing_count": processing,
        "failed_count": failed,
        "indexed_rate_per_min": counts.indexed / RATE_WINDOW_S * _S_PER_MIN,
        "rate_window_seconds": RATE_WINDOW_S,
    }


def _word(pending: int, embedding: int, processing: int, pushed_back: bool) -> str:
    if not pending and not processing:
        return IDLE
    # Nothing to embed or being embedded: all that is left waits for an earlier stage of its own.
    if pushed_back or not (pending or embedding):
        return WAITING
    return PENDING
