"""Faults of the exchange, put into words by their types."""

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from hevfast.upstream.causes import InvalidAnswerError, cause

KEY = ConnectionKey("tpuf", 443, True, True, None, None, None)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError()), "connection refused"),
        (
            aiohttp.ClientConnectorError(KEY, OSError(113, "no route")),
            "the connection could not be made",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "x")),
            "its host name could not be resolved",
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError()),
            "its TLS certificate was not accepted",
        ),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError()), "the TLS handshake failed"),
        (aiohttp.ConnectionTimeoutError(), "timed out waiting for a connection"),
        (aiohttp.SocketTimeoutError(), "timed out waiting for the answer"),
        (TimeoutError(), "timed out"),
        (
            aiohttp.ServerDisconnectedError(),
            "the connection was closed before an answer came",
        ),
        (aiohttp.ClientOSError(104, "reset"), "the connection broke"),
        (caused(aiohttp.ClientOSError(104, "reset"), ConnectionResetError()), "connection reset"),
        (caused(aiohttp.ClientPayloadError(), TimeoutError()), "timed out"),
        (aiohttp.ClientPayloadError(), "the answer was cut short"),
        (InvalidAnswerError(), "the answer was not valid HTTP"),
        (aiohttp.ClientError(), "the exchange broke"),
    ],
)
def test_cause(error: Exception, words: str) -> None:
    assert cause(error) == words


def test_a_cycle_of_causes_ends() -> None:
    error = aiohttp.ClientError()
    error.__cause__ = error
    assert cause(error) == "the exchange broke"
