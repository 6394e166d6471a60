"""The rules of the watermark: pure, told the time.

A watermark is a moment such that no row stamped up to it is committed or indexed any more: all of
them are. It follows from one observation. A worker notes the time, then looks which stamps are in
flight, then asks upstream. If upstream says that its index is up to date, then whatever had been
committed is indexed; and a write that had not

- was in flight when the worker looked, so its stamp is not below the smallest one in flight; or
- began after that: then it is stamped later than the time noted, because a writer says that it is
  about to take a stamp before it takes it.

So the smaller of the two is safe. The margin stands for what one clock of a host leaves open: how
long a store of one processor may take to be seen by another.
"""

from typing import Final, NamedTuple

import msgspec

from hevfast.reads.mark import Mark, Standing

# The floor of those who have nothing in flight, and of those who are about to take a stamp or make
# rows that keep older ones.
NONE: Final = (1 << 63) - 1
SOON: Final = 1

# Depth down to which an answer is searched for what is not indexed; real ones have three levels.
_DEPTH_MAX: Final = 8

# A poll that fails is repeated after up to this many times the interval.
_BACKOFF_MAX: Final = 64


class Observation(NamedTuple):
    """What one look at flights and one question to upstream came to.

    `noted_ms`: before either. `floor_ms`: smallest stamp in flight, looked for before the question.
    """

    noted_ms: int
    floor_ms: int
    standing: Standing


def advanced(mark: Mark, seen: Observation, margin_ms: int) -> Mark:
    """Give the mark after an observation; the moment never goes back."""
    as_of = mark.stable_as_of
    if seen.standing is Standing.STABLE:
        moment = min(seen.noted_ms - margin_ms, seen.floor_ms - 1)
        if moment > (as_of or 0):
            as_of = moment
    return Mark(as_of, seen.standing)


_STANDINGS: Final = {"up-to-date": Standing.STABLE, "updating": Standing.UPDATING}


def standing_of(metadata: bytes) -> Standing:
    """Read what upstream's metadata say of the index; what is not understood is unknown."""
    try:
        said = msgspec.json.decode(metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Standing.UNKNOWN
    index = said.get("index") if isinstance(said, dict) else None
    status = index.get("status") if isinstance(index, dict) else None
    if isinstance(status, str) and status in _STANDINGS:
        return _STANDINGS[status]
    return Standing.UPDATING if _has_unindexed(said, 0) else Standing.UNKNOWN


def _has_unindexed(value: object, depth: int) -> bool:
    if depth > _DEPTH_MAX:
        return False
    if isinstance(value, dict):
        count = value.get("unindexed_bytes")
        if isinstance(count, int | float) and count:
            return True
        return any(_has_unindexed(each, depth + 1) for each in value.values())
    return isinstance(value, list) and any(_has_unindexed(each, depth + 1) for each in value)


class Intervals(NamedTuple):
    """Seconds between questions about one namespace."""

    poll_s: float
    stable_s: float


def wait_s(standing: Standing, failures: int, intervals: Intervals) -> float:
    """Give how long to wait before the next question."""
    if failures:
        longest = max(intervals.stable_s, intervals.poll_s)
        times = min(1 << min(failures, _BACKOFF_MAX.bit_length()), _BACKOFF_MAX)
        return min(intervals.poll_s * times, longest)
    return intervals.stable_s if standing is Standing.STABLE else intervals.poll_s
