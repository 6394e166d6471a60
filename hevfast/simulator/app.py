"""The simulator as an ASGI application: its routes, and the handlers that only look at state."""

import re

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import metadata
from .answers import Refusal
from .options import Options
from .querying import Querying
from .service import Handler, Service
from .transport import BearerGate, error_response, json_response, read_fields
from .writing import Writing

CONTROL_PATH = "/_simulator"


def build(options: Options | None = None) -> ASGIApp:
    """Build one simulator with its own empty state."""
    service = Service(options or Options())
    writing, querying, looking = Writing(service), Querying(service), Looking(service)
    one = "namespaces/{name}"

    def route(method: str, path: str, operation: str, handler: Handler) -> Route:
        return Route(path, service.endpoint(operation, handler), methods=[method])

    routes = [
        route("POST", f"/v2/{one}", "write", writing.write),
        route("DELETE", f"/v2/{one}", "other", writing.delete),
        route("POST", f"/v2/{one}/async", "other", writing.start_copy),
        route("POST", f"/v2/{one}/query", "query", querying.query),
        route("POST", f"/v2/{one}/explain_query", "other", querying.explain),
        route("GET", f"/v2/{one}/metadata", "metadata", looking.metadata_v2),
        route("GET", f"/v1/{one}/metadata", "metadata", looking.metadata_v1),
        route("PATCH", f"/v1/{one}/metadata", "other", looking.update_metadata),
        route("GET", f"/v1/{one}/schema", "other", looking.schema),
        route("POST", f"/v1/{one}/schema", "other", looking.update_schema),
        route("GET", f"/v1/{one}/hint_cache_warm", "other", looking.warm),
        route("POST", f"/v1/{one}/_debug/recall", "other", querying.recall),
        route("GET", f"/v1/{one}/_debug/purge_cache", "other", looking.purge_cache),
        route("GET", f"/v1/{one}/_debug/warm_cache", "other", looking.warm_cache),
        route("GET", f"/v1/{one}/operations/{{token}}", "other", writing.operation),
        route("GET", "/v1/namespaces", "other", looking.list_names),
    ]
    if service.options.control:
        routes.append(Route(CONTROL_PATH, looking.control, methods=["GET"]))
        routes.append(Route(CONTROL_PATH, looking.update_control, methods=["PATCH"]))
    app = Starlette(
        routes=routes,
        middleware=[Middleware(BearerGate)],
        exception_handlers={Refusal: _refused, HTTPException: _unknown, Exception: _broken},
    )
    # A redirect to a path with one slash less would not be JSON.
    app.router.redirect_slashes = False
    return app


class Looking:
    """Handlers of metadata, schema, cache hints, the list of names, and the simulator's own."""

    def __init__(self, service: Service) -> None:
        self._service = service
        # Namespaces whose cache was warmed and not purged since.
        self._warm: set[str] = set()

    async def metadata_v2(self, request: Request) -> Response:
        return await json_response(request, metadata.metadata_v2(self._service.find(request)))

    async def metadata_v1(self, request: Request) -> Response:
        return await json_response(request, metadata.metadata_v1(self._service.find(request)))

    async def update_metadata(self, request: Request) -> Response:
        fields = await read_fields(request)
        namespace = self._service.find(request)
        metadata.update_metadata(namespace, fields)
        return await json_response(request, metadata.metadata_v1(namespace))

    async def schema(self, request: Request) -> Response:
        return await json_response(request, metadata.schema_view(self._service.find(request)))

    async def update_schema(self, request: Request) -> Response:
        fields = await read_fields(request)
        namespace = self._service.catalogue.update_schema(request.path_params["name"], fields)
        return await json_response(request, metadata.schema_view(namespace))

    async def warm(self, request: Request) -> Response:
        self._service.find(request)
        answer = {"status": "ACCEPTED", "message": "cache warm hint accepted"}
        return await json_response(request, answer, 202)

    async def purge_cache(self, request: Request) -> Response:
        self._warm.discard(self._service.find(request).name)
        return await json_response(request, {"status": "OK"})

    async def warm_cache(self, request: Request) -> Response:
        name = self._service.find(request).name
        if name in self._warm:
            raise Refusal(409, f"the cache of namespace '{name}' is warm already")
        self._warm.add(name)
        return await json_response(request, {"status": "OK"})

    async def list_names(self, request: Request) -> Response:
        asked = request.query_params
        page = self._service.catalogue.page(
            asked.get("prefix", ""), asked.get("cursor", ""), asked.get("page_size", "")
        )
        return await json_response(request, page)

    async def control(self, request: Request) -> Response:
        return await json_response(request, self._service.conditions.view())

    async def update_control(self, request: Request) -> Response:
        self._service.conditions.update(await read_fields(request))
        return await json_response(request, self._service.conditions.view())


async def _refused(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, Refusal):  # Registered for this type; the signature cannot say so.
        return await _broken(request, fault)
    response = error_response(fault.status, fault.text)
    if fault.retry_after_s is not None:
        response.headers["retry-after"] = re.sub(r"\.0$", "", str(fault.retry_after_s))
    return response


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
