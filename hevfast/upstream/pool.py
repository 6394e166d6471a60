"""The connections to Turbopuffer: aiohttp's pool, one per worker.

The one file that touches what aiohttp does not promise to keep. Each such thing has a test of its
own in tests/unit/upstream/test_pool.py, so that an upgrade which breaks it fails there first.
"""

import asyncio
import functools
import os
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from hevfast.core.clock import MS_PER_S
from hevfast.core.limits import (
    ANSWER_FIELD_BYTES_MAX,
    ANSWER_LINE_BYTES_MAX,
    DNS_TTL_S,
    SLICE_BYTES,
    UPSTREAM_KEEP_ALIVE_S,
)

if TYPE_CHECKING:
    from aiohttp.client import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from hevfast.settings import Settings

# Dead connections that are thrown away before one request gives up looking for a live one in
# the pool. A new connection is not dead as a rule, so this is reached only with an odd upstream.
DEAD_MAX = 64

# Seconds for which a connection stays warm, and at most as long again.
_WARM_S = 1.0

# Linux tells the state of a connection in the first byte of this; elsewhere it is not asked.
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
_ESTABLISHED = b"\x01"


class UnfitPoolError(Exception):
    """The pool gave a connection that is not ours: aiohttp has changed. Nothing was sent."""


class SharedHandler(ResponseHandler):
    """A connection that serves a ClientSession and an exchange of ours in turn.

    A ClientSession calls `set_response_params` before it sends; we call `claim`.
    """

    ours = False
    # Whether a request was sent on it, or is about to be.
    used = False
    # Whether what is written has to be enciphered.
    secure = False
    _probe: socket.socket | None = None

    @property
    def should_close(self) -> bool:
        return self._should_close if self.ours else super().should_close

    def claim(self) -> None:
        """Take the connection over from aiohttp's reader."""
        if not self.ours:
            self.ours = self.used = True
            self._parser = None
            self._payload = None
            self._drop_timeout()

    def set_response_params(self, **params: Any) -> None:
        self.ours = False
        self.used = True
        super().set_response_params(**params)

    def drop(self) -> None:
        """Break the connection off; what is still to be written is thrown away."""
        self._should_close = True
        self.abort()

    def is_dead(self) -> bool:
        """Tell whether this idle connection was closed, or something came that nobody asked for.

        The event loop may not have read yet that the other side closed, so the socket itself is
        asked: nothing is ever sent on a connection that can be known to be dead. (This call, of
        all that could tell, does not let go of the interpreter: 1 us instead of 3.)
        """
        transport = self.transport
        if self.should_close or transport is None or transport.is_closing():
            return True
        if _TCP_INFO is None or not self.used:
            return False
        if self._probe is None:
            # A descriptor of our own: uvloop's cannot be asked without making one each time. Not
            # made with the connection, whose loss is not told if making it was cancelled.
            end = transport.get_extra_info("socket")
            self._probe = socket.socket(fileno=os.dup(end.fileno()))
        return self._probe.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1) != _ESTABLISHED

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.secure = transport.get_extra_info("sslcontext") is not None

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None
        super().connection_lost(exc)


class Connector(aiohttp.TCPConnector):
    """A pool that never hands a ClientSession a connection on which an unasked answer has arrived.

    Such an answer would be taken for the answer to the next request. aiohttp checks a
    connection when it is put back, not when it is taken out again.
    """

    # How many are waiting for a connection.
    waiting = 0

    def __init__(self, *, limit: int) -> None:
        super().__init__(
            limit=limit, keepalive_timeout=UPSTREAM_KEEP_ALIVE_S, ttl_dns_cache=DNS_TTL_S
        )
        # Connections in use here that carry nothing, the last one last, and since when.
        self.warm: list[tuple[Connection, SharedHandler, float]] = []

    async def connect(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: "ClientTimeout",  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> "Connection":
        if self.warm:
            # All that may be open could be warm.
            self.warm.pop()[0].release()
        connection = await self.connected(req, traces, timeout)
        for _ in range(DEAD_MAX):
            protocol = connection.protocol
            if protocol is None or not protocol.should_close:
                break
            connection.close()
            connection = await self.connected(req, traces, timeout)
        return connection

    async def connected(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: "ClientTimeout",  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> "Connection":
        """Connect as aiohttp does, without a look at what is given."""
        self.waiting += 1
        try:
            return await super().connect(req, traces, timeout)
        finally:
            self.waiting -= 1


class Pool:
    """Gives connections, each a protocol of the given kind; needs a running event loop.

    One that was used a moment ago stays warm: taken again, it costs a fifth of what aiohttp's
    books do. After a second it goes back to aiohttp, which closes it in the end.
    """

    __slots__ = ("_asked", "_cooling", "_loop", "_timeout", "connector")

    def __init__(self, settings: "Settings", handler: type[SharedHandler]) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._cooling: asyncio.TimerHandle | None = None
        self.connector = Connector(limit=settings.upstream_connections_max)
        make: type[ResponseHandler] = handler
        self.connector._factory = functools.partial(make, loop=loop)
        self._asked = _Asked("GET", URL(settings.upstream_url, encoded=True), loop=loop)
        self._timeout = aiohttp.ClientTimeout(
            connect=min(settings.upstream_connect_timeout_ms, settings.upstream_total_timeout_ms)
            / MS_PER_S
        )

    def close(self) -> None:
        """Give what is warm back to aiohttp, whose session closes it."""
        if self._cooling is not None:
            self._cooling.cancel()
        for connection, _, _ in self.connector.warm:
            connection.release()
        self.connector.warm.clear()

    def warm(self) -> "tuple[Connection, SharedHandler] | None":
        """Give a connection as `acquire` does if one is warm, without waiting."""
        warm = self.connector.warm
        while warm:
            connection, handler, _ = warm.pop()
            if not handler.is_dead():
                return connection, handler
            connection.close()
        return None

    def put_back(self, connection: "Connection", handler: SharedHandler) -> None:
        """Take back a connection that can carry another request."""
        connector = self.connector
        if connector.waiting or handler.should_close:
            connection.release()
            return
        connector.warm.append((connection, handler, self._loop.time()))
        if self._cooling is None:
            self._cooling = self._loop.call_later(_WARM_S, self._cool)

    def _cool(self) -> None:
        warm = self.connector.warm
        used_s = self._loop.time() - _WARM_S
        # The last one used is the next one taken, so those that are not needed come first.
        cold = 0
        while cold < len(warm) and warm[cold][2] <= used_s:
            warm[cold][0].release()
            cold += 1
        del warm[:cold]
        self._cooling = self._loop.call_later(_WARM_S, self._cool) if warm else None

    async def acquire(self) -> "tuple[Connection, SharedHandler]":
        """Give a connection of which nothing says that it is dead, kept or new.

        Nothing has been sent on one that is dead, so another is taken without risk; a new one
        that is dead is upstream's fault. It must be given back by `put_back`, or closed.

        Raises: aiohttp.ClientError, OSError; aiohttp.ConnectionTimeoutError when it took too
        long, waiting for a free one included; UnfitPoolError.
        """
        for _ in range(DEAD_MAX):
            try:
                connection = await self.connector.connected(self._asked, [], self._timeout)
            except TimeoutError as error:
                raise aiohttp.ConnectionTimeoutError from error
            protocol = connection.protocol
            if not isinstance(protocol, SharedHandler):
                connection.close()
                raise UnfitPoolError
            if not protocol.is_dead():
                return connection, protocol
            connection.close()
            if not protocol.used:
                break
        raise aiohttp.ServerDisconnectedError


class _Asked(aiohttp.ClientRequest):
    """What a connection is asked for with: never sent, and its key is made once."""

    _key: "ConnectionKey | None" = None

    @property
    def connection_key(self) -> "ConnectionKey":
        if self._key is None:
            self._key = super().connection_key
        return self._key


def open_session(settings: "Settings", connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """Open a session over the pool; needs a running event loop.

    It adds nothing to a request that the caller did not send: no cookies, no default headers,
    no proxy or netrc from the environment, no decompression. Closing it closes the pool.
    """
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(
            connect=settings.upstream_connect_timeout_ms / MS_PER_S,
            sock_read=settings.upstream_read_timeout_ms / MS_PER_S,
            # Without it an exchange can hang in corners that the other two do not watch.
            total=settings.upstream_total_timeout_ms / MS_PER_S,
        ),
        read_bufsize=SLICE_BYTES,
        max_line_size=ANSWER_LINE_BYTES_MAX,
        max_field_size=ANSWER_FIELD_BYTES_MAX,
    )
    # aiohttp repeats PUT and DELETE by itself when a kept connection turns out to be dead. Only
    # the caller can know whether that is safe, and a streamed body cannot be sent twice.
    session._retry_connection = False
    return session
