"""Handlers that read documents: queries, several at once, their plans, and recall."""

import asyncio
import random
import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from . import metadata
from .answers import Refusal, bad_request, query_billing, query_performance
from .document import Rows
from .fuse import fused, parse_fusion, sub_queries
from .limits import AGGREGATION_SLOTS, NEAREST_SLOTS
from .namespace import Namespace
from .query import Found, Query, is_eventual, parse_query, run, vector_encoding
from .rank import ByDistance, ByInteraction
from .render import result, size_estimate
from .service import Service
from .transport import json_response, off_loop, read_fields, respond


class Querying:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._random = random.Random(service.options.seed)  # noqa: S311  (repeatable, not secret)

    async def query(self, request: Request) -> Response:
        arrived_s = time.monotonic()
        fields = await read_fields(request)
        namespace = self._service.find(request)
        eventual = is_eventual(fields.get("consistency"))
        encoding = vector_encoding(fields.get("vector_encoding"))
        many = fields.get("queries")
        queries = [fields] if many is None else sub_queries(fields)
        fusion = None if many is None else parse_fusion(fields, len(queries))
        schema = namespace.schema
        parsed = [parse_query(part, schema) for part in queries]
        started_s = await self._take_turn(namespace.name, parsed)
        namespace = self._service.find(request)
        if namespace.schema is not schema:
            # A write came in between.
            parsed = [parse_query(part, namespace.schema) for part in queries]
        seen = self._seen(namespace, eventual)
        # All parts of a multi-query run here, without an await between them: one snapshot.
        found = [run(namespace, query, seen) for query in parsed]
        queried_bytes = namespace.logical_bytes
        row_count = len(namespace.documents)
        # Without a lag nothing is ever indexed, so each query scans every row.
        lags = namespace.indexing.is_on
        unindexed_count = namespace.backlog.row_count if lags else row_count

        def render() -> bytes:
            parts = [result(part, encoding) for part in found]
            returned_bytes = sum(size_bytes for _, size_bytes in parts)
            results = [part for part, _ in parts]
            if fusion is not None:
                results = [{"rows": fused(fusion, [_rows(part) for part in results])}]
            answer: dict[str, object] = {"results": results} if many is not None else results[0]
            answer["billing"] = query_billing(queried_bytes * len(found), returned_bytes)
            answer["performance"] = query_performance(
                arrived_s, started_s, row_count, unindexed_count
            )
            return msgspec.json.encode(answer)

        body = await off_loop(_size(found), render)
        return await off_loop(len(body), respond, request, body)

    async def _take_turn(self, name: str, queries: list[Query]) -> float:
        """Wait for free slots and take the time a query takes; return when its turn was."""
        conditions = self._service.conditions
        if not conditions.limited:
            started_s = time.monotonic()
            await self._work()
            return started_s
        slots = conditions.slots_of(name)
        count = sum(map(_slots, queries))
        await slots.take(count)
        started_s = time.monotonic()
        try:
            await self._work()
        finally:
            slots.give_back(count)
            if slots.is_idle:
                conditions.slots.pop(name, None)
        return started_s

    async def _work(self) -> None:
        took_ms = self._random.uniform(*self._service.conditions.query_ms)
        if took_ms > 0:
            await asyncio.sleep(took_ms / 1000)

    def _seen(self, namespace: Namespace, eventual: bool) -> Rows | None:
        if eventual:
            return namespace.indexed_rows()
        if namespace.is_backlogged:
            raise Refusal(
                429,
                f"namespace '{namespace.name}' has {namespace.backlog.size_bytes} bytes of "
                "unindexed data, too many for a strongly consistent query",
            )
        return None

    async def explain(self, request: Request) -> Response:
        fields = await read_fields(request)
        namespace = self._service.find(request)
        query = parse_query(fields, namespace.schema)
        return await json_response(request, {"plan_text": metadata.plan_text(namespace, query)})

    async def recall(self, request: Request) -> Response:
        fields = await read_fields(request)
        return await json_response(request, metadata.recall(self._service.find(request), fields))


def _slots(query: Query) -> int:
    if query.aggregation is not None:
        return AGGREGATION_SLOTS
    return NEAREST_SLOTS if isinstance(query.ranking, ByDistance | ByInteraction) else 1


def _rows(part: dict[str, Any]) -> list[dict[str, Any]]:
    if "rows" not in part:
        raise bad_request("rerank_by: a query that aggregates has no rows to rank")
    rows: list[dict[str, Any]] = part["rows"]
    return rows


def _size(found: list[Found]) -> int:
    return sum(size_estimate(part) for part in found)
