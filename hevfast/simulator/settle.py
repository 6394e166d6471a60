"""Settling the schema of one write: stored entries, declared ones, then what the data tells."""

from collections.abc import Iterator

from .answers import bad_request
from .attribute import Attribute, Schema, dense_names, id_attribute
from .namespace import Namespace
from .schema import check, inferred, merged
from .types import Kind, dense
from .write import Write


def settled(namespace: Namespace, write: Write, *, fresh: bool) -> Schema:
    """Work out the schema that the namespace has after the write; the stored one stays as it is."""
    metric = _metric(namespace, write)
    schema = merged(namespace.schema, write.schema, metric, fresh=fresh)
    _settle_id(schema, write)
    _settle_vectors(schema, write, metric, fresh=fresh)
    for name, value in _new_values(schema, write):
        # The first value seen fixes the type; a later one of another type is then refused.
        if name not in schema and (entry := inferred(name, value)) is not None:
            schema[name] = entry
    check(schema)
    return schema


def _metric(namespace: Namespace, write: Write) -> str | None:
    if write.metric and namespace.metric and write.metric != namespace.metric:
        raise bad_request(
            f"distance_metric cannot be changed from {namespace.metric} to {write.metric}"
        )
    return namespace.metric or write.metric


def _settle_id(schema: Schema, write: Write) -> None:
    if "id" in schema:
        return
    first = next((batch.ids[0] for batch in write.upserts if batch.ids), None)
    if first is None:
        raise bad_request("the id type must be declared in `schema` to create an empty namespace")
    schema["id"] = id_attribute("string" if isinstance(first, str) else "uint")


def _settle_vectors(schema: Schema, write: Write, metric: str | None, *, fresh: bool) -> None:
    for batch in write.upserts:
        for name in dense_names(schema):
            batch.lift(name)
        for name, block in batch.vectors.items():
            if name not in schema and not fresh:
                raise bad_request(
                    f"attribute `{name}`: vector columns are fixed when the namespace is created"
                )
            entry = schema.setdefault(name, Attribute(dense(block.shape[1]), metric=metric))
            if entry.type.kind is not Kind.DENSE:
                raise bad_request(f"attribute `{name}`: expected {entry.type.name}, got a vector")


def _new_values(schema: Schema, write: Write) -> Iterator[tuple[str, object]]:
    for batch in (*write.upserts, *write.patches):
        for row in batch.rows:
            for name, value in row.items():
                if name not in schema and value is not None:
                    yield name, value
    for name, value in write.patch.items():
        if value is not None:
            yield name, value
