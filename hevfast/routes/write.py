"""The write route: `POST /v2/namespaces/{namespace}`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any

from hevfast.batch.affected import without_ids
from hevfast.batch.mirror import asks_for_ids, is_conditional, touched_digests, touches_everything
from hevfast.batch.plan import Plan, plan_write
from hevfast.batch.stamp import STEP_BYTES, Stamped, stamp
from hevfast.cache.store import Touched
from hevfast.core.clock import MS_PER_S, monotonic_s
from hevfast.core.errors import GatewayError, Source
from hevfast.core.headers import Headers
from hevfast.core.limits import WRITE_ANSWER_WHOLE_BYTES_MAX
from hevfast.core.paths import namespace_of
from hevfast.edge.auth import authorize
from hevfast.edge.body import read_plain
from hevfast.edge.head import Head
from hevfast.edge.reply import relay
from hevfast.edge.target import target_of
from hevfast.observe.writes import DIRECT
from hevfast.pipelines.pressure import PUSHED_BACK
from hevfast.routes.counting import rows_counted
from hevfast.routes.grouping import Grouping
from hevfast.routes.settling import WrittenRows, sent_between

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.upstream.exchange import Answer
    from hevfast.upstream.session import Body


class Write:
    """Stamps a write and sends it on."""

    __slots__ = (
        "_body_bytes_max",
        "_gateway",
        "_overwrite",
        "_shard_count",
        "_stamp_shard",
        "grouping",
    )

    def __init__(self, gateway: "Gateway") -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._body_bytes_max = settings.body_bytes_max
        self._overwrite = settings.reserved_stamps == "overwrite"
        self._shard_count = settings.shard_count
        self._stamp_shard = settings.shard_stamp == "always"
        # None: every write is sent by itself.
        self.grouping = Grouping(settings, self._post) if settings.coalesce == "on" else None

    async def close(self) -> None:
        """Wait for the writes that are sent in groups."""
        if self.grouping is not None:
            await self.grouping.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun_s = monotonic_s()
        gateway = self._gateway
        try:
            head = Head(scope["headers"])
            authorization = authorize(head.authorization, gateway.api_key)
            target = target_of(scope)
            body = await read_plain(receive, head, self._body_bytes_max, gateway.silence)
        except GatewayError as error:
            gateway.writes.rejected(error)
            raise
        namespace = namespace_of(scope["raw_path"])
        answer = await self.apply(namespace, target, head, authorization, body, begun_s=begun_s)
        await relay(send, answer)

    async def apply(
        self,
        namespace: bytes,
        target: str,
        head: Head,
        authorization: bytes,
        body: bytes | bytearray,
        *,
        begun_s: float | None = None,
        pipeline: str = DIRECT,
    ) -> "Answer":
        """Write a body to a namespace: one course for all writes, whoever asked for them.

        `begun_s`, by the monotonic clock, and `pipeline` are what it is counted by.
        """
        gateway, writes = self._gateway, self._gateway.writes
        if begun_s is None:
            begun_s = monotonic_s()
        now_ms = 0
        try:
            plan = await plan_write(body, overwrite=self._overwrite)
            # After the plan: reading a large body takes seconds, and the stamp must be as close to
            # the commit as it can be.
            now_ms = gateway.clock.now_ms()
            answer = await self._stamped_and_sent(
                namespace, target, head, authorization, plan, now_ms
            )
        except BaseException as error:
            # Since the stamp, but for what the cache took: nothing nearer to it is known.
            waited_s = (gateway.clock.now_ms() - now_ms) / MS_PER_S if now_ms else 0.0
            writes.failed(pipeline, namespace, monotonic_s() - begun_s, waited_s, error)
            raise
        count = writes.applied if answer.status < 300 else writes.refused
        total_s = monotonic_s() - begun_s
        count(pipeline, namespace, rows_counted(plan), total_s, answer.upstream_s)
        return answer

    async def _stamped_and_sent(
        self,
        namespace: bytes,
        target: str,
        head: Head,
        authorization: bytes,
        plan: Plan,
        now_ms: int,
    ) -> "Answer":
        gateway = self._gateway
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
        sending = partial(self._send, namespace, target, head, plan, stamped)
        if gateway.cache is None:
            answer = await sending()
        else:
            digests = None if touches_everything(plan) else touched_digests(plan)
            rows = WrittenRows(plan, now_ms, self._shard_count, self._stamp_shard)
            answer = await sent_between(gateway.cache, Touched(namespace, digests), sending, rows)
            if answer.status < 300:
                gateway.verdicts.passed(authorization, namespace)
        if force_ids and isinstance(answer.body, bytes):
            answer.replace_body(without_ids(answer.body))
        return answer

    async def _send(
        self,
        namespace: bytes,
        target: str,
        head: Head,
        plan: Plan,
        stamped: Stamped,
    ) -> "Answer":
        pressure, grouping = self._gateway.pressure, self.grouping
        alone = partial(self._alone, target, head.forward, stamped)
        try:
            if grouping is None or not grouping.takes(namespace, target, head, plan, stamped):
                answer = await alone()
            else:
                begun_s = monotonic_s()
                answer = await grouping.send(namespace, target, head.forward, plan, stamped, alone)
                # Waiting behind others of the namespace is waiting for upstream.
                answer.upstream_s = monotonic_s() - begun_s
        except GatewayError as error:
            if error.source is Source.UPSTREAM:
                pressure.note(namespace)
            raise
        if answer.status in PUSHED_BACK:
            pressure.note(namespace)
        return answer

    def _alone(self, target: str, headers: Headers, stamped: Stamped) -> Awaitable["Answer"]:
        body = stamped.whole() if stamped.size <= STEP_BYTES else _steps(stamped)
        return self._post(target, headers, body, stamped.size)

    def _post(self, target: str, headers: Headers, body: "Body", size: int) -> Awaitable["Answer"]:
        return self._gateway.exchange.send(
            "POST",
            target,
            headers,
            body,
            size,
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
