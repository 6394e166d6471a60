"""The exchange of the cold routes, and the one to fall back on: aiohttp's ClientSession."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from hevfast.core.headers import Headers, answer_headers
from hevfast.core.limits import SLICE_BYTES
from hevfast.upstream.answer import Answer, Stream
from hevfast.upstream.causes import InvalidAnswerError
from hevfast.upstream.pool import open_session
from hevfast.upstream.request_head import check_fields, check_target
from hevfast.upstream.sending import Steps, steps_of

if TYPE_CHECKING:
    from hevfast.settings import Settings

Body = bytes | bytearray | Steps | AsyncIterator[bytes | memoryview] | None

# Bytes no header value may hold (RFC 9110 section 5.5). aiohttp lets them through.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Session:
    """Exchanges by a ClientSession, whose connections are the pool's."""

    __slots__ = ("_base", "_session")

    def __init__(self, settings: "Settings", connector: aiohttp.TCPConnector) -> None:
        self._base = settings.upstream_url
        self._session = open_session(settings, connector)

    async def close(self) -> None:
        """Close the pool too."""
        await self._session.close()

    async def send(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        size: int | None,
        deed: str,
        whole_bytes_max: int,
    ) -> Answer:
        """Send one request, once; as `Exchange.send`.

        Raises: GatewayError `bad_request`; any of FAULTS; whatever reading `body` raises.
        """
        check_target(target)
        check_fields(headers)
        upload = _Upload(body)
        try:
            response = await self._session.request(
                method,
                URL(self._base + target, encoded=True),
                headers=_texts(headers, body, size),
                data=upload.data,
                allow_redirects=False,
            )
            try:
                return await _answer(response, whole_bytes_max, deed)
            except BaseException:
                response.close()
                raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if upload.fault is not None:
                raise upload.fault from error
            raise


class _Upload:
    """A request body on its way out, remembering why reading it failed.

    aiohttp turns an exception of the body into one of its own about the connection; the first
    cause is what the client must be told.
    """

    __slots__ = ("data", "fault")

    def __init__(self, body: Body) -> None:
        self.fault: Exception | None = None
        self.data: bytes | AsyncIterator[bytes | memoryview] | None
        if body is None or (isinstance(body, bytes) and len(body) <= SLICE_BYTES):
            self.data = body
        elif isinstance(body, bytes | bytearray):
            self.data = self._stepped(steps_of(body))
        elif isinstance(body, AsyncIterator):
            self.data = self._arriving(body)
        else:
            self.data = self._stepped(body)

    async def _arriving(
        self, pieces: AsyncIterator[bytes | memoryview]
    ) -> AsyncIterator[bytes | memoryview]:
        try:
            async for piece in pieces:
                yield piece
        except Exception as error:
            self.fault = error
            raise

    async def _stepped(self, steps: Steps) -> AsyncIterator[bytes | memoryview]:
        try:
            for step in steps:
                yield b"".join(step)
                await asyncio.sleep(0)
        except Exception as error:
            self.fault = error
            raise


def _texts(headers: Headers, body: Body, size: int | None) -> list[tuple[str, str]]:
    texts = [(name.decode(), value.decode()) for name, value in headers]
    if body is not None and size is not None:
        texts.append(("content-length", str(size)))
    return texts


async def _answer(response: aiohttp.ClientResponse, whole_bytes_max: int, deed: str) -> Answer:
    if not 200 <= response.status <= 599:
        # The server that answers the client stops the whole worker over a status it cannot name.
        raise InvalidAnswerError(f"status {response.status}")
    headers = answer_headers(response.raw_headers)
    if _CONTROL.search(b"".join([value for _, value in headers])):
        raise InvalidAnswerError("a control character in a header")
    length = response.content_length
    if length is not None and length > whole_bytes_max and response.method != "HEAD":
        return Answer(response.status, headers, Stream(_Source(response, []), deed))
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > whole_bytes_max:
            return Answer(response.status, headers, Stream(_Source(response, pieces), deed))
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return Answer(response.status, headers, body)


class _Source:
    """The rest of an answer that is too large to hold, after what was read already."""

    __slots__ = ("_read", "_response")

    def __init__(self, response: aiohttp.ClientResponse, read: list[bytes]) -> None:
        self._response = response
        self._read = read[::-1]

    async def read(self) -> bytes:
        return self._read.pop() if self._read else await self._response.content.readany()

    def leave(self) -> None:
        # Closes the connection if the answer is not complete, and does nothing if it is.
        self._response.close()
