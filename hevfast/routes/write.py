"""The write route: `POST /v2/namespaces/{namespace}`."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from hevfast.batch.plan import plan_write
from hevfast.batch.stamp import STEP_BYTES, Stamped, stamp
from hevfast.core.limits import WRITE_ANSWER_WHOLE_BYTES_MAX
from hevfast.edge.auth import authorize
from hevfast.edge.body import read_plain
from hevfast.edge.head import Head
from hevfast.edge.reply import relay
from hevfast.edge.target import target_of

if TYPE_CHECKING:
    from hevfast.gateway import Gateway


class Write:
    """Stamps a write and sends it on."""

    __slots__ = ("_body_bytes_max", "_gateway", "_overwrite", "_shard_count", "_stamp_shard")

    def __init__(self, gateway: "Gateway") -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._body_bytes_max = settings.body_bytes_max
        self._overwrite = settings.reserved_stamps == "overwrite"
        self._shard_count = settings.shard_count
        self._stamp_shard = settings.shard_stamp == "always"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        gateway = self._gateway
        head = Head(scope["headers"])
        authorization = authorize(head.authorization, gateway.api_key)
        target = target_of(scope)

        body = await read_plain(receive, head, self._body_bytes_max, gateway.silence)
        plan = await plan_write(body, overwrite=self._overwrite)
        stamped = stamp(
            plan,
            # After the plan: reading a large body takes seconds, and the stamp must be as close
            # to the commit as it can be.
            now_ms=gateway.clock.now_ms(),
            shard_count=self._shard_count,
            stamp_shard=self._stamp_shard,
        )

        head.forward.append((b"authorization", authorization))
        answer = await gateway.exchange.send(
            "POST",
            target,
            head.forward,
            stamped.whole() if stamped.size <= STEP_BYTES else _steps(stamped),
            stamped.size,
            deed="write",
            whole_bytes_max=WRITE_ANSWER_WHOLE_BYTES_MAX,
        )
        await relay(send, answer)


async def _steps(stamped: Stamped) -> AsyncIterator[bytes | memoryview]:
    """Give a large body step by step, with a turn for other requests after each.

    A step is joined, never the body: tens of thousands of small pieces cost several times as
    much to send as one copy of half a mebibyte.
    """
    for step in stamped:
        yield step[0] if len(step) == 1 else b"".join(step)
        await asyncio.sleep(0)
