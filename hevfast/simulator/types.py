"""Attribute types as the wire names them: `string`, `[]int`, `[768]f32`, `{}f16` and so on."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from .answers import bad_request
from .limits import DIMENSIONS_MAX


class Kind(Enum):
    STRING = "string"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    UUID = "uuid"
    DATETIME = "datetime"
    BOOL = "bool"
    BYTES = "bytes"
    DENSE = "dense vector"
    SPARSE = "sparse vector"
    MULTI = "multi-vector"


# Kinds that have an array form, and may be filtered on.
SCALARS = {
    kind.value: kind
    for kind in (
        Kind.STRING,
        Kind.INT,
        Kind.UINT,
        Kind.FLOAT,
        Kind.UUID,
        Kind.DATETIME,
        Kind.BOOL,
    )
}
VECTORS = frozenset({Kind.DENSE, Kind.SPARSE, Kind.MULTI})
ID_TYPES = frozenset({"uint", "uuid", "string"})

_DENSE = re.compile(r"\[(\d{1,6})\](f32|f16|i8)")
_MULTI = re.compile(r"\[\]\[(\d{1,6})\](f32)")


@dataclass(frozen=True, slots=True)
class Type:
    """One attribute type; `element` is the numpy-like name of a vector's element."""

    name: str
    kind: Kind
    is_array: bool = False
    dimensions: int = 0
    element: str = ""

    @property
    def is_scalar_kind(self) -> bool:
        return self.kind not in VECTORS and self.kind is not Kind.BYTES

    def item(self) -> "Type":
        """The type of one element of an array type; a scalar type is its own item."""
        return parse(self.name.removeprefix("[]")) if self.is_array else self


@lru_cache(maxsize=4096)
def parse(name: str) -> Type:
    """Read a type as the wire spells it."""
    if name in SCALARS:
        return Type(name, SCALARS[name])
    if name.startswith("[]") and name[2:] in SCALARS:
        return Type(name, SCALARS[name[2:]], is_array=True)
    if name == "bytes":
        return Type(name, Kind.BYTES)
    if name == "{}f16":
        return Type(name, Kind.SPARSE, element="f16")
    for pattern, kind in ((_DENSE, Kind.DENSE), (_MULTI, Kind.MULTI)):
        if found := pattern.fullmatch(name):
            dimensions = int(found[1])
            if not 1 <= dimensions <= DIMENSIONS_MAX:
                raise bad_request(f"type `{name}`: vectors have 1 to {DIMENSIONS_MAX} dimensions")
            return Type(name, kind, dimensions=dimensions, element=found[2])
    raise bad_request(f"unknown attribute type `{name}`")


def dense(dimensions: int) -> Type:
    """The type inferred for an attribute named `vector`."""
    return parse(f"[{dimensions}]f32")
