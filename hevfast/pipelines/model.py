"""The words of the pipelines: what a pipeline and a staged document are."""

from typing import Final, NamedTuple

PENDING: Final = "pending"
EMBEDDING: Final = "embedding"
INDEXED: Final = "indexed"
FAILED: Final = "failed"

# Stages are free text; these four are always counted, and the last two end a document's way.
STANDARD_STAGES: Final = (PENDING, EMBEDDING, INDEXED, FAILED)

# What a failed document's reason is when its worker gave none.
REASON_UNSTATED: Final = "worker_failed"


class Pipeline(NamedTuple):
    """A pipeline as it was created. `created_at` is RFC 3339 text in UTC."""

    id: str
    target_namespace: str
    distance_metric: str
    created_at: str
    paused: bool = False


class Lease(NamedTuple):
    """A worker's right to a document until `ends_ms`."""

    worker: str
    ends_ms: int
    # What a heartbeat extends it by, from its own time on.
    length_ms: int
    # The stage that the document was claimed from, and returns to if the lease lapses.
    origin: str


class Document(NamedTuple):
    """The state of one document; its chunks are kept apart.

    Times are milliseconds of the store's clock.
    """

    stage: str
    # Raised by staging and by claiming: whoever began before one of them is told apart after it.
    generation: int
    # The place in the line: given by staging, kept by all that follows. Lowest is served first.
    position: int
    since_ms: int
    chunk_count: int
    lease: Lease | None = None
    # Set while the stage is `failed`.
    reason: str = ""
    # Whose vectors indexed it, if they were said to be somebody's: the same may be sent again.
    writer: str = ""
