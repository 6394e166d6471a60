"""What a simulator is started with."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .limits import DELETE_BY_FILTER_ROWS_MAX, PATCH_BY_FILTER_ROWS_MAX, UNINDEXED_BYTES_MAX

# A least and a largest number of milliseconds, between which each time is drawn.
Span: TypeAlias = tuple[float, float]

# Milliseconds; longer times are surely a mistake. Our own choice.
TIME_MS_MAX = 600_000


class Effect(Enum):
    """What goes wrong with a request."""

    # It is answered an error status and not applied.
    STATUS = "status"
    # The connection is closed without an answer, and nothing was applied.
    RESET = "reset"
    # It is applied, and then the connection is closed without an answer.
    LOST = "lost"
    # It is applied, and its answer ends in the middle.
    CUT = "cut"
    # Nothing but `delay_ms`.
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Fault:
    """Do this to a share of some requests, 0 to 1.

    `on` is write, query, metadata, other or any. The first `after` requests that it is meant for
    are spared, and it ends after it has happened `times` times.
    """

    rate: float = 1.0
    effect: Effect = Effect.STATUS
    status: int = 0
    on: str = "write"
    namespace: str | None = None
    after: int = 0
    times: int | None = None
    retry_after_s: float | None = None
    delay_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Options:
    """How the simulated service behaves. The caps are the documented ones; tests lower them."""

    commit_ms: Span = (0.0, 0.0)
    group_commits: bool = False
    query_ms: Span = (0.0, 0.0)
    copy_ms: float = 0.0
    index_lag_ms: float = 0.0
    # Keep to the documented rates and numbers of queries per namespace.
    limited: bool = False
    faults: tuple[Fault, ...] = ()
    seed: int | None = None
    control: bool = False
    # Bytes of what is not indexed that an eventual query looks into; the service's are 128 MiB.
    eventual_tail_bytes: int = 0
    unindexed_bytes_max: int = UNINDEXED_BYTES_MAX
    patch_by_filter_rows_max: int = PATCH_BY_FILTER_ROWS_MAX
    delete_by_filter_rows_max: int = DELETE_BY_FILTER_ROWS_MAX
