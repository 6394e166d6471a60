"""Closing a client's connection under its hands, as a broken network does."""

import contextlib
import os
import socket
import struct

from starlette.types import Receive, Scope, Send

from .transport import error_response

# Linger for no time at all: what follows is a reset and not an orderly end.
_NO_LINGER = struct.pack("ii", 1, 0)


class ResetResponse:
    """End the connection instead of answering.

    The server offers no way to do so, but the socket is one of this process's own.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _close(scope):
            # Without a socket of its own, as in tests that call the application directly.
            await error_response(500, "the connection could not be reset")(scope, receive, send)
            return
        # The server must end its side, too; what it says no longer arrives.
        await error_response(500, "reset")(scope, receive, send)


class CutResponse:
    """Promise a whole answer and send a half of it, then end the connection."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._half = body[: len(body) // 2]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._start)
        # Leaving without the rest makes the server close the connection.
        await send({"type": "http.response.body", "body": self._half, "more_body": True})


def _close(scope: Scope) -> bool:
    client, server = scope.get("client"), scope.get("server")
    if client is None or server is None:
        return False
    # The server gives ports as text.
    ends = (client[0], int(client[1])), int(server[1])
    for name in os.listdir("/proc/self/fd"):
        try:
            twin = os.dup(int(name))
        except OSError:
            continue
        try:
            found = socket.socket(fileno=twin)
        except OSError:
            os.close(twin)
            continue
        with found, contextlib.suppress(OSError):
            internet = found.family in (socket.AF_INET, socket.AF_INET6)
            if internet and (found.getpeername()[:2], found.getsockname()[1]) == ends:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                found.shutdown(socket.SHUT_RDWR)
                return True
    return False
