"""Writes and fetches of a store, in the words of its tests."""

import json
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path

from hevfast.batch.mirror import digest_of
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.store import Part, Store, Ticket, Touched

NS = b"books"
MIB = 1024 * 1024


def store_in(folder: Path, *, bytes_max: int = 64 * MIB, doubt_s: float = 0.05) -> LmdbStore:
    return LmdbStore(folder, bytes_max, lapse_s=60, doubt_s=doubt_s, digest_of=digest_of)


def touched(*ids: bytes) -> Touched:
    digests = {int.from_bytes(digest_of(text), "big") for text in ids}
    return Touched(NS, array("I", sorted(digests)).tobytes())


EVERYTHING = Touched(NS, None)


def upsert(**rows: object) -> list[Part]:
    return [part(Kind.UPSERT, {text.encode(): encoded(row) for text, row in rows.items()})]


def patch(**rows: object) -> list[Part]:
    return [part(Kind.PATCH, {text.encode(): encoded(row) for text, row in rows.items()})]


def part(kind: Kind, rows: Mapping[bytes, bytes | None]) -> Part:
    return kind, [(digest_of(text), text, row) for text, row in rows.items()]


def encoded(row: object) -> bytes:
    return json.dumps(row).encode()


async def begin(store: Store, *ids: bytes) -> Ticket:
    ticket = await store.begin(touched(*ids))
    assert ticket.token is not None
    return ticket


async def write(store: Store, parts: Iterable[Part]) -> None:
    parts = list(parts)
    ids = [text for _, rows in parts for _, text, _ in rows]
    await store.end(await begin(store, *ids), Outcome.APPLIED, parts)


async def hit(store: Store, text: bytes) -> object:
    """Give the cached row, or None."""
    found = await store.read(NS, [text])
    assert not found.broken
    row = found.rows[0]
    return None if row is None else json.loads(row)


async def fetch(store: Store, text: bytes, upstream: object) -> None:
    """Miss, and fill with what upstream gave."""
    found = await store.read(NS, [text])
    lease = found.leases[0]
    assert lease is not None
    await store.fill(lease, encoded(upstream))
