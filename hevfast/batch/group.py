"""Which writes may go as one, the body they go as, and the answer each gets of the one answer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from hevfast.batch.faults import Key
from hevfast.batch.mirror import touched_digests, touches_everything
from hevfast.batch.plan import Plan
from hevfast.batch.stamp import Stamped
from hevfast.core.limits import GROUP_FRAME_BYTES_MAX, GROUP_MEMBER_BYTES_MAX, GROUP_ROWS_MAX

# Keys that a write may have and still go with others, which then have them, too, byte for byte.
# A list of what is allowed: whatever upstream learns next goes alone until somebody has thought.
_TOGETHER: Final = (
    Key.UPSERT_ROWS,
    Key.SCHEMA,
    Key.DISTANCE_METRIC,
    Key.DISABLE_BACKPRESSURE,
    Key.ENCRYPTION,
    Key.SHARDING,
)
_NAMES: Final = frozenset(key.name.lower() for key in _TOGETHER)
_APART: Final = ~sum(1 << key for key in _TOGETHER)
_ROWS: Final = 1 << Key.UPSERT_ROWS

_DIGEST_BYTES: Final = 4

# Shapes of bodies whose verdict is remembered: GROUP_FRAME_BYTES_MAX each.
_FRAMES_MAX: Final = 512

# Stands for a member's count in an answer that is being divided. No JSON text holds a NUL.
_HERE: Final = msgspec.Raw(b"\0")
_COUNTS: Final = ("rows_affected", "rows_upserted")
_UNBILLED: Final = msgspec.Raw(b'{"billable_logical_bytes_written":0}')

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Member(NamedTuple):
    """A stamped write that may go with others of the same frame.

    `frame` is what stands before and after its rows, brackets included; `rows_start` and `rows_end`
    are where its rows stand in `body`; `digests` are those of its ids, each once, packed.
    """

    body: bytes
    frame: tuple[bytes, bytes]
    rows_start: int
    rows_end: int
    rows_count: int
    digests: bytes


def is_joinable(plan: Plan, stamped: Stamped) -> bool:
    """Tell whether a write is of the kind that may go with others, at a glance.

    It is if it is small and only upserts rows, whatever they hold, under keys that say the same of
    any number of rows. Columns would have to be put together column by column; how many rows a
    patch found or a delete met is told for all of them at once, and could not be divided.
    """
    return (
        not plan.keys & _APART
        and bool(plan.keys & _ROWS)
        and stamped.size <= GROUP_MEMBER_BYTES_MAX
        and 0 < plan.rows_count <= GROUP_ROWS_MAX
    )


def member_of(plan: Plan, stamped: Stamped) -> Member | None:
    """Give a joinable write as it goes with others, its body taken; or None, and nothing was."""
    rows = plan.value(Key.UPSERT_ROWS)
    [(_, opened, _, _, _)] = plan.sections()
    assert rows is not None, "the key is there"
    body, closed = plan.body, opened + len(rows) - 1
    frame = bytes(body[: opened + 1]), bytes(body[closed:])
    if len(frame[0]) + len(frame[1]) > GROUP_FRAME_BYTES_MAX or not _is_plain(*frame):
        return None
    if touches_everything(plan):
        return None
    digests = touched_digests(plan)
    if len(digests) != plan.rows_count * _DIGEST_BYTES:
        # An id twice, which upstream refuses; its neighbours would have to be sent again.
        return None
    # Stamps stand in rows only, so the frame of the stamped body is that of the client's.
    whole = stamped.whole()
    return Member(whole, frame, opened + 1, len(whole) - len(frame[1]), plan.rows_count, digests)


@lru_cache(maxsize=_FRAMES_MAX)
def _is_plain(before: bytes, after: bytes) -> bool:
    """Tell whether a body without its rows has no key that the scanner does not know."""
    try:
        return _decode(before + after).keys() <= _NAMES
    except (msgspec.DecodeError, msgspec.ValidationError):
        return False


def body_of(members: Sequence[Member]) -> bytes:
    """Give the one body of members of the same frame: their rows, in their order."""
    before, after = members[0].frame
    rows = b",".join([each.body[each.rows_start : each.rows_end] for each in members])
    return b"%b%b%b" % (before, rows, after)


def shares_of(answer: bytes, members: Sequence[Member]) -> list[bytes]:
    """Divide upstream's answer to one body among the members: each is told its own count of rows.

    What upstream bills cannot be divided exactly, so the first is told all of it and the others
    nothing: the sum is upstream's. Every other member of the answer keeps its bytes; an answer
    that cannot be read goes to all as it is.
    """
    try:
        fields = _decode(answer)
    except (msgspec.DecodeError, msgspec.ValidationError):
        fields = None
    if fields is None or b"\0" in answer:
        return [answer] * len(members)
    for name in _COUNTS:
        if name in fields:
            fields[name] = _HERE
    first = _encode(fields).split(b"\0")
    if "billing" in fields:
        fields["billing"] = _UNBILLED
    others = _encode(fields).split(b"\0")
    made: dict[int, bytes] = {}
    for count in {each.rows_count for each in members[1:]}:
        made[count] = (b"%d" % count).join(others)
    told = [made[each.rows_count] for each in members[1:]]
    return [(b"%d" % members[0].rows_count).join(first), *told]
