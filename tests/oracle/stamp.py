"""The stamped body: which bytes go where, in place of what; and the way back."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.oracle.reader import decoded
from tests.oracle.vocabulary import COLUMNS_FORMS, ROWS_FORMS, Key, Plan, Row, Section
from tests.oracle.xxh64 import xxh64

# What a stamp may look like, whatever its time and shard are.
TIME_VALUE = rb"-?[0-9]+"
SHARD_VALUE = rb" *[0-9]+"


class Change(NamedTuple):
    """Bytes of the body that give way to others, and a pattern of those others."""

    start: int
    end: int
    text: bytes
    pattern: bytes


def shard_of(spelled_id: bytes, shard_count: int) -> int:
    """Return the shard of an id given as it is spelled in the body."""
    text = decoded(spelled_id[1:-1]) if spelled_id.startswith(b'"') else spelled_id
    return xxh64(text) % shard_count if shard_count else 0


def stamp(body: bytes, plan: Plan, now_ms: int, shard_count: int, stamp_shard: bool) -> bytes:
    """Return the body with its stamps."""
    pieces = []
    at = 0
    for change in changes(body, plan, now_ms, shard_count, stamp_shard):
        pieces += [body[at : change.start], change.text]
        at = change.end
    return b"".join([*pieces, body[at:]])


def unstamp(stamped: bytes, body: bytes, plan: Plan, stamp_shard: bool) -> bytes | None:
    """Return `stamped` without stamps, or None where a stamp is not where it should be.

    Only places are taken from the plan: any time and any shard number is a stamp.
    """
    pieces = []
    at = 0
    read = 0
    for change in changes(body, plan, 0, 1, stamp_shard):
        kept = change.start - read
        pieces.append(stamped[at : at + kept])
        at += kept
        found = re.compile(change.pattern).match(stamped, at)
        if not found:
            return None
        pieces.append(body[change.start : change.end])
        at = found.end()
        read = change.end
    return b"".join([*pieces, stamped[at:]])


def changes(
    body: bytes, plan: Plan, now_ms: int, shard_count: int, stamp_shard: bool
) -> list[Change]:
    """Return the changes that stamping makes, in the body's order."""
    writer = _Writer(body, plan, now_ms, shard_count, stamp_shard)
    for index, section in enumerate(plan.sections):
        if section.op in ROWS_FORMS:
            writer.rows(section)
        elif section.op in COLUMNS_FORMS:
            writer.columns(section, index)
        elif section.op is Key.PATCH_BY_FILTER:
            writer.patch(section, index)
    return sorted(writer.changes)


class _Writer:
    """Collects the changes of one body."""

    def __init__(
        self, body: bytes, plan: Plan, now_ms: int, shard_count: int, stamp_shard: bool
    ) -> None:
        self.body = body
        self.plan = plan
        self.time = b"%d" % now_ms
        self.shard_count = shard_count
        self.stamp_shard = stamp_shard
        self.width = len(b"%d" % max(shard_count - 1, 0))
        self.changes: list[Change] = []

    def shard(self, row: Row) -> bytes:
        number = shard_of(self.body[row.id_start : row.id_end], self.shard_count)
        return (b"%d" % number).rjust(self.width)

    def rows(self, section: Section) -> None:
        for index in range(section.first, section.first + section.count):
            row = self.plan.rows[index]
            time = (self.time, TIME_VALUE)
            shard = (self.shard(row), SHARD_VALUE)
            self._both(row.start, (index, True), time, shard)

    def columns(self, section: Section, index: int) -> None:
        rows = self.plan.rows[section.first : section.first + section.count]
        times = b"[" + b",".join(self.time for _ in rows) + b"]"
        shards = b"[" + b",".join(self.shard(row) for row in rows) + b"]"
        time_pattern = rb"\[" + b",".join(TIME_VALUE for _ in rows) + rb"\]"
        shard_pattern = rb"\[" + b",".join(SHARD_VALUE for _ in rows) + rb"\]"
        time = (times, time_pattern)
        self._both(section.open, (index, False), time, (shards, shard_pattern))

    def patch(self, section: Section, index: int) -> None:
        if self._replaced((index, False), 0, self.time, TIME_VALUE):
            return
        comma = b"" if section.empty else b","
        name = b'"_hevlayer_upserted_at":'
        at = section.open + 1
        self.changes.append(Change(at, at, name + self.time + comma, name + TIME_VALUE + comma))

    def _both(
        self,
        brace: int,
        owner: tuple[int, bool],
        time: tuple[bytes, bytes],
        shard: tuple[bytes, bytes],
    ) -> None:
        text = b""
        pattern = b""
        if not self._replaced(owner, 0, *time):
            text += b'"_hevlayer_upserted_at":' + time[0] + b","
            pattern += b'"_hevlayer_upserted_at":' + time[1] + b","
        if self.stamp_shard and not self._replaced(owner, 1, *shard):
            text += b'"_hevlayer_shard":' + shard[0] + b","
            pattern += b'"_hevlayer_shard":' + shard[1] + b","
        if text:
            self.changes.append(Change(brace + 1, brace + 1, text, pattern))

    def _replaced(self, owner: tuple[int, bool], which: int, text: bytes, pattern: bytes) -> bool:
        """Put the stamp in the place of the client's own, if it sent one."""
        for cut in self.plan.cuts:
            if (cut.owner, cut.of_row) == owner and cut.stamp == which:
                self.changes.append(Change(cut.start, cut.end, text, pattern))
                return True
        return False
