"""Counts and sums over the matching rows, as a whole or by group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import shapes
from .answers import bad_request
from .attribute import Schema
from .document import Document
from .filters import known
from .limits import GROUPS_MAX, INT_MIN, UINT_MAX
from .types import Kind
from .values import spelling


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Labelled functions: `Count` or `Sum`, with the attribute they read, if any."""

    functions: tuple[tuple[str, str, str | None], ...]
    # Label, attribute, and whether each element of an array makes a group of its own.
    groups: tuple[tuple[str, str, bool], ...] = ()


def parse_aggregation(aggregate_by: object, group_by: object, schema: Schema) -> Aggregation:
    functions = tuple(
        _function(label, spec, schema)
        for label, spec in shapes.mapping("aggregate_by", aggregate_by).items()
    )
    if not functions:
        raise bad_request("aggregate_by: expected at least one function")
    if group_by is None:
        return Aggregation(functions)
    groups: list[tuple[str, str, bool]] = []
    for part in [group_by] if isinstance(group_by, dict) else shapes.sequence("group_by", group_by):
        if isinstance(part, dict):
            groups.extend(_unique(label, spec, schema) for label, spec in part.items())
        else:
            groups.append(_plain(shapes.text("group_by", part), schema))
    return Aggregation(functions, tuple(groups))


def totals(aggregation: Aggregation, rows: Iterable[Document]) -> dict[str, object]:
    """Compute each function over all rows."""
    held = list(rows)
    return {label: _apply(function, name, held) for label, function, name in aggregation.functions}


def grouped(
    aggregation: Aggregation, rows: Iterable[Document], schema: Schema, groups_max: int
) -> list[dict[str, object]]:
    """Compute each function per group, ordered by group key, null first."""
    groups: dict[tuple[Any, ...], list[Document]] = {}
    for row in rows:
        for key in _keys(aggregation.groups, row):
            groups.setdefault(key, []).append(row)
    ordered = sorted(groups, key=lambda key: [(part is not None, part) for part in key])
    answer: list[dict[str, object]] = []
    for key in ordered[: min(groups_max, GROUPS_MAX)]:
        group: dict[str, object] = {}
        for (label, name, _), part in zip(aggregation.groups, key, strict=True):
            group[label] = None if part is None else spelling(schema[name].type.item(), part)
        answer.append(group | totals(aggregation, groups[key]))
    return answer


def _function(label: str, spec: object, schema: Schema) -> tuple[str, str, str | None]:
    match spec:
        case ["Count"]:
            return label, "Count", None
        case ["Count", str(name)]:
            # Deprecated: counts the rows where the attribute is present (unconfirmed).
            known(name, schema)
            return label, "Count", name
        case ["Sum", str(name)]:
            entry = known(name, schema)
            if entry.type.is_array or entry.type.kind not in (Kind.INT, Kind.UINT, Kind.FLOAT):
                raise bad_request(
                    f"aggregate_by: Sum needs a number, `{name}` is {entry.type.name}"
                )
            return label, "Sum", name
    raise bad_request(f'aggregate_by: `{label}`: expected ["Count"] or ["Sum", attribute]')


def _plain(name: str, schema: Schema) -> tuple[str, str, bool]:
    entry = known(name, schema)
    if entry.type.is_array or not entry.filterable:
        raise bad_request(
            f"group_by: `{name}` is {entry.type.name}; a filterable attribute that is not an array "
            "is needed, or {label: [ForEachUnique, attribute]}"
        )
    return name, name, False


def _unique(label: str, spec: object, schema: Schema) -> tuple[str, str, bool]:
    match spec:
        case ["ForEachUnique", str(name)] if known(name, schema).filterable:
            return label, name, True
    raise bad_request(f'group_by: `{label}`: expected ["ForEachUnique", filterable attribute]')


def _keys(groups: Sequence[tuple[str, str, bool]], row: Document) -> list[tuple[Any, ...]]:
    """List the group keys of one row: the product of the unique elements of its arrays."""
    keys: list[tuple[Any, ...]] = [()]
    for _, name, _ in groups:
        value: Any = row.id if name == "id" else row.attributes.get(name)
        parts = list(dict.fromkeys(value)) if isinstance(value, list) else [value]
        keys = [(*key, part) for key in keys for part in parts]
        if len(keys) > GROUPS_MAX:
            raise bad_request(f"group_by: one row belongs to more than {GROUPS_MAX} groups")
    return keys


def _apply(function: str, name: str | None, rows: list[Document]) -> int | float:
    if name is None or name == "id":
        return len(rows)
    values: list[Any] = [value for row in rows if (value := row.attributes.get(name)) is not None]
    if function == "Count":
        return len(values)
    total: int | float = sum(values)
    # A sum may outgrow 64 bits, which JSON integers here do not.
    return total if INT_MIN <= total <= UINT_MAX else float(total)
