"""An upstream that takes writes of any size, keeps nothing: `python -m tests.fakes.sink PORT`."""

import asyncio
import sys
from typing import cast

import uvloop

BODY = (
    b'{"status":"OK","message":"ok","rows_affected":1,'
    b'"billing":{"billable_logical_bytes_written":1}}'
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


class Sink(asyncio.Protocol):
    """One connection; understands Content-Length only, which the gateway always sends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._head = b""
        self._missing = -1

    def data_received(self, data: bytes) -> None:
        while data:
            if self._missing < 0:
                self._head += data
                head, end, data = self._head.partition(b"\r\n\r\n")
                if not end:
                    return
                self._head = b""
                lines = head.lower().split(b"\r\n")
                sizes = [line[15:] for line in lines if line.startswith(b"content-length:")]
                self._missing = int(sizes[0]) if sizes else 0
            taken = min(self._missing, len(data))
            self._missing -= taken
            data = data[taken:]
            if self._missing == 0:
                self._missing = -1
                self._transport.write(ANSWER)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
