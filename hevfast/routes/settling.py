"""A write between its begin and its end in the cache: its outcome, its rows, and its answer."""

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Final

from hevfast.batch.affected import Affected, read_affected, texts_of
from hevfast.batch.faults import Key
from hevfast.batch.mirror import is_conditional, rows_of
from hevfast.batch.plan import Plan
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Part, Store, Touched
from hevfast.core.errors import GatewayError, UnsentError

if TYPE_CHECKING:
    from hevfast.upstream.exchange import Answer

_KINDS: Final = {
    Key.UPSERT_ROWS: Kind.UPSERT,
    Key.UPSERT_COLUMNS: Kind.UPSERT,
    Key.PATCH_ROWS: Kind.PATCH,
    Key.PATCH_COLUMNS: Kind.PATCH,
    Key.DELETES: Kind.DELETE,
}

# Answers after which a write may still be applied, or was: the server broke off, or something in
# front of it did.
_REQUEST_TIMEOUT: Final = 408
_SERVER_FAULT: Final = 500

# Seconds. A cache that has failed is tried again after as long.
_RETRY_AFTER: Final = b"2"


async def sent_between(
    cache: Store,
    touched: Touched,
    send: Callable[[], Awaitable["Answer"]],
    rows: "WrittenRows | None" = None,
) -> "Answer":
    """Send a write between its begin and its end in the cache.

    `rows`: None if the cache is told of everything in the namespace.

    Raises: GatewayError, also if the cache can't be told of the write and must be.
    """
    ticket = await cache.begin(touched)
    if ticket.refused:
        raise GatewayError(
            "service_unavailable",
            "The cache cannot be reached, so the write was refused and not sent: other gateways "
            "would go on serving the rows of before.",
            headers=((b"retry-after", _RETRY_AFTER),),
        )
    try:
        answer = await send()
    except UnsentError:
        await cache.end(ticket, Outcome.REJECTED, ())
        raise
    except BaseException:
        # Refused connections and cut answers alike: upstream may have the write or not. So with a
        # client that left while it was under way.
        await cache.end(ticket, Outcome.UNKNOWN, rows or ())
        raise
    if rows is not None:
        rows.answered(answer.body)
    if not await cache.end(ticket, outcome_of(answer.status), rows or ()):
        if not isinstance(answer.body, bytes):
            await answer.body.aclose()
        raise GatewayError(
            "upstream_error",
            "The write was applied, but the cache cannot be reached any more: until it is told, "
            "other gateways may serve the rows of before.",
        )
    return answer


def outcome_of(status: int) -> Outcome:
    """Give what a status says of a write: done, refused, or neither for sure."""
    if 200 <= status < 300:
        return Outcome.APPLIED
    if status >= _SERVER_FAULT or status == _REQUEST_TIMEOUT:
        return Outcome.UNKNOWN
    return Outcome.REJECTED


class WrittenRows:
    """The rows of one write as the cache is told of them; made anew at each iteration.

    A conditional write's rows are kept only if upstream's answer names them; until there is an
    answer, and if it cannot be read, none is.
    """

    __slots__ = ("_affected", "_conditional", "_now_ms", "_plan", "_shard_count", "_stamp_shard")

    def __init__(self, plan: Plan, now_ms: int, shard_count: int, stamp_shard: bool) -> None:
        self._plan = plan
        self._now_ms = now_ms
        self._shard_count = shard_count
        self._stamp_shard = stamp_shard
        self._conditional = is_conditional(plan)
        self._affected: Affected | None = None

    def answered(self, body: object) -> None:
        """Take in the body of upstream's answer; one that is still coming is not waited for."""
        if self._conditional and isinstance(body, bytes):
            self._affected = read_affected(body)

    def __iter__(self) -> Iterator[Part]:
        for op, rows in rows_of(
            self._plan,
            now_ms=self._now_ms,
            shard_count=self._shard_count,
            stamp_shard=self._stamp_shard,
        ):
            kind = _KINDS[op]
            if self._conditional:
                named = self._named(kind)
                rows = [
                    (digest, text, row if text in named else None) for digest, text, row in rows
                ]
            yield kind, rows

    def _named(self, kind: Kind) -> frozenset[bytes]:
        affected = self._affected
        if affected is None or kind is Kind.DELETE:
            return frozenset()
        return texts_of(affected.upserted_ids if kind is Kind.UPSERT else affected.patched_ids)
