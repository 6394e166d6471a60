"""Serving the application in the foreground, in one process, until it is told to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp

# Requests in progress at once, and connections waiting to be accepted. Slow commits hold many
# requests open, so both are generous.
REQUESTS_MAX = 8192
BACKLOG = 1024

# Between two attempts to connect while the server starts.
CONNECT_PAUSE_S = 0.005


def serve(app: ASGIApp, host: str, port: int, on_listening: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    The embedded server keeps everything in this process, which the state needs, and starts
    without spawning another interpreter.

    Raises: RuntimeError or OSError when the address cannot be bound.
    """
    check_free(host, port)
    uvloop.run(_serve(app, host, port, on_listening))


def check_free(host: str, port: int) -> None:
    """Refuse a port in use.

    The server shares its port with any other that does the same, so that a second simulator would
    start without complaint and take half of the connections, with another state.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


async def _serve(app: ASGIApp, host: str, port: int, on_listening: Callable[[], None]) -> None:
    server = Server(
        app,
        address=host,
        port=port,
        # The application has no lifespan events.
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=REQUESTS_MAX,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    serving = loop.create_task(server.serve())
    if await _listens(serving, host, port):
        on_listening()
    await serving


async def _listens(serving: asyncio.Task[None], host: str, port: int) -> bool:
    """Wait until a connection is accepted; false when the server ends first.

    The server's own start-up hook runs before it listens, so a client that trusted it would
    sometimes be refused.
    """
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(CONNECT_PAUSE_S)
            continue
        writer.close()
        return True
    return False
