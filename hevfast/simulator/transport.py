"""HTTP in and out: bearer check, bounded and decompressed bodies, compressed answers."""

import zlib
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import Refusal, bad_request, error_body
from .limits import BODY_BYTES_MAX, GZIP_BYTES_MIN, INLINE_BYTES_MAX
from .shapes import mapping
from .write import parse_json

T = TypeVar("T")

GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class BearerGate:
    """Answer 401 to any request without a bearer key; every key is as good as another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _has_key(scope):
            await error_response(401, "missing or invalid API key")(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def read_body(request: Request) -> bytes:
    """Read a whole body, decompressed, within the limit before and after.

    Raises: Refusal 413 over the limit, 400 for a broken or unknown compression.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    # The declared length saves reading a body that will be refused.
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise _too_large()
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > BODY_BYTES_MAX:
            raise _too_large()
    if encoding == "identity":
        return bytes(parts)
    if encoding != "gzip":
        # What else the service decodes is unconfirmed; no official client sends anything else.
        raise bad_request(f"unsupported Content-Encoding: {encoding}")
    return await off_loop(len(parts), gunzip, bytes(parts))


async def read_fields(request: Request) -> dict[str, object]:
    """Read a body that is one JSON object."""
    body = await read_body(request)
    return await off_loop(len(body), lambda: mapping("request", parse_json(body)))


async def off_loop(size_bytes: int, work: Callable[..., T], *arguments: object) -> T:
    """Do large work in a thread, small work at once."""
    if size_bytes <= INLINE_BYTES_MAX:
        return work(*arguments)
    return await run_in_threadpool(work, *arguments)


async def json_response(request: Request, answer: object, status: int = 200) -> Response:
    return respond(request, msgspec.json.encode(answer), status)


def respond(request: Request, body: bytes, status: int = 200) -> Response:
    """Compress a large body where the client allows it; never name an encoding otherwise."""
    headers = {}
    if len(body) > GZIP_BYTES_MIN and accepts_gzip(request.headers.get("accept-encoding", "")):
        packer = zlib.compressobj(level=1, wbits=GZIP_WINDOW)
        body = packer.compress(body) + packer.flush()
        headers["content-encoding"] = "gzip"
    return Response(body, status, headers, media_type="application/json")


def error_response(status: int, text: str) -> Response:
    return Response(error_body(text), status, media_type="application/json")


def gunzip(packed: bytes) -> bytes:
    """Decompress one or more gzip members, never beyond the limit."""
    result = bytearray()
    rest = packed
    while rest:
        unpacker = zlib.decompressobj(GZIP_WINDOW)
        try:
            result += unpacker.decompress(rest, BODY_BYTES_MAX + 1 - len(result))
        except zlib.error as fault:
            raise bad_request(f"invalid gzip body: {fault}") from fault
        if len(result) > BODY_BYTES_MAX:
            raise _too_large()
        if not unpacker.eof:
            raise bad_request("invalid gzip body: it ends too early")
        rest = unpacker.unused_data
    return bytes(result)


def accepts_gzip(accepted: str) -> bool:
    """Read an Accept-Encoding header: gzip or `*`, unless its weight is zero."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        try:
            weights[name.strip()] = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _has_key(scope: Scope) -> bool:
    values: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        return False
    scheme, _, key = values[0].partition(b" ")
    return scheme.lower() == b"bearer" and bool(key.strip())


def _too_large() -> Refusal:
    return Refusal(413, f"request body over {BODY_BYTES_MAX} bytes")
