"""One request to Turbopuffer and its answer; every fault on the way becomes a GatewayError."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from hevfast.core.errors import AnswerTornError, GatewayError
from hevfast.core.headers import Headers, answer_headers
from hevfast.core.limits import ANSWER_WHOLE_BYTES_MAX
from hevfast.upstream.pool import open_session

if TYPE_CHECKING:
    from hevfast.settings import Settings

Body = bytes | bytearray | AsyncIterator[bytes | memoryview] | None


# Bytes no header value may hold (RFC 9110 section 5.5). aiohttp lets them through.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Answer:
    """What upstream said.

    `body` is complete, or for a large answer the pieces as they come: they must be read to the
    end or closed with `aclose`, and raise AnswerTornError when the answer breaks off.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, headers: Headers, body: bytes | AsyncGenerator[bytes, None]
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def replace_body(self, body: bytes) -> None:
        """Put another body in place of one that is complete, with its length."""
        if body is self.body:
            return
        self.body = body
        self.headers = [pair for pair in self.headers if pair[0] != b"content-length"]
        self.headers.append((b"content-length", b"%d" % len(body)))


class Exchange:
    """The way to Turbopuffer for one worker."""

    _session: aiohttp.ClientSession

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._base = settings.upstream_url

    def __repr__(self) -> str:
        return f"<Exchange {self._base}>"

    async def open(self) -> None:
        """Open the pool of connections, which belongs to the running event loop."""
        self._session = open_session(self._settings)

    async def close(self) -> None:
        await self._session.close()

    async def send(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        size: int | None,
        *,
        deed: str,
        whole_bytes_max: int = ANSWER_WHOLE_BYTES_MAX,
    ) -> Answer:
        """Send one request, once, and give the answer, whatever its status.

        `target` is path and query, sent as spelled. `size` is the exact length of the body;
        None with a body means unknown, and it is sent chunked. An answer of up to
        `whole_bytes_max` is complete when this returns; of a larger one the head is.

        Raises: GatewayError `upstream_error`, its message beginning "Turbopuffer {deed} failed";
        and whatever reading `body` raises.
        """
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
            raise _upstream_error(deed, error) from error


class _Upload:
    """A request body on its way out, remembering why reading it failed.

    aiohttp turns an exception of the body into one of its own about the connection; the first
    cause is what the client must be told.
    """

    __slots__ = ("data", "fault")

    def __init__(self, body: Body) -> None:
        self.fault: Exception | None = None
        self.data = body if body is None or isinstance(body, bytes) else self._pieces(body)

    async def _pieces(
        self, body: bytearray | AsyncIterator[bytes | memoryview]
    ) -> AsyncIterator[bytes | memoryview]:
        if isinstance(body, bytearray):
            yield memoryview(body)
            return
        try:
            async for piece in body:
                yield piece
        except Exception as error:
            self.fault = error
            raise


def _texts(headers: Headers, body: Body, size: int | None) -> list[tuple[str, str]]:
    """Give headers as aiohttp wants them.

    Raises: GatewayError `bad_request` for a value that is not UTF-8, which aiohttp could only
    send altered.
    """
    try:
        texts = [(name.decode(), value.decode()) for name, value in headers]
    except UnicodeDecodeError as error:
        raise GatewayError("bad_request", "A request header is not valid UTF-8.") from error
    if body is not None and size is not None:
        texts.append(("content-length", str(size)))
    return texts


async def _answer(response: aiohttp.ClientResponse, whole_bytes_max: int, deed: str) -> Answer:
    if not 200 <= response.status <= 599:
        # The server that answers the client stops the whole worker over a status it cannot name.
        raise aiohttp.ClientResponseError(response.request_info, ())
    headers = answer_headers(response.raw_headers)
    if _CONTROL.search(b"".join([value for _, value in headers])):
        raise aiohttp.ClientResponseError(response.request_info, ())
    length = response.content_length
    if length is not None and length > whole_bytes_max and response.method != "HEAD":
        return Answer(response.status, headers, _chunks(response, [], deed))
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > whole_bytes_max:
            return Answer(response.status, headers, _chunks(response, pieces, deed))
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return Answer(response.status, headers, body)


async def _chunks(
    response: aiohttp.ClientResponse, pieces: list[bytes], deed: str
) -> AsyncGenerator[bytes, None]:
    """Give what was read already, then the rest as it comes.

    Raises: AnswerTornError when the answer breaks off.
    """
    try:
        pieces.reverse()
        while pieces:
            yield pieces.pop()
        while piece := await response.content.readany():
            yield piece
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise AnswerTornError(f"Turbopuffer {deed} failed: {_cause(error)}") from error
    finally:
        # Closes the connection if the answer is not complete, and does nothing if it is.
        response.close()


def _upstream_error(deed: str, error: Exception) -> GatewayError:
    return GatewayError("upstream_error", f"Turbopuffer {deed} failed: {_cause(error)}.")


# First match wins, so the special ones stand before their bases.
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "its host name could not be resolved"),
    (aiohttp.ClientConnectorCertificateError, "its TLS certificate was not accepted"),
    (aiohttp.ClientSSLError, "the TLS handshake failed"),
    (ConnectionRefusedError, "connection refused"),
    (aiohttp.ConnectionTimeoutError, "timed out waiting for a connection"),
    (aiohttp.SocketTimeoutError, "timed out waiting for the answer"),
    (TimeoutError, "timed out"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before an answer came"),
    (ConnectionResetError, "connection reset"),
    (BrokenPipeError, "connection reset"),
    (aiohttp.ClientPayloadError, "the answer was cut short"),
    (aiohttp.ClientResponseError, "the answer was not valid HTTP"),
    (aiohttp.ClientConnectorError, "the connection could not be made"),
    (OSError, "the connection broke"),
)


def _cause(error: Exception) -> str:
    """Say in words what went wrong, from the types of the exception and of its causes."""
    link: BaseException | None = error
    chain: list[BaseException] = []
    while link is not None and len(chain) < 5:
        chain.append(link)
        if isinstance(link, aiohttp.ClientConnectorError):
            chain.append(link.os_error)
        link = link.__cause__
    for kind, words in _CAUSES:
        if any(isinstance(link, kind) for link in chain):
            return words
    return "the exchange broke"
