"""The stamped body: the client's bytes with the two stamps spliced in."""

from hevfast.batch._scan import STEP_BYTES, Plan, Stamped

__all__ = ["STEP_BYTES", "Stamped", "stamp"]


def stamp(
    plan: Plan, *, now_ms: int, shard_count: int, stamp_shard: bool, force_ids: bool = False
) -> Stamped:
    """Splice the stamps into a planned body.

    The result is taken once: `whole()` for one of at most STEP_BYTES, else by iteration, which
    gives lists of buffers of about STEP_BYTES a list, to be written in order with a turn of the
    event loop in between. `size` is exact.

    `force_ids`: the body asks for affected ids whether the client did or not.

    Units: now_ms in milliseconds since the epoch; it is the one stamp of every row of the request.
    Source: layer-api 1.1, 1.2.
    """
    return Stamped(plan, now_ms, shard_count, stamp_shard, force_ids)
