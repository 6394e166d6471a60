"""Attributes computed for the rows of an answer: distances and scores."""

from dataclasses import dataclass
from typing import TypeAlias

from . import shapes
from .answers import bad_request, not_simulated
from .attribute import Schema
from .distance import distances
from .document import Rows
from .expression import parse_score
from .limits import COMPUTED_MAX
from .namespace import Namespace
from .rank import query_vector
from .schema import check_name
from .score import Score
from .vectors import Matrix, shortest


@dataclass(frozen=True, slots=True)
class VectorDistance:
    column: str
    query: Matrix
    metric: str


Computation: TypeAlias = VectorDistance | Score


def parse_computations(value: object, schema: Schema) -> dict[str, Computation]:
    """Read `compute_attributes`: an expression for each new name."""
    given = shapes.mapping("compute_attributes", value)
    if len(given) > COMPUTED_MAX:
        raise bad_request(f"compute_attributes: at most {COMPUTED_MAX}, found {len(given)}")
    computations: dict[str, Computation] = {}
    for name, raw in given.items():
        check_name(name)
        if name in schema:
            raise bad_request(f"compute_attributes: `{name}` is an attribute of the namespace")
        computations[name] = _computation(raw, schema)
    return computations


def computed(namespace: Namespace, rows: Rows, computation: Computation) -> list[float]:
    """Compute one attribute for each row. A row without a score gets zero (unconfirmed)."""
    if isinstance(computation, VectorDistance):
        column = namespace.columns[computation.column]
        values = distances(column, computation.query, computation.metric, rows.slots)
    else:
        values = computation.of(namespace, rows).values.astype("<f4")
    spelled: list[float] = shortest(values).tolist()
    return spelled


def _computation(value: object, schema: Schema) -> Computation:
    match value:
        case ["Highlight" | "Embed" as word, *_]:
            # What the answer holds of a highlight is unconfirmed.
            raise not_simulated(f"compute_attributes with {word}")
        case [str(name), "VectorDist", query]:
            vector = query_vector(name, query, schema)
            return VectorDistance(name, vector, schema[name].metric or "")
    return parse_score(value, schema)
