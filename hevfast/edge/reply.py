"""Answers: JSON of our own, and what upstream said."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from hevfast.core.errors import AnswerTornError, GatewayError

if TYPE_CHECKING:
    import asyncio

    from hevfast.upstream.answer import Answer, Stream

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]

SERVER = (b"server", b"hevfast")
_JSON = (b"content-type", b"application/json")

_encode = msgspec.json.Encoder().encode


async def reply_json(
    send: Send, status: int, value: Any, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer with JSON."""
    await reply_bytes(send, status, _encode(value), headers)


async def reply_bytes(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer with JSON that is encoded already."""
    length = (b"content-length", b"%d" % len(body))
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [SERVER, _JSON, length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


def without_body(send: Send) -> Send:
    """Give a `send` for the answer to HEAD: the head of the answer, and nothing after it.

    The server does this by itself in HTTP/1.1, but in HTTP/2 it would send the body.
    """

    async def send_head(message: Any) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return send_head


async def reply_error(send: Send, error: GatewayError) -> None:
    await reply_json(send, error.status, error.body(), error.headers)


async def relay(send: Send, answer: "Answer", gone: "asyncio.Future[Any] | None" = None) -> None:
    """Pass on an upstream answer: whole, or piece by piece as fast as the client takes them.

    `gone` is done when the client has left; the server does not say so when sending.

    Raises: AnswerTornError for any fault once the status has been sent.
    """
    headers = answer.headers
    headers.append(SERVER)
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    body = answer.body
    if isinstance(body, bytes):
        await send(start)
        await send({"type": "http.response.body", "body": body})
        return
    try:
        await send(start)
        await _pass_on(send, body, gone)
    finally:
        await body.aclose()


async def _pass_on(send: Send, body: "Stream", gone: "asyncio.Future[Any] | None") -> None:
    try:
        async for piece in body:
            if gone is not None and gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except AnswerTornError:
        raise
    except Exception as error:
        raise AnswerTornError("the answer could not be passed on") from error
