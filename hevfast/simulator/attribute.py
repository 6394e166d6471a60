"""The entries of a schema: the type of an attribute, and what may be asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .types import Kind, Type, parse


@dataclass(frozen=True, slots=True)
class Attribute:
    """One entry: its type and what may be asked of it."""

    type: Type
    filterable: bool = False
    full_text_search: Mapping[str, object] | None = None
    regex: bool = False
    glob: bool = False
    fuzzy: bool = False
    # The metric of a vector index; None where there is none.
    metric: str | None = None
    sparse_knn: bool = False
    # Whether an index that was switched on later is still being built.
    is_building: bool = False


Schema: TypeAlias = dict[str, Attribute]


def id_attribute(type_name: str) -> Attribute:
    return Attribute(parse(type_name), filterable=True)


def dense_names(schema: Schema) -> list[str]:
    return [name for name, entry in schema.items() if entry.type.kind is Kind.DENSE]
