"""What an answer of upstream means for the cache: the outcome of a write, and its rows."""

from collections.abc import Iterator
from typing import Final

from hevfast.batch.affected import Affected, read_affected, texts_of
from hevfast.batch.faults import Key
from hevfast.batch.mirror import is_conditional, rows_of
from hevfast.batch.plan import Plan
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Part

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
