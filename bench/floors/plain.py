"""The gateway of an afternoon: Starlette, orjson and aiohttp, one stamp a row, no cache.

Each body is decoded whole, changed and encoded again. It has what works on the first day, and
neither limits nor deadlines nor a word about what went wrong.
"""

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_UPSTREAM = os.environ["TPUF_URL"]
_DROPPED = {"host", "content-length", "connection", "transfer-encoding"}


def stamped(body: bytes) -> bytes:
    decoded = orjson.loads(body)
    now_ms = int(time.time() * 1000)
    for row in decoded.get("upsert_rows", ()):
        row["_hevlayer_upserted_at"] = now_ms
    return orjson.dumps(decoded)


def gateway(stamped: Callable[[bytes], bytes]) -> Starlette:
    """Give the application that passes writes on, changed by `stamped`."""

    async def write(request: Request) -> Response:
        body = stamped(await request.body())
        headers = {name: value for name, value in request.headers.items() if name not in _DROPPED}
        session: aiohttp.ClientSession = request.app.state.session
        async with session.post(_UPSTREAM + request.url.path, data=body, headers=headers) as answer:
            content_type = answer.headers.get("content-type", "application/json")
            return Response(await answer.read(), answer.status, {"content-type": content_type})

    route = Route("/v2/namespaces/{namespace}", write, methods=["POST"])
    return Starlette(routes=[route], lifespan=_session)


@contextlib.asynccontextmanager
async def _session(app: Starlette) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=512)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        app.state.session = session
        yield


app = gateway(stamped)
