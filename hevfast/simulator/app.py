"""The simulator as an ASGI application: routes, and the handlers behind them."""

import asyncio
import time
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import metadata
from .answers import HEART, Refusal, bad_request, query_billing, query_performance
from .catalogue import Catalogue, check_namespace_name
from .faults import Faults
from .fuse import fused, parse_fusion, sub_queries
from .limits import OPERATIONS_MAX
from .namespace import Namespace
from .options import Options
from .query import Found, is_eventual, parse_query, run, vector_encoding
from .render import result, size_estimate
from .transport import (
    BearerGate,
    error_response,
    json_response,
    off_loop,
    read_body,
    read_fields,
    respond,
)
from .write import decode_copy, decode_write


def build(options: Options | None = None) -> ASGIApp:
    """Build one simulator with its own empty state."""
    simulator = Simulator(options or Options())
    one = "namespaces/{name}"
    routes = [
        Route(f"/v2/{one}", simulator.write, methods=["POST"]),
        Route(f"/v2/{one}", simulator.delete, methods=["DELETE"]),
        Route(f"/v2/{one}/async", simulator.start_copy, methods=["POST"]),
        Route(f"/v2/{one}/query", simulator.query, methods=["POST"]),
        Route(f"/v2/{one}/explain_query", simulator.explain, methods=["POST"]),
        Route(f"/v2/{one}/metadata", simulator.metadata_v2, methods=["GET"]),
        Route(f"/v1/{one}/metadata", simulator.metadata_v1, methods=["GET"]),
        Route(f"/v1/{one}/metadata", simulator.update_metadata, methods=["PATCH"]),
        Route(f"/v1/{one}/schema", simulator.schema, methods=["GET"]),
        Route(f"/v1/{one}/schema", simulator.update_schema, methods=["POST"]),
        Route(f"/v1/{one}/hint_cache_warm", simulator.warm, methods=["GET"]),
        Route(f"/v1/{one}/_debug/recall", simulator.recall, methods=["POST"]),
        Route(f"/v1/{one}/operations/{{token}}", simulator.operation, methods=["GET"]),
        Route("/v1/namespaces", simulator.list_names, methods=["GET"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(BearerGate)],
        exception_handlers={Refusal: _refused, HTTPException: _unknown, Exception: _broken},
    )
    # A redirect to a path with one slash less would not be JSON.
    app.router.redirect_slashes = False
    return app


class Simulator:
    """Handlers over one catalogue. Query strings such as `stainless_overload` and the header
    `Prefer: respond-async` are accepted and have no effect, which the protocol allows."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._catalogue = Catalogue(options)
        self._faults = Faults(options)
        self._operations: dict[str, dict[str, object]] = {}
        self._operation_count = 0

    def __repr__(self) -> str:
        return f"<Simulator {self._catalogue!r} {self._faults!r}>"

    async def write(self, request: Request) -> Response:
        started_s = time.monotonic()
        name = check_namespace_name(request.path_params["name"])
        body = await read_body(request)
        fault = self._faults.next()
        if fault is not None:
            raise fault
        dense, other = self._catalogue.vector_names(name)
        write = await off_loop(len(body), decode_write, body, dense, other)
        await self._commit_time(started_s)
        return await json_response(request, self._catalogue.write(name, write, started_s))

    async def _commit_time(self, started_s: float) -> None:
        """Wait until the write is due; it becomes visible only then, right before its answer."""
        left_s = self._options.commit_ms / 1000 - (time.monotonic() - started_s)
        if left_s > 0:
            await asyncio.sleep(left_s)

    async def delete(self, request: Request) -> Response:
        self._catalogue.delete(request.path_params["name"])
        return await json_response(request, {"status": "OK"})

    async def start_copy(self, request: Request) -> Response:
        """Copy at once; the operation is finished when it is first polled."""
        started_at = time.monotonic()
        name = check_namespace_name(request.path_params["name"])
        write = decode_copy(await read_body(request))
        outcome: dict[str, object]
        try:
            outcome = {"success": self._catalogue.write(name, write, started_at)}
        except Refusal as fault:
            detail: object = {"status": "error", "error": HEART + fault.text}
            outcome = {"error": {"status_code": fault.status, "detail": detail}}
        self._operation_count += 1
        token = f"op_{self._operation_count}"
        now = metadata.timestamp_now()
        times = {"start_time": now, "finish_time": now}
        finished: dict[str, object] = {"status": "finished", **times, "result": outcome}
        self._operations[f"{name}/{token}"] = finished
        if len(self._operations) > OPERATIONS_MAX:
            del self._operations[next(iter(self._operations))]
        return await json_response(request, {"token": token})

    async def operation(self, request: Request) -> Response:
        found = self._operations.get("{name}/{token}".format(**request.path_params))
        if found is None:
            raise Refusal(404, f"operation '{request.path_params['token']}' was not found")
        return await json_response(request, found)

    async def query(self, request: Request) -> Response:
        started_s = time.monotonic()
        fields = await read_fields(request)
        namespace = self._find(request)
        eventual = is_eventual(fields.get("consistency"))
        encoding = vector_encoding(fields.get("vector_encoding"))
        many = fields.get("queries")
        queries = [fields] if many is None else sub_queries(fields)
        fusion = None if many is None else parse_fusion(fields, len(queries))
        # All parts of a multi-query run here, without an await between them: one snapshot.
        parsed = [parse_query(part, namespace.schema) for part in queries]
        seen = namespace.indexed_rows(self._options.eventual_tail_bytes) if eventual else None
        found = [run(namespace, query, seen) for query in parsed]
        queried_bytes = namespace.logical_bytes
        row_count = len(namespace.documents)

        def render() -> bytes:
            parts = [result(part, encoding) for part in found]
            returned_bytes = sum(size_bytes for _, size_bytes in parts)
            results = [part for part, _ in parts]
            if fusion is not None:
                results = [{"rows": fused(fusion, [_rows(part) for part in results])}]
            answer: dict[str, object] = {"results": results} if many is not None else results[0]
            answer["billing"] = query_billing(queried_bytes * len(found), returned_bytes)
            answer["performance"] = query_performance(started_s, row_count)
            return msgspec.json.encode(answer)

        body = await off_loop(_size(found), render)
        return await off_loop(len(body), respond, request, body)

    async def explain(self, request: Request) -> Response:
        fields = await read_fields(request)
        namespace = self._find(request)
        query = parse_query(fields, namespace.schema)
        return await json_response(request, {"plan_text": metadata.plan_text(namespace, query)})

    async def metadata_v2(self, request: Request) -> Response:
        return await json_response(request, metadata.metadata_v2(self._find(request)))

    async def metadata_v1(self, request: Request) -> Response:
        return await json_response(request, metadata.metadata_v1(self._find(request)))

    async def update_metadata(self, request: Request) -> Response:
        fields = await read_fields(request)
        namespace = self._find(request)
        metadata.update_metadata(namespace, fields)
        return await json_response(request, metadata.metadata_v1(namespace))

    async def schema(self, request: Request) -> Response:
        return await json_response(request, metadata.schema_view(self._find(request)))

    async def update_schema(self, request: Request) -> Response:
        fields = await read_fields(request)
        namespace = self._catalogue.update_schema(request.path_params["name"], fields)
        return await json_response(request, metadata.schema_view(namespace))

    async def warm(self, request: Request) -> Response:
        self._find(request)
        answer = {"status": "ACCEPTED", "message": "cache warm hint accepted"}
        return await json_response(request, answer, 202)

    async def recall(self, request: Request) -> Response:
        fields = await read_fields(request)
        return await json_response(request, metadata.recall(self._find(request), fields))

    async def list_names(self, request: Request) -> Response:
        asked = request.query_params
        page = self._catalogue.page(
            asked.get("prefix", ""), asked.get("cursor", ""), asked.get("page_size", "")
        )
        return await json_response(request, page)

    def _find(self, request: Request) -> Namespace:
        return self._catalogue.find(request.path_params["name"])


def _rows(part: dict[str, Any]) -> list[dict[str, Any]]:
    if "rows" not in part:
        raise bad_request("rerank_by: a query that aggregates has no rows to rank")
    rows: list[dict[str, Any]] = part["rows"]
    return rows


def _size(found: list[Found]) -> int:
    return sum(size_estimate(part) for part in found)


async def _refused(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, Refusal):  # Registered for this type; the signature cannot say so.
        return await _broken(request, fault)
    return error_response(fault.status, fault.text)


async def _unknown(request: Request, fault: Exception) -> Response:
    """Unknown paths and methods. The real statuses are unconfirmed."""
    if not isinstance(fault, HTTPException):  # As above.
        return await _broken(request, fault)
    text = f"{request.method} {request.url.path}: {fault.detail.lower()}"
    response = error_response(fault.status_code, text)
    response.headers.update(fault.headers or {})
    return response


async def _broken(request: Request, fault: Exception) -> Response:
    return error_response(500, f"the simulator failed: {type(fault).__name__}")
