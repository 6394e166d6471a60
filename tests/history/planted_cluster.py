"""Gateways on a cluster that break one rule of the registry form each."""

from collections.abc import Callable
from typing import Any, Final

import aerospike

from hevfast.cache import aerospike_documents, aerospike_store, aerospike_upkeep, settling
from hevfast.cache.course import Mode
from hevfast.cache.keys import NO_BUMPS
from hevfast.cache.operations import Sweep


def hits_need_no_stamp() -> None:
    vars(aerospike_documents)["is_hit"] = lambda record, fence, bucket: (
        record is not None and record.value is not None
    )


def elders_are_not_looked_for() -> None:
    vars(settling)["elders_of"] = lambda keys, seen: ()


def any_lease_fills_a_record() -> None:
    """A fill neither asks for its lease nor minds that the record is gone."""

    def planted(
        client: Any, *, place: Any, digest: bytes, mark: bytes, row: bytes, lives: Any
    ) -> None:
        bins = {"v": row, "f": mark[16:44], "k": mark[44:]}
        policy = {"exists": aerospike.POLICY_EXISTS_CREATE_OR_REPLACE, "ttl": lives.seconds(0)}
        client.put(place.document(digest), bins, {}, policy)

    vars(aerospike_documents)["fill"] = planted


def doubts_end_at_once() -> None:
    init = aerospike_store.AerospikeStore.__init__

    def planted(self: Any, *given: Any, **named: Any) -> None:
        init(self, *given, **named | {"doubt_s": 0.0})

    vars(aerospike_store)["AerospikeStore"].__init__ = planted


def dead_tokens_are_only_removed() -> None:
    """Needs kills: the sweep bumps nothing."""
    vars(aerospike_upkeep)["sweep_op"] = lambda token: Sweep(token.id, NO_BUMPS)


def writes_are_never_refused() -> None:
    """Needs faults of the cluster: what it cannot be told of is sent and answered all the same."""
    init = aerospike_store.AerospikeStore.__init__

    def planted(self: Any, *given: Any, **named: Any) -> None:
        init(self, *given, **named | {"mode": Mode.OPEN})

    vars(aerospike_store)["AerospikeStore"].__init__ = planted


CLUSTER_PLANTS: Final[dict[str, Callable[[], None]]] = {
    plant.__name__: plant
    for plant in (
        hits_need_no_stamp,
        elders_are_not_looked_for,
        any_lease_fills_a_record,
        doubts_end_at_once,
        dead_tokens_are_only_removed,
        writes_are_never_refused,
    )
}
