"""What has to hold of a scanner for any body; the canaries run the same functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.native.scanner import Stamping
from tests.oracle import Fault, Plan, plan, shard_of, stamp, unstamp
from tests.oracle.vocabulary import COLUMNS_FORMS, ROWS_FORMS, ROWS_MAX, Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.native.scanner import Scanner

SHARD_MEMBER = "_hevlayer_shard"
TIME_MEMBER = "_hevlayer_upserted_at"


def check_outcome(
    scanners: Sequence[Scanner],
    body: bytes,
    *,
    overwrite: bool = False,
    rows_max: int = ROWS_MAX,
    misaligned: int = 0,
) -> Plan | Fault:
    """Every scanner gives the outcome of the oracle, field for field."""
    expected = plan(body, overwrite=overwrite, rows_max=rows_max)
    for scanner in scanners:
        outcome = scanner.plan(body, overwrite=overwrite, rows_max=rows_max, misaligned=misaligned)
        assert outcome == expected, (
            f"{scanner}, overwrite={overwrite}, rows_max={rows_max}, misaligned={misaligned}:\n"
            f"body {body!r}\n  is {outcome}\nnot {expected}"
        )
    return expected


def check_stamped(
    scanners: Sequence[Scanner],
    body: bytes,
    stamping: Stamping,
    *,
    overwrite: bool = False,
    misaligned: int = 0,
) -> None:
    """The stamped body is the oracle's, and is the original again without its stamps."""
    good = plan(body, overwrite=overwrite)
    if isinstance(good, Fault):
        return
    stamp_shard = stamping.stamp_shard
    expected = stamp(body, good, stamping.now_ms, stamping.shard_count, stamp_shard)
    for scanner in scanners:
        stamped = scanner.stamped(body, stamping, overwrite=overwrite, misaligned=misaligned)
        assert stamped == expected, f"{scanner}, {stamping}: {body!r} becomes {stamped!r}"
        assert unstamp(stamped, body, good, stamp_shard) == body
        if not good.cuts:
            check_members(body, stamped, good, stamping)


def check_shards(scanners: Sequence[Scanner], ids: list[bytes], shard_count: int) -> None:
    """The shard is that of an id's text, whatever its spelling."""
    body = b'{"upsert_rows":[%s]}' % b",".join(b'{"id":%s}' % spelled for spelled in ids)
    expected = [shard_of(spelled, shard_count) for spelled in ids]
    for scanner in scanners:
        stamped = scanner.stamped(body, Stamping(0, shard_count))
        stamps = stamped.split(b'{"_hevlayer_upserted_at":0,"_hevlayer_shard":')[1:]
        shards = [after.split(b",", 1)[0].strip() for after in stamps]
        assert shards == [b"%d" % shard for shard in expected], (
            f"{scanner}, {shard_count} shards: {body!r}"
        )


def check_members(body: bytes, stamped: bytes, good: Plan, stamping: Stamping) -> None:
    """A JSON parser finds the original's members, and the stamps in front of them."""
    before = parsed(body)
    after = parsed(stamped)
    if before is None:
        # Numbers of odd shapes in arrays are for upstream to judge; so is very deep nesting here.
        assert after is None
        return
    assert isinstance(before, Members)
    stamps = _StampsOfParsed(stamping)
    spelled_ids = [body[row.id_start : row.id_end] for row in good.rows]
    assert stamps.added(before, good, spelled_ids) == after


class Members(list[tuple[str, object]]):
    """An object's members in their order, duplicates kept."""


def parsed(body: bytes) -> object | None:
    """Return what the standard library reads, numbers as they are spelled; None: it refuses."""
    try:
        read: object = json.loads(
            body, object_pairs_hook=Members, parse_float=str, parse_int=str, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        return None
    return read


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


class _StampsOfParsed:
    """Puts stamps in front of parsed members."""

    def __init__(self, stamping: Stamping) -> None:
        self.stamping = stamping

    def added(self, body: Members, good: Plan, spelled_ids: list[bytes]) -> Members:
        names = {key.name.lower(): key for key in Key}
        sections = {section.op: section for section in good.sections}
        members = Members()
        for name, value in body:
            key = names.get(name, Key.NONE)
            if key in sections:
                first = sections[key].first
                ids = spelled_ids[first : first + sections[key].count]
                members.append((name, self._operation(key, value, ids)))
            else:
                members.append((name, value))
        return members

    def _operation(self, key: Key, value: object, ids: list[bytes]) -> object:
        time = str(self.stamping.now_ms)
        shards = [str(shard_of(spelled, self.stamping.shard_count)) for spelled in ids]
        if key in ROWS_FORMS:
            assert isinstance(value, list)
            assert len(value) == len(ids)
            return [self._both(row, time, shard) for row, shard in zip(value, shards, strict=True)]
        if key in COLUMNS_FORMS:
            return self._both(value, [time for _ in ids], shards)
        if key is Key.PATCH_BY_FILTER:
            assert isinstance(value, list)
            return Members(
                (name, Members([(TIME_MEMBER, time), *patch]) if name == "patch" else patch)
                for name, patch in value
            )
        return value

    def _both(self, members: object, time: object, shard: object) -> Members:
        assert isinstance(members, Members)
        stamps: list[tuple[str, object]] = [(TIME_MEMBER, time)]
        if self.stamping.stamp_shard:
            stamps.append((SHARD_MEMBER, shard))
        return Members([*stamps, *members])
