"""Fetches of the registry form, step by step: registry and record in either order, lease, fill."""

from typing import TYPE_CHECKING, Any

from hevfast.cache import operations as ops
from hevfast.cache import records
from hevfast.cache.events import Full
from hevfast.cache.records import Record
from hevfast.cache.registry import Fence, Registry
from tests.model import store as shop

if TYPE_CHECKING:
    from tests.model.world import State, Steps, World


def fetch_steps(world: "World", state: "State", j: int, fetcher: tuple[Any, ...]) -> "Steps":
    """Give what fetch `j` may do next. Its state is a word and what it remembers."""
    phase = fetcher[0]
    if phase == "over":
        return
    number = world.configuration.fetches[j]
    bucket = world.configuration.buckets[number]
    store = state.store

    def now(*memory: Any, store: shop.Store = store, wrong: str = "") -> "State":
        fetchers = (*state.fetchers[:j], memory, *state.fetchers[j + 1 :])
        return state._replace(fetchers=fetchers, store=store, wrong=wrong)

    def both(least: int, record: Record | None, fence: Fence | None) -> "State":
        if not records.is_hit(record, fence, bucket):
            op = records.lease_op(record, b"lease%d" % j)
            return now("over") if op is None else now("missed", fence, op)
        assert record is not None
        allowed = state.history[number][least:]
        wrong = "" if record.value in allowed else f"a fetch hit {record.value!r}, not {allowed}"
        return now("over", wrong=wrong)

    shelf, record = store.shelf, store.records[number]
    fence = None if shelf is None else shop.fence_of(shelf)
    if phase == "idle":
        least = state.acked[number]
        yield ("F reads registry", j), now("fence", least, fence)
        if not world.configuration.one_order:
            yield ("F reads record", j), now("record", least, record)
    elif phase == "fence":
        yield ("F reads record second", j), both(fetcher[1], record, fetcher[2])
    elif phase == "record":
        yield ("F reads registry second", j), both(fetcher[1], fetcher[2], fence)
    elif phase == "missed":
        yield from _miss_steps(world, state, j, fetcher)
    elif phase == "leased":
        value = state.history[number][-1]
        lease: records.Lease = fetcher[1]
        # A row that is not there is not cached.
        yield ("F reads upstream", j), now("over") if value is None else now("read", lease, value)
    elif phase == "read":
        filled, _ = shop.fill_record(store, number, records.fill_op(fetcher[1], fetcher[2]))
        yield ("F fills" if filled != store else "F may not fill", j), now("over", store=filled)


def _miss_steps(world: "World", state: "State", j: int, fetcher: tuple[Any, ...]) -> "Steps":
    number = world.configuration.fetches[j]
    bucket = world.configuration.buckets[number]
    _, fence, op = fetcher

    def now(*memory: Any, store: shop.Store) -> "State":
        fetchers = (*state.fetchers[:j], memory, *state.fetchers[j + 1 :])
        return state._replace(fetchers=fetchers, store=store)

    if fence is None:
        store, reply = shop.apply(state.store, ops.CreateRegistry())
        if isinstance(reply, Registry):
            yield ("F creates registry", j), now("missed", reply.fence, op, store=store)
        return
    store, reply = shop.lease_record(state.store, number, op)
    if isinstance(reply, Full):
        yield ("F finds no room for a lease", j), now("over", store=store)
        return
    lease = records.granted(op.lease, fence, bucket)
    yield ("F leases", j), now("leased", lease, store=store)
