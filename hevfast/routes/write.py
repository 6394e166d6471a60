"""The write route: `POST /v2/namespaces/{namespace}`."""

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hevfast.batch.affected import without_ids
from hevfast.batch.faults import Key
from hevfast.batch.mirror import (
    asks_for_ids,
    is_conditional,
    keeps_stamps,
    touched_digests,
    touches_everything,
)
from hevfast.batch.plan import Plan, plan_write
from hevfast.batch.stamp import STEP_BYTES, Stamped, stamp
from hevfast.cache.rows import Outcome
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
from hevfast.routes.settling import WrittenRows, outcome_of, sent_between
from hevfast.routes.shards import Shards, ShardStamp

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.upstream.exchange import Answer
    from hevfast.upstream.session import Body


# A write that may delete rows of which it does not say the ids.
_DELETES_BY_FILTER: Final = 1 << Key.DELETE_BY_FILTER
_COPIES: Final = 1 << Key.COPY_FROM_NAMESPACE | 1 << Key.BRANCH_FROM_NAMESPACE


class Write:
    """Stamps a write and sends it on."""

    __slots__ = ("_body_bytes_max", "_gateway", "_overwrite", "_shards", "grouping")

    def __init__(self, gateway: "Gateway") -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._body_bytes_max = settings.body_bytes_max
        self._overwrite = settings.reserved_stamps == "overwrite"
        self._shards = Shards(gateway)
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
        flights = gateway.watermark.flights
        if begun_s is None:
            begun_s = monotonic_s()
        now_ms, flight = 0, None
        try:
            plan = await plan_write(body, overwrite=self._overwrite)
            shards = self._shards.at_hand(namespace)
            if shards is None:
                shards = await self._shards.learnt(authorization, namespace)
            # After the plan: reading a large body takes seconds, and the stamp must be as close to
            # the commit as it can be.
            flight = gateway.watermark.begin(namespace, keeps_stamps=keeps_stamps(plan))
            now_ms = flight.now_ms
            answer = await self._stamped_and_sent(
                namespace, target, head, authorization, plan, now_ms, shards
            )
        except BaseException as error:
            # Since the stamp, but for what the cache took: nothing nearer to it is known.
            waited_s = (gateway.clock.now_ms() - now_ms) / MS_PER_S if now_ms else 0.0
            writes.failed(pipeline, namespace, monotonic_s() - begun_s, waited_s, error)
            if flight is not None:
                flights.end(flight, known=_is_unsent(error))
            raise
        flights.end(flight, known=outcome_of(answer.status) is not Outcome.UNKNOWN)
        if answer.status < 300:
            gateway.watermark.written(namespace, authorization)
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
        shards: ShardStamp,
    ) -> "Answer":
        gateway = self._gateway
        # Which rows a condition let through only upstream knows, and the cache must.
        force_ids = gateway.cache is not None and is_conditional(plan) and not asks_for_ids(plan)
        stamped = stamp(
            plan,
            now_ms=now_ms,
            shard_count=shards.shard_count,
            stamp_shard=shards.stamped,
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
            rows = WrittenRows(plan, now_ms, shards.shard_count, shards.stamped)
            answer = await sent_between(gateway.cache, Touched(namespace, digests), sending, rows)
            if answer.status < 300:
                gateway.verdicts.passed(authorization, namespace)
        if answer.status < 300 and plan.keys & _DELETES_BY_FILTER:
            await self._shards.look_after(authorization, namespace)
        if answer.status < 300 and plan.keys & _COPIES:
            # A copy has its source's marker, if that has one.
            gateway.markers.forget(namespace)
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
        try:
            if grouping is None or not grouping.takes(namespace, target, head, plan, stamped):
                answer = await self._alone(target, head.forward, stamped)
            else:
                alone = partial(self._alone, target, head.forward, stamped)
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
        body = stamped.whole() if stamped.size <= STEP_BYTES else stamped
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


def _is_unsent(error: BaseException) -> bool:
    """Tell whether a write that ended with this error was refused here, before it was sent."""
    return isinstance(error, GatewayError) and error.source is not Source.UPSTREAM
