"""Outages of a cluster under test, and what has to hold after each."""

import time
from collections.abc import Awaitable, Callable

from hevfast.cache.aerospike_store import AerospikeStore
from tests.fakes.aerospike import Code, FakeAerospike, Seen
from tests.unit.cache.aerospike_stage import (
    DOCUMENTS,
    REGISTRY,
    hit,
    tend_late,
    until_answering,
    upsert,
    write,
)

# Seconds. What a call may take that has 0.2 s, on a machine that is busy.
LATE_S = 0.6


def on_documents(seen: Seen) -> bool:
    return seen.set_name.endswith("documents")


def on_registry(seen: Seen) -> bool:
    return seen.set_name.endswith("registries")


def written(match: Callable[[Seen], bool]) -> Callable[[Seen], bool]:
    return lambda seen: match(seen) and seen.kind != "read"


async def in_time(call: Awaitable[object]) -> object:
    begun_s = time.monotonic()
    result = await call
    assert time.monotonic() - begun_s < LATE_S
    return result


Fault = Callable[[FakeAerospike], object]

# Of the node as a whole.
OUTAGES: dict[str, Fault] = {
    "killed": lambda node: node.kill(),
    "frozen": lambda node: node.freeze(),
    "full": lambda node: (node.fill(DOCUMENTS), node.fill(REGISTRY)),
    "documents full": lambda node: node.fill(DOCUMENTS),
    "registries full": lambda node: node.fill(REGISTRY),
    "busy": lambda node: node.be_busy(times=None),
    "overloaded": lambda node: node.fail(Code.DEVICE_OVERLOAD, times=None),
    "forming": lambda node: node.fail(Code.CLUSTER_FORMING, times=None),
    "silent": lambda node: node.drop_reply(times=None),
    "closing": lambda node: node.close(times=None),
    "closing late": lambda node: node.close(times=None, applied=True),
    "emptied": lambda node: node.restart(),
    "registry lost": lambda node: node.lose_set(REGISTRY, set_of(node)),
}


def set_of(node: FakeAerospike) -> str:
    return next(seen.set_name for seen, _ in node.journal if on_registry(seen))


def heal(node: FakeAerospike, outage: str) -> None:
    node.faults.clear()
    node.thaw()
    for namespace in (DOCUMENTS, REGISTRY):
        node.make_room(namespace)
    if outage == "killed":
        node.restart(keep_data=True)


async def never_older(store: AerospikeStore, *rows: object) -> None:
    """Once the store answers, there is no hit or a hit of one of these rows; and then it caches."""
    await until_answering(store)
    assert await hit(store, b"a") in (None, *rows)
    # A begin that nobody heard of may have left its token, or may do so yet.
    await write(store, upsert(a={"n": 9}))
    assert await hit(store, b"a") in (None, {"n": 9})
    await tend_late(store)
    await write(store, upsert(a={"n": 10}))
    assert await hit(store, b"a") == {"n": 10}


def puts(node: FakeAerospike) -> int:
    """Count the documents that were put, or were to be."""
    return sum(seen.kind == "write" and on_documents(seen) for seen, _ in tuple(node.journal))
