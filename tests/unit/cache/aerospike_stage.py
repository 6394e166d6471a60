"""Stores on a cluster under test, and short forms for what gateways do with them."""

import asyncio
import json
import os
import time
import uuid
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from hevfast.batch.mirror import digest_of
from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.merging import merged
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Part, Ticket, Touched
from tests.fakes.aerospike import FakeAerospike

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
    hosts: list[Host], set_prefix: str, *, registry_namespace: str = REGISTRY
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
    )


@asynccontextmanager
async def opened(
    hosts: list[Host], set_prefix: str, *, registry_namespace: str = REGISTRY
) -> AsyncIterator[AerospikeStore]:
    store = store_of(hosts, set_prefix, registry_namespace=registry_namespace)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def touched(*ids: bytes) -> Touched:
    digests = {int.from_bytes(digest_of(text), "big") for text in ids}
    return Touched(NS, array("I", sorted(digests)).tobytes())


def upsert(**rows: object) -> list[Part]:
    return [part(Kind.UPSERT, {text.encode(): encoded(row) for text, row in rows.items()})]


def patch(**rows: object) -> list[Part]:
    return [part(Kind.PATCH, {text.encode(): encoded(row) for text, row in rows.items()})]


def part(kind: Kind, rows: Mapping[bytes, bytes | None]) -> Part:
    return kind, [(digest_of(text), text, row) for text, row in rows.items()]


def encoded(row: object) -> bytes:
    return json.dumps(row).encode()


async def begin(store: AerospikeStore, *ids: bytes) -> Ticket:
    ticket = await store.begin(touched(*ids))
    assert ticket.token is not None
    return ticket


async def write(store: AerospikeStore, parts: Iterable[Part]) -> None:
    parts = list(parts)
    ids = [text for _, rows in parts for _, text, _ in rows]
    await store.end(await begin(store, *ids), Outcome.APPLIED, parts)


async def hit(store: AerospikeStore, text: bytes) -> object:
    """Give the cached row, or None."""
    found = await store.read(NS, [text])
    assert not found.broken
    row = found.rows[0]
    return None if row is None else json.loads(row)


async def fetch(store: AerospikeStore, text: bytes, upstream: object) -> None:
    """Miss, and fill with what upstream gave."""
    found = await store.read(NS, [text])
    lease = found.leases[0]
    assert lease is not None
    await store.fill(lease, encoded(upstream))


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
