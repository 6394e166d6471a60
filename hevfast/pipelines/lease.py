"""The rules of stages and leases: pure functions of a document and the time.

Each gives the document as it is afterwards, or None where nothing may change. A store reads a
document, asks a rule, and writes the answer in one step that no other store step can come between:
a transaction, or a write on condition that the record is still the one that was read. That step
orders all events of a document; the rules need no other clock than the one the store tells.

A lease that has lapsed counts as returned from its last millisecond on, whether or not anybody has
written that down: every rule looks at `settled` first.
"""

from hevfast.pipelines.model import FAILED, INDEXED, REASON_UNSTATED, Document, Lease


def settled(document: Document, now_ms: int) -> Document:
    """Give the document with a lapsed lease undone: back where it was claimed from."""
    lease = document.lease
    if lease is None or now_ms < lease.ends_ms:
        return document
    return document._replace(stage=lease.origin, since_ms=lease.ends_ms, lease=None)


def staged(
    before: Document | None, *, stage: str, position: int, chunk_count: int, now_ms: int
) -> Document:
    """Stage a document anew, whatever it was: the chunks are others, all leases on it are void."""
    generation = before.generation + 1 if before is not None else 1
    return Document(stage, generation, position, now_ms, chunk_count)


def claimed(
    document: Document, *, stage: str, claim_stage: str, worker: str, lease_ms: int, now_ms: int
) -> Document | None:
    """Claim a document that waits in `stage`; one under a live lease is nobody else's."""
    document = settled(document, now_ms)
    if document.stage != stage or document.lease is not None:
        return None
    return document._replace(
        stage=claim_stage,
        generation=document.generation + 1,
        since_ms=now_ms,
        lease=Lease(worker, now_ms + lease_ms, lease_ms, stage),
        reason="",
        writer="",
    )


def extended(document: Document, *, stage: str, worker: str, now_ms: int) -> Document | None:
    """Extend a lease by its own length from now on, for the worker that holds it."""
    document = settled(document, now_ms)
    lease = document.lease
    if document.stage != stage or lease is None or lease.worker != worker:
        return None
    return document._replace(lease=lease._replace(ends_ms=now_ms + lease.length_ms))


def moved(
    document: Document,
    *,
    stage: str,
    from_stage: str | None,
    worker: str | None,
    reason: str,
    now_ms: int,
) -> Document | None:
    """Change the stage, if the document is where and whose the caller thinks; ends the lease."""
    document = settled(document, now_ms)
    if from_stage is not None and document.stage != from_stage:
        return None
    if not _may_act(document, worker):
        return None
    return document._replace(
        stage=stage,
        since_ms=now_ms,
        # Nobody needs the chunks of what is indexed: the store drops them, as `indexed` says.
        chunk_count=0 if stage == INDEXED else document.chunk_count,
        lease=None,
        reason=(reason or REASON_UNSTATED) if stage == FAILED else "",
        writer="",
    )


def created(*, stage: str, position: int, reason: str, now_ms: int) -> Document:
    """Create a document without chunks, in any stage, at the end of the line."""
    unstated = (reason or REASON_UNSTATED) if stage == FAILED else ""
    return Document(stage, 1, position, now_ms, 0, reason=unstated)


def writable(document: Document, *, worker: str | None, now_ms: int) -> bool:
    """Tell whether vectors may be written: always, unless the caller says which worker it is.

    One that has not heard that its vectors were written may send them again.
    """
    document = settled(document, now_ms)
    return _may_act(document, worker) or worker == document.writer


def indexed(
    document: Document, *, generation: int, stage: str, worker: str | None, now_ms: int
) -> Document | None:
    """End the way of a document whose rows upstream has taken.

    `generation` is the one from before they were sent: chunks staged since are not in those rows,
    and a worker that has claimed the document since will write its own.
    """
    document = settled(document, now_ms)
    if document.generation != generation:
        return None
    return document._replace(
        stage=stage, since_ms=now_ms, chunk_count=0, lease=None, reason="", writer=worker or ""
    )


def _may_act(document: Document, worker: str | None) -> bool:
    if worker is None:
        return True
    return document.lease is not None and document.lease.worker == worker
