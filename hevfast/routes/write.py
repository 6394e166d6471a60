"""The write route: `POST /v2/namespaces/{namespace}`."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from hevfast.batch.affected import without_ids
from hevfast.batch.mirror import asks_for_ids, is_conditional, touched_digests, touches_everything
from hevfast.batch.plan import Plan, plan_write
from hevfast.batch.stamp import STEP_BYTES, Stamped, stamp
from hevfast.cache.rows import Outcome
from hevfast.cache.store import Touched
from hevfast.core.limits import WRITE_ANSWER_WHOLE_BYTES_MAX
from hevfast.core.paths import namespace_of
from hevfast.edge.auth import authorize
from hevfast.edge.body import read_plain
from hevfast.edge.head import Head
from hevfast.edge.reply import relay
from hevfast.edge.target import target_of
from hevfast.routes.settling import WrittenRows, outcome_of

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.upstream.exchange import Answer


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
        # After the plan: reading a large body takes seconds, and the stamp must be as close to
        # the commit as it can be.
        now_ms = gateway.clock.now_ms()
        # Which rows a condition let through only upstream knows, and the cache must.
        force_ids = gateway.cache is not None and is_conditional(plan) and not asks_for_ids(plan)
        stamped = stamp(
            plan,
            now_ms=now_ms,
            shard_count=self._shard_count,
            stamp_shard=self._stamp_shard,
            force_ids=force_ids,
        )

        head.forward.append((b"authorization", authorization))
        if force_ids:
            head.want_identity()
        if gateway.cache is None:
            answer = await self._send(target, head, stamped)
        else:
            rows = WrittenRows(plan, now_ms, self._shard_count, self._stamp_shard)
            answer = await self._mirrored(scope["raw_path"], target, head, stamped, plan, rows)
            if answer.status < 300:
                gateway.verdicts.passed(authorization, namespace_of(scope["raw_path"]))
        if force_ids and isinstance(answer.body, bytes):
            answer.replace_body(without_ids(answer.body))
        await relay(send, answer)

    async def _mirrored(
        self, path: bytes, target: str, head: Head, stamped: Stamped, plan: Plan, rows: WrittenRows
    ) -> "Answer":
        """Send a write between its begin and its end in the cache."""
        cache = self._gateway.cache
        assert cache is not None
        digests = None if touches_everything(plan) else touched_digests(plan)
        ticket = await cache.begin(Touched(namespace_of(path), digests))
        try:
            answer = await self._send(target, head, stamped)
        except BaseException:
            # Refused connections and cut answers alike: upstream may have the write or not. So
            # with a client that left while it was under way.
            await cache.end(ticket, Outcome.UNKNOWN, rows)
            raise
        rows.answered(answer.body)
        await cache.end(ticket, outcome_of(answer.status), rows)
        return answer

    async def _send(self, target: str, head: Head, stamped: Stamped) -> "Answer":
        return await self._gateway.exchange.send(
            "POST",
            target,
            head.forward,
            stamped.whole() if stamped.size <= STEP_BYTES else _steps(stamped),
            stamped.size,
            deed="write",
            whole_bytes_max=WRITE_ANSWER_WHOLE_BYTES_MAX,
        )


async def _steps(stamped: Stamped) -> AsyncIterator[bytes | memoryview]:
    """Give a large body step by step, with a turn for other requests after each.

    A step is joined, never the body: tens of thousands of small pieces cost several times as
    much to send as one copy of half a mebibyte.
    """
    for step in stamped:
        yield step[0] if len(step) == 1 else b"".join(step)
        await asyncio.sleep(0)
