"""Planning a write: every check is made and every change staged before anything is changed.

The order is the service's: delete by filter, patch by filter, then upserts, patches and deletes.
An id may appear once among the last three, so they need no order among themselves.
"""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from .answers import bad_request
from .attribute import Schema, dense_names
from .documents import Batch, vector_missing
from .filters import NOTHING, Predicate, compiled
from .limits import DOCUMENT_BYTES_MAX
from .namespace import Namespace
from .options import Options
from .schema import dropped
from .settle import settled
from .staging import Staged, Staging
from .typed import Typed, present, size_bytes, typed
from .values import Attributes, Id, read_id
from .vectors import fit
from .write import Write


@dataclass(slots=True)
class Plan:
    """A write that can no longer fail."""

    write: Write
    schema: Schema
    staging: Staging
    # Dense columns by field and attribute, converted to the stored element.
    blocks: dict[tuple[str, str], NDArray[Any]] = field(default_factory=dict)
    written_bytes: int = 0
    _seen: set[Id] = field(default_factory=set)

    def claim(self, raw_id: object) -> Id:
        """Check an id of the third step, which may name each document once."""
        id_ = read_id(raw_id, self.schema["id"].type)
        if id_ in self._seen:
            raise bad_request(f"duplicate document id {id_!r} in one write")
        self._seen.add(id_)
        return id_

    def condition(self, name: str) -> Predicate | None:
        if name not in self.write.conditions:
            return None
        return compiled(self.write.conditions[name], self.schema, references=True)


def plan(namespace: Namespace, write: Write, options: Options, *, fresh: bool) -> Plan:
    """Plan a whole write.

    Raises: Refusal, whatever the fault; the namespace is then as it was.
    """
    schema = settled(namespace, write, fresh=fresh)
    planned = Plan(write, schema, Staging(namespace, frozenset(dropped(write.schema))))
    _delete_by_filter(planned, options)
    _patch_by_filter(planned, options)
    for batch in write.upserts:
        _upsert(planned, batch)
    for batch in write.patches:
        _patch(planned, batch)
    _delete(planned)
    return planned


def _delete_by_filter(planned: Plan, options: Options) -> None:
    write, staging = planned.write, planned.staging
    if write.delete_filter is None:
        return
    rows_max = options.delete_by_filter_rows_max
    matches = _matching(planned, write.delete_filter, rows_max)
    if not write.delete_partial and len(matches) > rows_max:
        raise _too_many("delete_by_filter", rows_max)
    for id_ in _capped(staging, matches, rows_max):
        staging.changes[id_] = None
        staging.deleted.append(id_)


def _patch_by_filter(planned: Plan, options: Options) -> None:
    write, staging = planned.write, planned.staging
    if write.patch_filter is None:
        return
    rows_max = options.patch_by_filter_rows_max
    matches = _matching(planned, write.patch_filter, rows_max)
    if not write.patch_partial and len(matches) > rows_max:
        raise _too_many("patch_by_filter", rows_max)
    # The patch is checked once, and also when nothing matches.
    (row,) = typed(planned.schema, [write.patch])
    for id_ in _capped(staging, matches, rows_max):
        old = staging.get(id_)
        if old is not None:
            _stage_patch(planned, id_, old, row)


def _matching(planned: Plan, filter_: object, rows_max: int) -> list[Id]:
    """Find matching ids in ascending order, one more than the cap at most."""
    staging = planned.staging
    test = compiled(filter_, planned.schema)
    found: list[Id] = []
    for row in staging.namespace.rows().documents:
        attributes = staging.get(row.id)
        if attributes is not None and test(row.id, attributes, NOTHING):
            found.append(row.id)
            if len(found) > rows_max:
                break
    return found


def _capped(staging: Staging, matches: list[Id], rows_max: int) -> list[Id]:
    staging.rows_remaining = staging.rows_remaining or len(matches) > rows_max
    return matches[:rows_max]


def _too_many(field_name: str, rows_max: int) -> Exception:
    return bad_request(
        f"{field_name} matches more than {rows_max} documents; "
        f"set {field_name}_allow_partial to change them in several requests"
    )


def _upsert(planned: Plan, batch: Batch) -> None:
    schema, staging = planned.schema, planned.staging
    for name in dense_names(schema):
        if name in batch.vectors:
            planned.blocks[batch.field, name] = fit(name, batch.vectors[name], schema[name].type)
        elif batch.ids:
            raise vector_missing(name, batch.ids[0])
    condition = planned.condition("upsert_condition")
    for index, row in enumerate(typed(schema, batch.rows)):
        id_ = planned.claim(batch.ids[index])
        if condition is not None and not _holds(staging, condition, id_, row, missing=True):
            continue
        attributes = present(row)
        staged = Staged(attributes, size_bytes(schema, id_, attributes), batch.field, index)
        if staged.size_bytes > DOCUMENT_BYTES_MAX:
            raise bad_request(f"document {id_!r} has more than {DOCUMENT_BYTES_MAX} bytes")
        staging.changes[id_] = staged
        staging.upserted.append(id_)
        planned.written_bytes += staged.size_bytes


def _patch(planned: Plan, batch: Batch) -> None:
    condition = planned.condition("patch_condition")
    for raw_id, row in zip(batch.ids, typed(planned.schema, batch.rows), strict=True):
        id_ = planned.claim(raw_id)
        # A document that does not exist is skipped, never created.
        old = planned.staging.get(id_)
        if old is None:
            continue
        if condition is None or _holds(planned.staging, condition, id_, row, missing=False):
            _stage_patch(planned, id_, old, row)


def _stage_patch(planned: Plan, id_: Id, old: Attributes, row: Typed) -> None:
    staging = planned.staging
    attributes = present({**old, **row})
    staged = Staged(attributes, size_bytes(planned.schema, id_, attributes))
    staging.changes[id_] = staged
    staging.patched.append(id_)
    planned.written_bytes += staged.size_bytes


def _delete(planned: Plan) -> None:
    staging = planned.staging
    condition = planned.condition("delete_condition")
    for raw_id in planned.write.deletes or ():
        id_ = planned.claim(raw_id)
        # Nothing is being written, so every `$ref_new` reads as null.
        if condition is not None and not _holds(staging, condition, id_, None, missing=False):
            continue
        # Without a condition an id that does not exist counts too, as seen live.
        staging.changes[id_] = None
        staging.deleted.append(id_)


def _holds(
    staging: Staging, condition: Predicate, id_: Id, row: Typed | None, *, missing: bool
) -> bool:
    """Evaluate a condition; a document that does not exist answers `missing`."""
    stored = staging.get(id_)
    if stored is None:
        return missing
    return condition(id_, stored, NOTHING if row is None else {**present(row), "id": id_})
