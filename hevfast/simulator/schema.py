"""The schema of a namespace: entries declared, merged into stored ones, or inferred from data."""

from collections.abc import Mapping

from . import shapes
from .answers import bad_request, bad_shape, not_simulated
from .attribute import Attribute, Schema, dense_names, id_attribute
from .indexes import ann_metric, with_indexes
from .limits import ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_MAX, VECTOR_COLUMNS_MAX
from .types import ID_TYPES, VECTORS, Kind, parse
from .values import type_name

_ENTRY_FIELDS = frozenset(
    {"type", "filterable", "full_text_search", "regex", "glob", "fuzzy", "ann", "sparse_knn"}
    | {"embed", "drop"}
)


def merged(
    stored: Schema, wanted: Mapping[str, object], metric: str | None, *, fresh: bool
) -> Schema:
    """Merge declared entries into a copy of the stored schema.

    `fresh` says that the namespace is being created: only then may vector columns appear.
    """
    schema = dict(stored)
    for name, raw in wanted.items():
        fields = _fields(name, raw)
        if fields.get("drop") is True:
            _drop(schema, name)
        elif name in schema:
            schema[name] = _changed(name, schema[name], fields)
        else:
            schema[name] = _declared(name, fields, metric)
            if schema[name].type.kind is Kind.DENSE and not fresh:
                raise bad_request(
                    f"attribute `{name}`: vector columns are fixed when the namespace is created"
                )
    check(schema)
    return schema


def dropped(wanted: Mapping[str, object]) -> list[str]:
    return [
        name for name, raw in wanted.items() if isinstance(raw, dict) and raw.get("drop") is True
    ]


def dense_declared(wanted: Mapping[str, object]) -> set[str]:
    """Names that a request's schema declares as dense vectors; faults are found later."""
    names = set()
    for name, raw in wanted.items():
        spelled = raw.get("type") if isinstance(raw, dict) else raw
        if isinstance(spelled, str) and spelled.startswith("[") and not spelled.startswith("[]"):
            names.add(name)
    return names


def check(schema: Schema) -> None:
    """Hold a merged schema to the limits of a namespace."""
    if len(schema) > ATTRIBUTES_MAX + 1:
        raise bad_request(f"too many attributes: a namespace has at most {ATTRIBUTES_MAX}")
    dense = dense_names(schema)
    if len(dense) > VECTOR_COLUMNS_MAX:
        raise bad_request(f"too many vector columns: a namespace has at most {VECTOR_COLUMNS_MAX}")
    for name in dense:
        if schema[name].metric is None:
            raise bad_request(
                f"distance_metric is required to create a namespace with vector attribute `{name}`"
            )


def check_name(name: str) -> None:
    if name.startswith("$"):
        raise bad_request(f"invalid attribute name `{name}`: names must not begin with `$`")
    if not 1 <= len(name.encode()) <= ATTRIBUTE_NAME_BYTES_MAX:
        raise bad_request(
            f"invalid attribute name `{name[:40]}`: expected 1 to {ATTRIBUTE_NAME_BYTES_MAX} bytes"
        )


def inferred(name: str, value: object) -> Attribute | None:
    """Infer an entry from the first value that is not null; an empty array says nothing.

    Strings never become uuid or datetime. A number with a fraction or exponent becomes `float`
    (unconfirmed); one without becomes `int`, for good.
    """
    check_name(name)
    if name == "vector":
        # Upserts have had their vectors lifted out by now, so this is a patch.
        raise bad_request("vector attribute `vector` cannot be patched")
    if isinstance(value, list):
        first = next((item for item in value if item is not None), None)
        if first is None:
            return None
        spelled = f"[]{_scalar_name(name, first)}"
    else:
        spelled = _scalar_name(name, value)
    return Attribute(parse(spelled), filterable=True)


def _scalar_name(name: str, value: object) -> str:
    found = type_name(value)
    if found not in ("string", "int", "float", "bool"):
        raise bad_request(
            f"attribute `{name}`: cannot infer a type from {found}; declare it in `schema`"
        )
    return found


def _fields(name: str, raw: object) -> dict[str, object]:
    """Bring the short form, a type string, to the object form."""
    if isinstance(raw, str):
        return {"type": raw}
    fields = shapes.mapping(f"schema.{name}", raw)
    for field in fields:
        if field not in _ENTRY_FIELDS:
            raise bad_shape(f"schema.{name}: unknown field `{field}`")
    if fields.get("embed") is not None:
        raise not_simulated("native embedding (`embed` in a schema entry)")
    return fields


def _drop(schema: Schema, name: str) -> None:
    entry = schema.get(name)
    if name == "id" or (entry is not None and entry.type.kind is Kind.DENSE):
        raise bad_request(f"attribute `{name}` cannot be dropped")
    schema.pop(name, None)


def _changed(name: str, entry: Attribute, fields: Mapping[str, object]) -> Attribute:
    """Apply a repeated declaration: what it does not mention stays as it was."""
    spelled = fields.get("type")
    if spelled is not None and parse(shapes.text(f"schema.{name}.type", spelled)) != entry.type:
        raise bad_request(
            f"attribute `{name}`: type cannot be changed from {entry.type.name} to {spelled}"
        )
    metric = ann_metric(name, entry.type, fields, None)
    if metric is not None and metric != entry.metric:
        raise bad_request(f"attribute `{name}`: distance_metric cannot be changed")
    return with_indexes(name, entry, fields)


def _declared(name: str, fields: Mapping[str, object], metric: str | None) -> Attribute:
    if name != "id":
        check_name(name)
    if "type" not in fields:
        raise bad_shape(f"schema.{name}: missing field `type`")
    type_ = parse(shapes.text(f"schema.{name}.type", fields["type"]))
    if name == "id":
        if type_.name not in ID_TYPES:
            raise bad_request(
                f"attribute `id`: type must be uint, uuid or string, not {type_.name}"
            )
        return id_attribute(type_.name)
    if type_.kind in VECTORS:
        entry = Attribute(type_, metric=ann_metric(name, type_, fields, metric))
        return with_indexes(name, entry, fields)
    ann_metric(name, type_, fields, metric)
    searched = any(fields.get(field) for field in ("full_text_search", "regex", "glob", "fuzzy"))
    entry = Attribute(type_, filterable=type_.is_scalar_kind and not searched)
    return with_indexes(name, entry, fields)
