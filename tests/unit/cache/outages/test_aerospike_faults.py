"""What writes make of a cluster that fails: never late, never wrong, soon back."""

import asyncio
from collections.abc import Callable

import pytest

from hevfast.batch.mirror import digest_of
from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Ticket
from tests.fakes.aerospike import Code, FakeAerospike, Seen
from tests.unit.cache.aerospike_outages import (
    OUTAGES,
    heal,
    in_time,
    never_older,
    on_documents,
    on_registry,
    puts,
    written,
)
from tests.unit.cache.aerospike_stage import (
    DOCUMENTS,
    EVERYTHING,
    NS,
    begin,
    come_of_age,
    hit,
    part,
    touched,
    until,
    upsert,
    write,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("kind", ["upsert", "everything", "many"])
async def test_outage_from_begin_on(
    node: FakeAerospike, store: AerospikeStore, outage: str, kind: str
) -> None:
    await come_of_age(store)
    await write(store, upsert(a={"n": 0}))
    OUTAGES[outage](node)
    ids = [b"a", *(b"r%d" % n for n in range(500 if kind == "many" else 0))]
    announced = EVERYTHING if kind == "everything" else touched(*ids)
    ticket = await in_time(store.begin(announced))
    assert isinstance(ticket, Ticket)
    rows = dict.fromkeys(ids, b'{"n":1}')
    parts = [part(Kind.UPSERT, rows)]
    await in_time(store.end(ticket, Outcome.APPLIED, [] if kind == "everything" else parts))
    heal(node, outage)
    await never_older(store, {"n": 1})


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("outcome", Outcome)
async def test_outage_between_begin_and_end(
    node: FakeAerospike, store: AerospikeStore, outage: str, outcome: Outcome
) -> None:
    await come_of_age(store)
    await write(store, upsert(a={"n": 0}))
    ticket = await begin(store, b"a")
    OUTAGES[outage](node)
    await in_time(store.end(ticket, outcome, upsert(a={"n": 1})))
    heal(node, outage)
    rows = {
        Outcome.APPLIED: ({"n": 1},),
        Outcome.REJECTED: ({"n": 0},),
        Outcome.UNKNOWN: ({"n": 0}, {"n": 1}),
    }
    await _after_doubt(store)
    await never_older(store, *rows[outcome])


async def _after_doubt(store: AerospikeStore) -> None:
    doubts = [task for task in store._tasks if "doubt" in repr(task.get_coro())]
    await asyncio.gather(*doubts)


# Single calls of a write's end that fail, by their order…

STEPS = {"mirror": written(on_documents), "finish": written(on_registry)}
BROKEN: dict[str, Callable[[FakeAerospike, Callable[[Seen], bool]], object]] = {
    "refused": lambda node, match: node.fail(Code.DEVICE_OVERLOAD, match),
    "busy for long": lambda node, match: node.be_busy(match, times=40),
    "busy once": lambda node, match: node.be_busy(match),
    "too big": lambda node, match: node.fail(Code.RECORD_TOO_BIG, match),
    "timed out": lambda node, match: node.fail(Code.TIMEOUT, match),
    "reply lost": lambda node, match: node.drop_reply(match),
    "reply cut": lambda node, match: node.close(match, applied=True),
    "cut": lambda node, match: node.close(match),
    "held": lambda node, match: node.hold(match),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", BROKEN)
async def test_end_that_fails_at_one_step(
    node: FakeAerospike, store: AerospikeStore, other: AerospikeStore, step: str, fault: str
) -> None:
    await come_of_age(store)
    await write(store, upsert(a={"n": 0}))
    ticket = await begin(store, b"a")
    BROKEN[fault](node, STEPS[step])
    await in_time(store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1})))
    # Nothing was out of reach for long, so the other gateway's hits are right at once.
    assert await hit(other, b"a") in (None, {"n": 1})
    node.faults.clear()
    await never_older(store, {"n": 1})


async def test_put_that_lands_late_is_void(
    node: FakeAerospike, store: AerospikeStore, other: AerospikeStore
) -> None:
    await write(store, upsert(a={"n": 0}))
    ticket = await begin(store, b"a")
    hold = node.hold(STEPS["mirror"])
    await in_time(store.end(ticket, Outcome.APPLIED, upsert(a={"n": 1})))
    await write(other, [part(Kind.DELETE, {b"a": None})])
    before = puts(node)
    hold.release()
    await until(lambda: puts(node) > before)
    assert await hit(other, b"a") is None


async def test_busy_records_are_tried_again(node: FakeAerospike, store: AerospikeStore) -> None:
    node.be_busy(times=3)
    await write(store, upsert(a={"n": 1}))
    node.be_busy(written(on_documents), times=2)
    await write(store, upsert(a={"n": 2}))
    assert await hit(store, b"a") == {"n": 2}


async def test_documents_that_find_no_room_are_removed(
    node: FakeAerospike, store: AerospikeStore
) -> None:
    neighbour = _neighbour(b"a")
    await write(store, [part(Kind.UPSERT, dict.fromkeys((b"a", neighbour), b'{"n":0}'))])
    node.fill(DOCUMENTS)
    await write(store, upsert(a={"n": 1}))
    assert await hit(store, b"a") is None
    # Its neighbour stays: nothing had to be bumped.
    assert await hit(store, neighbour) == {"n": 0}


def _neighbour(text: bytes) -> bytes:
    """Give another id of the same bucket."""
    bucket = int.from_bytes(digest_of(text), "big") % 1024
    return next(
        other
        for other in (b"n%d" % n for n in range(100_000))
        if int.from_bytes(digest_of(other), "big") % 1024 == bucket
    )


async def test_one_failed_record_of_a_batch_is_void_and_the_others_stay(
    node: FakeAerospike, store: AerospikeStore
) -> None:
    await come_of_age(store)
    ids = [b"r%d" % n for n in range(50)]
    await write(store, [part(Kind.UPSERT, dict.fromkeys(ids, b'{"n":0}'))])
    # Too long for the attempts of one call, and then gone.
    place = store._layout.place(NS).document(digest_of(b"r7"))
    node.be_busy(lambda seen: seen.kind == "write" and seen.is_on(place), times=4)
    await write(store, [part(Kind.UPSERT, dict.fromkeys(ids, b'{"n":1}'))])
    rows = (await store.read(NS, ids)).rows
    assert rows[7] is None
    # Its bucket is void, and so is whoever else is in it.
    assert rows.count(b'{"n":1}') > 40
