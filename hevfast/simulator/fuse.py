"""Several queries in one request, and their fusion into one list by reciprocal ranks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import shapes
from .answers import bad_request, not_simulated
from .limits import QUERIES_MAX, ROWS_MAX

if TYPE_CHECKING:
    from .values import Id

RANK_CONSTANT = 60


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the lists of the parts become one."""

    rank_constant: float = RANK_CONSTANT
    weights: list[float] = field(default_factory=list)
    limit: int = ROWS_MAX
    offset: int = 0


def sub_queries(fields: dict[str, object]) -> list[dict[str, object]]:
    parts = shapes.sequence("queries", fields["queries"])
    if not 1 <= len(parts) <= QUERIES_MAX:
        raise bad_request(f"queries: found {len(parts)}, expected 1 to {QUERIES_MAX}")
    queries = [shapes.mapping("queries", part) for part in parts]
    for name in ("consistency", "vector_encoding"):
        if any(name in query for query in queries):
            raise bad_request(f"queries: {name} belongs beside queries, not inside")
    return queries


def parse_fusion(fields: dict[str, object], query_count: int) -> Fusion | None:
    """Read `rerank_by` beside queries, with the limit and offset of what it gives."""
    rerank = fields.get("rerank_by")
    if rerank is None:
        if fields.get("limit") is not None or fields.get("offset") is not None:
            raise bad_request("limit and offset beside queries need rerank_by")
        return None
    if isinstance(rerank, dict):
        raise not_simulated("rerank_by with a model")
    match rerank:
        case ["RRF"]:
            options: dict[str, object] = {}
        case ["RRF", dict(given)]:
            options = given
        case _:
            raise bad_request('rerank_by: expected ["RRF"] or ["RRF", {rank_constant, weights}]')
    limit, offset = _page(fields)
    constant = _positive("rank_constant", options.get("rank_constant", RANK_CONSTANT))
    given_weights = options.get("weights")
    weights = [1.0] * query_count
    if given_weights is not None:
        weights = [_positive("weights", w) for w in shapes.sequence("weights", given_weights)]
    if len(weights) != query_count:
        raise bad_request(f"rerank_by: {len(weights)} weights for {query_count} queries")
    return Fusion(constant, weights, limit, offset)


def fused(fusion: Fusion, lists: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Fuse rendered rows: each list adds weight / (constant + rank), with ranks from 1.

    A row holds what any of its lists shows of it. Equal scores go by ascending id (unconfirmed).
    """
    scores: dict[Id, float] = {}
    rows: dict[Id, dict[str, Any]] = {}
    for weight, rows_of_one in zip(fusion.weights, lists, strict=True):
        for rank, row in enumerate(rows_of_one, 1):
            id_ = row["id"]
            scores[id_] = scores.get(id_, 0.0) + weight / (fusion.rank_constant + rank)
            rows[id_] = {**row, **rows.get(id_, {})}
    order = sorted(rows, key=lambda id_: (-scores[id_], id_))
    page = order[fusion.offset : fusion.offset + fusion.limit]
    return [{**rows[id_], "$dist": scores[id_]} for id_ in page]


def _page(fields: dict[str, object]) -> tuple[int, int]:
    limit, offset = fields.get("limit"), fields.get("offset")
    if isinstance(limit, dict):
        limit = limit.get("total")
    start = 0 if offset is None else shapes.count("offset", offset)
    size = ROWS_MAX - start if limit is None else shapes.count("limit", limit)
    if size < 1 or size + start > ROWS_MAX:
        raise bad_request(f"limit must be at least 1, and with offset at most {ROWS_MAX}")
    return size, start


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise bad_request(f"rerank_by: {name} must be above 0, found {value}")
    return float(value)
