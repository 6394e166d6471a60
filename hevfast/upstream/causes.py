"""Faults of an exchange put into words, by their types."""

import aiohttp

from hevfast.core.errors import GatewayError


class InvalidAnswerError(aiohttp.ClientError):
    """What came back is not an HTTP answer, or breaks one of the bounds on answers."""


# What an exchange may end with instead of an answer.
FAULTS = (aiohttp.ClientError, TimeoutError, OSError)

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
    (InvalidAnswerError, "the answer was not valid HTTP"),
    (aiohttp.ClientConnectorError, "the connection could not be made"),
    (OSError, "the connection broke"),
)


def cause(error: Exception) -> str:
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


def upstream_error(deed: str, error: Exception) -> GatewayError:
    return GatewayError("upstream_error", f"Turbopuffer {deed} failed: {cause(error)}.")
