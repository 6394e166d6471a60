"""The exchange of the hot routes: a prebuilt head and body out, an answer read by our own parser.

It costs about a third of a ClientSession. Pool, name lookup and TLS are aiohttp's all the same.
"""

from typing import TYPE_CHECKING

import aiohttp

from hevfast.core.clock import MS_PER_S
from hevfast.core.headers import Headers, answer_headers
from hevfast.upstream.answer import Answer, Stream
from hevfast.upstream.line import Line
from hevfast.upstream.pool import Pool
from hevfast.upstream.request_head import RequestHead
from hevfast.upstream.sending import Steps, send_steps, steps_of
from hevfast.upstream.sweep import Sweep

if TYPE_CHECKING:
    from aiohttp.connector import Connection

    from hevfast.settings import Settings

# Bytes. A body up to this size is written at once, and a small one copied behind its head for it:
# a second buffer costs the system call more than the copy does.
_ONE_WRITE_BYTES_MAX = 256 * 1024
_ONE_BUFFER_BYTES_MAX = 8 * 1024


class Direct:
    """Exchanges over the pool without a ClientSession."""

    __slots__ = ("_head", "_pool", "_sweep")

    def __init__(self, settings: "Settings", pool: Pool) -> None:
        self._pool = pool
        self._head = RequestHead(settings.upstream_url)
        self._sweep = Sweep(
            settings.upstream_read_timeout_ms / MS_PER_S,
            settings.upstream_total_timeout_ms / MS_PER_S,
        )

    def knows(self, method: str) -> bool:
        """Tell whether requests of this method can be sent."""
        return self._head.knows(method)

    def close(self) -> None:
        """Break off what is still under way."""
        self._sweep.close()
        self._pool.close()

    async def send(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | bytearray | Steps | None,
        size: int | None,
        deed: str,
        whole_bytes_max: int,
        begun_s: float,
    ) -> Answer:
        """Send one request, once; as `Exchange.send`.

        Raises: GatewayError `bad_request`; UnfitPoolError; any of FAULTS.
        """
        head = self._head.build(method, target, headers, size)
        connection, line = self._pool.warm() or await self._pool.acquire()
        assert type(line) is Line
        line.begin(begun_s, whole_bytes_max)
        self._sweep.watch(line)
        try:
            sent = True
            transport = line.transport
            if transport is None:
                raise aiohttp.ServerDisconnectedError
            if body is None:
                transport.write(head)
            elif type(body) is bytes and len(body) <= _ONE_WRITE_BYTES_MAX:
                if len(body) <= _ONE_BUFFER_BYTES_MAX:
                    transport.write(head + body)
                else:
                    transport.writelines((head, body))
            else:
                transport.write(head)
                steps = steps_of(body) if isinstance(body, bytes | bytearray) else body
                sent = await send_steps(line, steps, size or 0)
            while not line.ready:
                await line.changed()
            if line.fault is not None:
                raise line.fault
            answer_fields = line.fields if line.sorted else answer_headers(tuple(line.fields))
        except BaseException:
            self._break_off(connection, line)
            raise
        if not line.complete:
            source = _Source(self, connection, line, sent)
            return Answer(line.status, answer_fields, Stream(source, deed))
        pieces = line.take()
        self._put_back(connection, line, sent)
        body_read = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return Answer(line.status, answer_fields, body_read)

    def _put_back(self, connection: "Connection", line: Line, sent: bool) -> None:
        """Give back a connection whose answer is complete, if it can carry another request.

        One on which part of the request is still to be written cannot.
        """
        transport = line.transport
        if not sent or (transport is not None and transport.get_write_buffer_size()):
            self._break_off(connection, line)
            return
        self._sweep.leave(line)
        self._pool.put_back(connection, line)

    def _break_off(self, connection: "Connection", line: Line) -> None:
        self._sweep.leave(line)
        # First, or closing would try to write what is left.
        line.hang_up()
        connection.close()


class _Source:
    """The rest of an answer that is too large to hold."""

    __slots__ = ("_connection", "_direct", "_line", "_sent", "_taken")

    def __init__(self, direct: Direct, connection: "Connection", line: Line, sent: bool) -> None:
        self._direct = direct
        self._connection = connection
        self._line = line
        self._sent = sent
        self._taken: list[bytes] = []

    async def read(self) -> bytes:
        line = self._line
        while not self._taken:
            self._taken = line.take()[::-1]
            if self._taken:
                break
            if line.fault is not None:
                raise line.fault
            if line.complete:
                return b""
            await line.changed()
        return self._taken.pop()

    def leave(self) -> None:
        if self._line.complete:
            self._line.take()
            self._direct._put_back(self._connection, self._line, self._sent)
        else:
            self._direct._break_off(self._connection, self._line)
