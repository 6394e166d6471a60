"""What the handlers of one simulator share, and what happens to every request before them."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from .answers import Refusal
from .catalogue import Catalogue
from .conditions import Conditions
from .namespace import Namespace
from .options import Effect, Fault, Options
from .reset import CutResponse, ResetResponse
from .transport import read_body

Handler = Callable[[Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[ASGIApp]]


class Service:
    """The state of one simulator."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.conditions = Conditions.of(options)
        self.catalogue = Catalogue(options, self.conditions.indexing)

    def __repr__(self) -> str:
        return f"<Service {self.catalogue!r} {self.conditions.faults!r}>"

    def find(self, request: Request) -> Namespace:
        return self.catalogue.find(request.path_params["name"])

    def endpoint(self, operation: str, handler: Handler) -> Endpoint:
        """Put the injected faults of one kind of request before its handler."""

        async def answer(request: Request) -> ASGIApp:
            name = request.path_params.get("name")
            fault = self.conditions.faults.next(operation, name)
            if fault is None:
                return await handler(request)
            return await _faulty(fault, request, handler)

        return answer


async def _faulty(fault: Fault, request: Request, handler: Handler) -> ASGIApp:
    await asyncio.sleep(fault.delay_ms / 1000)
    if fault.effect is Effect.STATUS:
        await read_body(request)
        text = f"injected fault: the request was not applied ({fault.status})"
        raise Refusal(fault.status, text, fault.retry_after_s)
    if fault.effect is Effect.RESET:
        await read_body(request)
        return ResetResponse()
    response = await handler(request)
    if fault.effect is Effect.LOST:
        return ResetResponse()
    if fault.effect is Effect.CUT:
        return CutResponse(response.status_code, response.raw_headers, bytes(response.body))
    return response
