"""A Turbopuffer that takes its time.

    python -m bench.request.slow_upstream PORT COMMIT_MS INFLIGHT

A write takes COMMIT_MS from when it begins, and at most INFLIGHT of a namespace are begun at once;
others wait. It keeps nothing.
"""

import asyncio
import sys
from collections import defaultdict

import uvloop

_BODY = (
    b'{"status":"OK","message":"ok","rows_affected":1,"rows_upserted":1,'
    b'"billing":{"billable_logical_bytes_written":1024}}'
)
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


async def serve(port: int, commit_s: float, inflight: int) -> None:
    turns: defaultdict[bytes, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(inflight))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                target = head.split(b" ", 2)[1]
                await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].split()[0]))
                async with turns[target]:
                    await asyncio.sleep(commit_s)
                writer.write(_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, limit=1 << 22, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000, int(sys.argv[3])))
