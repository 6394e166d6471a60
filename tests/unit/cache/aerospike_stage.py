"""Stores on a cluster under test, and short forms for what gateways do with them."""

import asyncio
import os
import time
import uuid
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hevfast.batch.mirror import digest_of
from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.course import Mode
from hevfast.cache.merging import merged
from hevfast.cache.rows import Outcome
from hevfast.cache.store import Touched
from tests.fakes.aerospike import FakeAerospike
from tests.unit.cache.writes import begin as begin
from tests.unit.cache.writes import encoded as encoded
from tests.unit.cache.writes import fetch as fetch
from tests.unit.cache.writes import hit as hit
from tests.unit.cache.writes import part as part
from tests.unit.cache.writes import patch as patch
from tests.unit.cache.writes import upsert as upsert
from tests.unit.cache.writes import write as write

REAL = os.environ.get("HEVFAST_TEST_AEROSPIKE", "")

DOCUMENTS = "hevlayer"
REGISTRY = "hevlayer_registry"
NS = b"books"
EVERYTHING = Touched(NS, None)

# Seconds. The longest wait for something that should happen soon.
WAIT_S = 20.0

Host = tuple[str, int]


def hosts_of(node: FakeAerospike | None) -> list[Host]:
    if node is not None:
        return node.hosts
    host, _, port = REAL.rpartition(":")
    return [(host, int(port))]


def fresh_prefix() -> str:
    """Sets that only one test uses."""
    return f"t{uuid.uuid4().hex[:12]}_"


def store_of(
    hosts: list[Host],
    set_prefix: str,
    *,
    registry_namespace: str = REGISTRY,
    mode: Mode = Mode.OPEN,
) -> AerospikeStore:
    return AerospikeStore(
        hosts,
        DOCUMENTS,
        lapse_s=60,
        doubt_s=0.05,
        digest_of=digest_of,
        merge=merged,
        registry_namespace=registry_namespace,
        set_prefix=set_prefix,
        mode=mode,
    )


@asynccontextmanager
async def opened(
    hosts: list[Host],
    set_prefix: str,
    *,
    registry_namespace: str = REGISTRY,
    mode: Mode = Mode.OPEN,
) -> AsyncIterator[AerospikeStore]:
    store = store_of(hosts, set_prefix, registry_namespace=registry_namespace, mode=mode)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def touched(*ids: bytes) -> Touched:
    digests = {int.from_bytes(digest_of(text), "big") for text in ids}
    return Touched(NS, array("I", sorted(digests)).tobytes())


async def tend_late(store: AerospikeStore) -> None:
    """Tend as if all that is there had been there for long."""
    store._lapse_ms, lapse_ms = -1, store._lapse_ms
    await store._tend()
    store._lapse_ms = lapse_ms


async def come_of_age(store: AerospikeStore) -> None:
    """Let the namespace's registry be one that patches may be merged in."""
    await write(store, upsert(first={}))
    await tend_late(store)
    ticket = await begin(store, b"first")
    assert ticket.may_merge
    await store.end(ticket, Outcome.REJECTED, [])


async def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.01)


async def until_answering(store: AerospikeStore) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while (await store.read(NS, [b"-"])).broken:
        assert time.monotonic() < deadline_s, "the store did not come back"
        await asyncio.sleep(0.01)
