"""Turning found rows into the JSON of an answer, with the bytes that billing counts."""

from typing import Any

from .query import Found
from .values import bytes_of, id_bytes, spelling
from .vectors import base64_of, numbers_of, shortest


def result(found: Found, encoding: str) -> tuple[dict[str, object], int]:
    """Render one result; return it with its billed bytes.

    Cost: a pass over all vectors, so large results are rendered in a thread.
    """
    if found.aggregated is not None:
        return found.aggregated, _aggregate_bytes(found.aggregated)
    rows: list[dict[str, Any]] = []
    scalars = [name for name in found.included if name not in found.vectors]
    returned_bytes = 0
    for document in found.rows:
        row: dict[str, Any] = {"id": document.id}
        returned_bytes += id_bytes(found.schema["id"].type, document.id)
        for name in scalars:
            value = document.attributes.get(name)
            # Null attributes are left out, also when all are asked for.
            if value is not None:
                type_ = found.schema[name].type
                row[name] = spelling(type_, value)
                returned_bytes += bytes_of(type_, value)
        rows.append(row)
    for name, block in found.vectors.items():
        spelled = base64_of(block) if encoding == "base64" else numbers_of(block)
        for row, vector in zip(rows, spelled, strict=True):
            row[name] = vector
        returned_bytes += block.nbytes
    if found.distances is not None:
        for row, distance in zip(rows, shortest(found.distances).tolist(), strict=True):
            row["$dist"] = distance
        returned_bytes += 4 * len(rows)
    for name, values in found.computed.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
        # As a distance is counted (unconfirmed).
        returned_bytes += 4 * len(rows)
    return {"rows": rows}, returned_bytes


def size_estimate(found: Found) -> int:
    """Guess the bytes of the rendered result, to decide where it is rendered."""
    vectors = sum(block.size * 10 for block in found.vectors.values())
    return vectors + 64 * len(found.rows) * (1 + len(found.included))


def _aggregate_bytes(aggregated: dict[str, object]) -> int:
    """Bill eight bytes per value (unconfirmed)."""
    match aggregated:
        case {"aggregation_groups": list(groups)}:
            return sum(8 * len(group) for group in groups)
        case {"aggregations": dict(totals)}:
            return 8 * len(totals)
    return 0
