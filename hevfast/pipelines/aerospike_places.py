"""Where hints are put: the places that a call has taken in a line, and in a bucket of lapses."""

import hashlib

from hevfast.pipelines.aerospike_operations import Opened
from hevfast.pipelines.aerospike_plan import Desk, Plan, Wish
from hevfast.pipelines.aerospike_state import (
    SEGMENT_PLACES,
    VOID,
    Spot,
    bucket_segment,
    lapse_key,
    line_key,
    line_segment,
    places_of,
    returns_segment,
)


class Places:
    """A call's places, which its documents are given one after the other."""

    def __init__(self, desk: Desk, plan: Plan, opened: Opened) -> None:
        taken = taken_by(plan)
        self._desk = desk
        self._plan = plan
        self._number = opened.number
        # The next ones, and one behind the last of each.
        self._arrival, self._arrival_end = opened.arrival - taken, opened.arrival
        self._lapse, self._lapse_end = opened.lapse - taken, opened.lapse

    def spot(self, document: str, wish: Wish) -> Spot | None:
        """Give where a document's hint is put; None: no place was taken there."""
        after = wish.document
        if after.stage == VOID:
            return void_spot(document, self._number)
        if after.lease is not None:
            segment = self._next_lapse(document)
            key = lapse_key(after.lease.ends_ms, after.position, self._number)
            return None if segment is None else Spot(segment, key)
        key = line_key(after.position, self._number)
        if wish.returns and not self._desk.is_crowded(after.stage):
            return Spot(returns_segment(after.stage), key)
        segment = self._next_arrival(document) if after.stage == self._plan.line else None
        return None if segment is None else Spot(segment, key)

    def _next_arrival(self, document: str) -> bytes | None:
        place, self._arrival = self._arrival, self._arrival + places_of(document)
        if self._arrival > self._arrival_end:
            return None
        return line_segment(self._plan.line, place // SEGMENT_PLACES)

    def _next_lapse(self, document: str) -> bytes | None:
        bucket = self._plan.bucket
        if bucket is None or self._lapse_end < 0:
            # Sealed meanwhile.
            return None
        place, self._lapse = self._lapse, self._lapse + places_of(document)
        return bucket_segment(bucket, place // SEGMENT_PLACES)


def taken_by(plan: Plan) -> int:
    """Tell how many places a call takes wherever its documents may go."""
    return sum(map(places_of, plan.documents))


def void_spot(document: str, number: int) -> Spot:
    digest = hashlib.blake2b(document.encode(), digest_size=16).digest()
    return Spot(b"v" + digest[:1], digest + number.to_bytes(8, "big"))
