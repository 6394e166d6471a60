"""Documents of one write field in one form, whether they came as rows or as columns."""

import dataclasses
from dataclasses import dataclass

from . import shapes
from .answers import bad_request
from .vectors import Matrix, stack


@dataclass(slots=True)
class Batch:
    """Documents of one field: ids, remaining attributes, and dense vectors lifted out of them.

    In an upsert an absent attribute and a null one are the same and nulls are left out. In a
    patch null means "clear it" and stays.
    """

    field: str
    ids: list[object]
    rows: list[dict[str, object]]
    vectors: dict[str, Matrix] = dataclasses.field(default_factory=dict)

    @property
    def is_patch(self) -> bool:
        return self.field.startswith("patch")

    def lift(self, name: str) -> None:
        """Move one dense column from the rows into a matrix, if any row has it.

        One row with it and one without is an error in any namespace: a namespace either has the
        column, and then every document carries it, or has not.
        """
        if self.is_patch or name in self.vectors:
            return
        vectors = [row.pop(name, None) for row in self.rows]
        if all(vector is None for vector in vectors):
            return
        for id_, vector in zip(self.ids, vectors, strict=True):
            if vector is None:
                raise vector_missing(name, id_)
        self.vectors[name] = stack(name, vectors)


def vector_missing(name: str, id_: object) -> Exception:
    return bad_request(f"document {id_!r}: missing vector attribute `{name}`")


def from_rows(name: str, value: object) -> Batch:
    """Read `upsert_rows` or `patch_rows`; the dictionaries are taken over, not copied."""
    rows = shapes.sequence(name, value)
    ids: list[object] = []
    documents: list[dict[str, object]] = []
    keep_nulls = name.startswith("patch")
    for raw in rows:
        row = shapes.mapping(name, raw)
        if row.get("id") is None:
            raise bad_request(f"{name}: missing `id` in document {len(ids)}")
        ids.append(row.pop("id"))
        if not keep_nulls and None in row.values():
            row = {key: item for key, item in row.items() if item is not None}
        documents.append(row)
    return Batch(name, ids, documents)


def from_columns(name: str, value: object) -> Batch:
    """Read `upsert_columns` or `patch_columns` into rows."""
    columns = {
        key: shapes.sequence(f"{name}.{key}", raw)
        for key, raw in shapes.mapping(name, value).items()
    }
    if "id" not in columns:
        raise bad_request(f"{name}: missing `id` column")
    ids = columns.pop("id")
    for key, column in columns.items():
        if len(column) != len(ids):
            raise bad_request(
                f"{name}: column `{key}` has {len(column)} values, but `id` has {len(ids)}"
            )
    if None in ids:
        raise bad_request(f"{name}: `id` must not be null")
    rows: list[dict[str, object]] = [{} for _ in ids]
    keep_nulls = name.startswith("patch")
    for key, column in columns.items():
        for row, item in zip(rows, column, strict=True):
            if item is not None or keep_nulls:
                row[key] = item
    return Batch(name, ids, rows)
