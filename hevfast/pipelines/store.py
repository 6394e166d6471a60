"""What the routes ask of a pipeline store, whichever it is.

Ids are text, at most `PIPELINE_ID_BYTES_MAX` and `DOCUMENT_ID_BYTES_MAX` bytes of UTF-8. Chunks are
the JSON array as the client sent it. Every method but `open` and `close` raises UnableError if the
store cannot do it now, and those that name a pipeline raise UnknownPipelineError if there is none.
"""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol

from hevfast.pipelines.model import Pipeline

PIPELINE_ID_BYTES_MAX: Final = 256
DOCUMENT_ID_BYTES_MAX: Final = 1024

# Bytes. Names of stages, workers and reasons.
STAGE_BYTES_MAX: Final = 128
WORKER_BYTES_MAX: Final = 256
REASON_BYTES_MAX: Final = 128

# Reasons counted apart in one pipeline; further ones are counted as `other`.
REASONS_MAX: Final = 64
# Custom stages in one pipeline; a change to one more is refused.
STAGES_MAX: Final = 64

# Pipelines of one store; `create` refuses one more.
PIPELINES_MAX: Final = 10_000

# Documents in one call.
DOCUMENTS_MAX: Final = 10_000

# Seconds that the rate of indexing is taken over.
RATE_WINDOW_S: Final = 60

# The stage a document comes from when it is staged or created for the first time.
NOWHERE: Final = "none"


class UnableError(Exception):
    """The store is down, too slow or full; nothing is known to have been done."""


class UnknownPipelineError(Exception):
    """There is no pipeline of this id."""


class TooManyPipelinesError(UnableError):
    """There are PIPELINES_MAX pipelines already."""


class TooManyStagesError(Exception):
    """The pipeline has STAGES_MAX custom stages in use already."""


class Staging(NamedTuple):
    """One document to stage."""

    document: str
    chunks: bytes
    chunk_count: int


class Staged(Enum):
    STAGED = "staged"
    # More bytes than the store takes for one document.
    TOO_LARGE = "too_large"
    # The store took others of the same call, not this one.
    UNABLE = "unable"


class Move(NamedTuple):
    """A document's change from one stage to another, and the seconds it spent in the first."""

    source: str
    target: str
    seconds: float


# Who hears of moves that no call has made: a pipeline's lapses, undone in the background.
Tell = Callable[[str, Sequence[Move]], Awaitable[None]]


async def tell_nobody(pipeline: str, moves: Sequence[Move]) -> None:
    """Do nothing."""


class Claimed(NamedTuple):
    documents: list[str]
    # Lapsed leases found and undone on the way are among them.
    moves: list[Move]


class Changed(NamedTuple):
    changed: int
    moves: list[Move]


class Absent(Enum):
    """Why there are no chunks to read."""

    # No such document.
    UNKNOWN = "unknown"
    # The document is known, its chunks are lost: it has to be staged again.
    LOST = "lost"


class Opened(NamedTuple):
    """A document whose vectors are about to be written."""

    generation: int
    # Row ids of the version written last, as a JSON array; None: none was written.
    rows: bytes | None
    # Whether the worker named may write.
    writable: bool


class Counts(NamedTuple):
    """What a pipeline's status is made of."""

    # Documents by stage; stages without documents may be missing.
    stages: dict[str, int]
    failed_reasons: dict[str, int]
    # Documents indexed in the last RATE_WINDOW_S seconds.
    indexed: int
    # Whether upstream has pushed back on the target namespace a moment ago.
    pushed_back: bool


class PipelineStore(Protocol):
    """Pipelines, their documents, and the documents' chunks."""

    async def open(self) -> None:
        """Open it in this worker, after the fork. A store that cannot be opened is unable."""

    async def close(self) -> None: ...

    async def create(self, pipeline: Pipeline) -> bool:
        """Create a pipeline; False if its id is taken.

        Raises: TooManyPipelinesError.
        """

    async def pipelines(self) -> list[Pipeline]:
        """Give all pipelines, the oldest first, each one created before the call among them."""

    async def pipeline(self, pipeline: str) -> Pipeline: ...

    async def pause(self, pipeline: str, paused: bool) -> Pipeline: ...

    async def delete(self, pipeline: str) -> None:
        """Delete a pipeline at once; its documents go in the background, and never come back."""

    async def stage(
        self, pipeline: str, stagings: Sequence[Staging]
    ) -> tuple[list[Staged], list[Move]]:
        """Replace documents' chunks, whole, and put them at the end of the line of `pending`.

        Chunks can be read before the document is `pending`. One word for each staging.
        """

    async def chunks(self, pipeline: str, documents: Sequence[str]) -> list[bytes | Absent]:
        """Read documents' chunks; one record a document."""

    async def claim(
        self,
        pipeline: str,
        *,
        stage: str,
        claim_stage: str,
        worker: str,
        limit: int,
        lease_ms: int,
        prefix: str,
    ) -> Claimed:
        """Claim documents, the oldest first; none while the pipeline is paused.

        Raises: TooManyStagesError, if `claim_stage` would be one more.
        """

    async def extend(
        self, pipeline: str, documents: Sequence[str], *, stage: str, worker: str
    ) -> int:
        """Extend leases; give how many."""

    async def move(
        self,
        pipeline: str,
        documents: Sequence[str],
        *,
        stage: str,
        from_stage: str | None,
        worker: str | None,
        reason: str,
        create_missing: bool,
    ) -> Changed:
        """Change documents' stages, and create those that are missing if that is wished.

        Raises: TooManyStagesError.
        """

    async def open_document(
        self, pipeline: str, document: str, worker: str | None
    ) -> Opened | None:
        """Look at a document before its rows are sent upstream; None if there is none."""

    async def index_document(
        self, pipeline: str, document: str, generation: int, rows: bytes, worker: str | None
    ) -> Changed:
        """Mark a document `indexed` and drop its chunks; keep the ids of its rows (JSON array)."""

    async def counts(self, pipeline: str) -> Counts: ...

    async def push_back(self, namespace: str) -> None:
        """Note that upstream has refused or failed a write to the namespace for load."""


def parts_of(documents: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut a call into parts, each document once; one part of none where none is named."""
    distinct = list(dict.fromkeys(documents))
    return [distinct[at : at + size] for at in range(0, max(1, len(distinct)), size)]
