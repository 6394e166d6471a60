"""The connections to Turbopuffer: one pool per worker."""

from typing import TYPE_CHECKING

import aiohttp

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
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from hevfast.settings import Settings

# Dead connections that are thrown away before one request gives up looking for a live one in
# the pool. A new connection is never dead, so this is reached only with a very odd upstream.
_DEAD_MAX = 64


class Connector(aiohttp.TCPConnector):
    """A pool that never hands out a connection on which an unasked answer has arrived.

    Such an answer would be taken for the answer to the next request. aiohttp checks a
    connection when it is put back, not when it is taken out again.
    """

    async def connect(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: "ClientTimeout",  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> "Connection":
        connection = await super().connect(req, traces, timeout)
        for _ in range(_DEAD_MAX):
            protocol = connection.protocol
            if protocol is None or not protocol.should_close:
                break
            connection.close()
            connection = await super().connect(req, traces, timeout)
        return connection


def open_session(settings: "Settings") -> aiohttp.ClientSession:
    """Open the session; needs a running event loop.

    It adds nothing to a request that the caller did not send: no cookies, no default headers,
    no proxy or netrc from the environment, no decompression.
    """
    connector = Connector(
        limit=settings.upstream_connections_max,
        keepalive_timeout=UPSTREAM_KEEP_ALIVE_S,
        ttl_dns_cache=DNS_TTL_S,
    )
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
