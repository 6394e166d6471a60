"""What a simulator is started with."""

from dataclasses import dataclass

from .limits import DELETE_BY_FILTER_ROWS_MAX, PATCH_BY_FILTER_ROWS_MAX


@dataclass(frozen=True, slots=True)
class Fault:
    """Answer this status to this share of the writes, 0 to 1, without applying them."""

    status: int
    rate: float


@dataclass(frozen=True, slots=True)
class Options:
    """How the simulated service behaves. The caps are the documented ones; tests lower them."""

    commit_ms: int = 0
    faults: tuple[Fault, ...] = ()
    seed: int | None = None
    # Bytes of what is not indexed that an eventual query looks into; the service's are 128 MiB.
    eventual_tail_bytes: int = 0
    patch_by_filter_rows_max: int = PATCH_BY_FILTER_ROWS_MAX
    delete_by_filter_rows_max: int = DELETE_BY_FILTER_ROWS_MAX
