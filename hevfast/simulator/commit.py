"""Making a planned write visible, and answering it."""

from .answers import elapsed_ms_since, query_billing
from .attribute import dense_names
from .plan import Plan
from .staging import Staged, Staging
from .values import Id
from .write import Write


def commit(planned: Plan) -> None:
    """Change the namespace. Room is made first; nothing after that can fail."""
    staging = planned.staging
    namespace = staging.namespace
    if staging.dropped:
        namespace.strip(staging.dropped)
        for name in staging.dropped:
            namespace.texts.pop(name, None)
    namespace.change_schema(planned.schema)
    namespace.metric = namespace.metric or planned.write.metric
    for name in dense_names(planned.schema):
        namespace.ensure_column(name, planned.schema[name].type)
    # A patched document keeps its vectors where they are.
    arriving = {
        id_: staged
        for id_, staged in staging.changes.items()
        if staged is not None and staged.field is not None
    }
    slots = namespace.slots_for(arriving)
    for id_, change in staging.changes.items():
        if change is None:
            namespace.remove(id_)
        else:
            slot = slots[id_] if id_ in slots else namespace.documents[id_].slot
            namespace.put(id_, slot, change.attributes, change.size_bytes)
    _put_vectors(planned, arriving, slots)
    # The index must hear of each deletion, too; that it counts for one id is our own guess.
    namespace.finish_write(planned.written_bytes + 8 * len(staging.deleted))
    namespace.touch(wrote=True)


def _put_vectors(planned: Plan, arriving: dict[Id, Staged], slots: dict[Id, int]) -> None:
    """Copy the accepted rows of each block into the matrices, a block at a time."""
    for (field, name), block in planned.blocks.items():
        ours = [
            (slots[id_], staged.row) for id_, staged in arriving.items() if staged.field == field
        ]
        if ours:
            places, rows = zip(*ours, strict=True)
            planned.staging.namespace.columns[name].put(list(places), block[list(rows)])


def write_answer(planned: Plan, started_s: float) -> dict[str, object]:
    """Compose the answer of a write: counts only for the kinds of operation that it held."""
    write, staging = planned.write, planned.staging
    answer = _counts(write, staging)
    if staging.rows_remaining:
        answer["rows_remaining"] = True
    if write.affected_ids:
        for name, ids in (
            ("upserted_ids", staging.upserted),
            ("patched_ids", staging.patched),
            ("deleted_ids", staging.deleted),
        ):
            if ids:
                # A row patched by filter and by id is counted twice and named once (unconfirmed).
                answer[name] = list(dict.fromkeys(ids))
    billing: dict[str, object] = {"billable_logical_bytes_written": planned.written_bytes}
    if write.reads:
        billing["query"] = query_billing(staging.namespace.logical_bytes, 0)
    answer["billing"] = billing
    answer["performance"] = {"server_total_ms": elapsed_ms_since(started_s)}
    return answer


def copy_answer(row_count: int, size_bytes: int, started_s: float) -> dict[str, object]:
    """Compose the answer of a copy or branch, which holds no upserts to count."""
    return {
        "status": "OK",
        "message": "committed",
        "rows_affected": row_count,
        "billing": {"billable_logical_bytes_written": size_bytes},
        "performance": {"server_total_ms": elapsed_ms_since(started_s)},
    }


def _counts(write: Write, staging: Staging) -> dict[str, object]:
    upserted, patched, deleted = map(len, (staging.upserted, staging.patched, staging.deleted))
    counts: dict[str, object] = {
        "status": "OK",
        "message": "committed",
        "rows_affected": upserted + patched + deleted,
    }
    if write.upserts:
        counts["rows_upserted"] = upserted
    if write.patches or write.patch_filter is not None:
        counts["rows_patched"] = patched
    if write.deletes is not None or write.delete_filter is not None:
        counts["rows_deleted"] = deleted
    return counts
