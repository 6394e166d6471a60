"""The operations on documents, as calls of the Aerospike client: some hundred records a call.

A record belongs to a digest, and names its id: two ids of one digest push each other out, and
neither is served for the other. So whoever knows digests only can remove records all the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import aerospike
from aerospike import exception

# The client's own stubs leave its helpers out.
from aerospike_helpers import expressions as exp  # type: ignore[import-untyped]
from aerospike_helpers.batch import records as batch  # type: ignore[import-untyped]
from aerospike_helpers.operations import map_operations as maps  # type: ignore[import-untyped]
from aerospike_helpers.operations import operations as op

from hevfast.cache import aerospike_registry as registry
from hevfast.cache.aerospike_client import (
    BUSY,
    DONE,
    NOT_FOUND,
    REFUSED,
    Policy,
    StoreLostError,
    do_batch,
)
from hevfast.cache.aerospike_group import CALL_BYTES_MAX, CALL_RECORDS_MAX
from hevfast.cache.aerospike_registry import TOKEN_BYTES, Layout, Place, Span
from hevfast.cache.keys import BUCKETS, Keys
from hevfast.cache.operations import Deed, Mirror
from hevfast.cache.records import Lease, Record, fill_op, is_hit, lease_op
from hevfast.cache.registry import Fence

# Digest, id text, and the row or patch.
MirroredRow = tuple[bytes, bytes, bytes | None]
Merge = Callable[[bytes, bytes], bytes | None]

# Seconds that a fetch has for upstream's answer before another may take its lease.
_LEASE_S: Final = 10

# Lifetimes in use. Records that all end at once are never evicted: eviction takes whole slices.
_LIVES: Final = 1024

STAMP_BYTES: Final = 28

_CREATE: Final = aerospike.POLICY_EXISTS_CREATE
_PUT: Final = aerospike.POLICY_EXISTS_CREATE_OR_REPLACE
_REPLACE: Final = aerospike.POLICY_EXISTS_REPLACE


def _write(name: str, value: bytes) -> dict[str, Any]:
    # What `operations.write` gives, at a third of the price: a batch has three a row.
    return {"op": aerospike.OPERATOR_WRITE, "bin": name, "val": value}


class Lives:
    """How long records live: at least so long, at most twice; one policy for each lifetime."""

    __slots__ = ("_puts", "_seconds")

    def __init__(self, record_life_s: int) -> None:
        self._seconds = [record_life_s + record_life_s * step // _LIVES for step in range(_LIVES)]
        self._puts = [{"exists": _PUT, "ttl": seconds} for seconds in self._seconds]

    def put(self, digest: int) -> Policy:
        # The lowest bits are the bucket, and a batch has few of those as a rule.
        return self._puts[digest // BUCKETS % _LIVES]

    def seconds(self, digest: int) -> int:
        return self._seconds[digest // BUCKETS % _LIVES]


def check(client: aerospike.Client, layout: Layout) -> None:
    """Put a record that expires soon. A server that does not look for expired ones refuses it."""
    key = layout.place(b"").document(b"")
    client.put(key, {"k": b"check"}, {}, {"exists": _PUT, "ttl": _LEASE_S})


# ---- writes


class Call(NamedTuple):
    """Some rows of a batch, by number, and the bytes of their values."""

    numbers: list[int]
    bytes: int


def calls_of(mirror: Mirror, rows: Sequence[MirroredRow]) -> Iterator[Call]:
    """Cut a batch into calls."""
    bases = {row: len(base) for row, base in mirror.bases}
    numbers: list[int] = []
    size = 0
    for row, deed in enumerate(mirror.deeds):
        if deed == Deed.LEAVE:
            continue
        value = rows[row][2] if row < len(rows) and deed != Deed.REMOVE else None
        row_bytes = (len(value) if value is not None else 0) + bases.get(row, 0)
        if numbers and (len(numbers) == CALL_RECORDS_MAX or size + row_bytes > CALL_BYTES_MAX):
            yield Call(numbers, size)
            numbers, size = [], 0
        numbers.append(row)
        size += row_bytes
    if numbers:
        yield Call(numbers, size)


class Mirroring(NamedTuple):
    """A batch to be put: what its calls share."""

    place: Place
    mirror: Mirror
    # Rows of the write; keys beyond them are removed.
    rows: Sequence[MirroredRow]
    bases: Mapping[int, bytes]
    merge: Merge | None
    lives: Lives

    def records(self, left: Mapping[int, bool]) -> list[batch.BatchRecord]:
        """Give the records of rows; True: it is to be removed, whatever was asked for."""
        digests, prefix = self.mirror.keys.view(), self.mirror.fence.prefix()
        return [self._record(row, digests[row], prefix, removed) for row, removed in left.items()]

    def _record(self, row: int, digest: int, prefix: bytes, removed: bool) -> batch.BatchRecord:
        key = self.place.document(digest.to_bytes(4, "big"))
        value = None if removed else self._value(row)
        if value is None:
            return batch.Remove(key)
        # The fence's stamp; a batch has the beginning of it in common.
        stamp = prefix + self.mirror.fence.counter(digest % BUCKETS)
        ops = [_write("v", value), _write("f", stamp), _write("k", self.rows[row][1])]
        return batch.Write(key, ops, None, self.lives.put(digest))

    def _value(self, row: int) -> bytes | None:
        deed = self.mirror.deeds[row]
        if deed == Deed.REMOVE or row >= len(self.rows):
            return None
        value = self.rows[row][2]
        if deed == Deed.PUT or value is None:
            return value
        return self.merge(self.bases[row], value) if self.merge is not None else None


class Left(NamedTuple):
    """What a call has left: rows for another one, as in `Mirroring.records`, and rows in doubt."""

    again: dict[int, bool]
    unconfirmed: list[int]


def left_of(asked: Mapping[int, bool], records: Sequence[batch.BatchRecord]) -> Left:
    """Read the results of records.

    A row that the server refuses, since it is too large or the store is full, is to be removed:
    that it can always do.
    """
    left = Left({}, [])
    for (row, removed), record in zip(asked.items(), records, strict=True):
        result = record.result
        if result in (DONE, NOT_FOUND):
            continue
        if result == BUSY or (result in REFUSED and not removed):
            left.again[row] = removed or result != BUSY
        else:
            left.unconfirmed.append(row)
    return left


def base_reads(place: Place, keys: Keys, numbers: Sequence[int]) -> list[batch.BatchRecord]:
    """Give the reads of the records that patches may be merged onto."""
    digests = keys.view()
    return [
        batch.Read(place.document(digests[row].to_bytes(4, "big")), None, True) for row in numbers
    ]


def bases_of(
    rows: Sequence[MirroredRow], numbers: Sequence[int], reads: Sequence[batch.BatchRecord]
) -> list[tuple[int, Record]]:
    """Give the records read, as far as they are of these rows."""
    return [
        (row, record)
        for row, read in zip(numbers, reads, strict=True)
        if (record := _record(read)) is not None and _id_of(read) == rows[row][1]
    ]


def _record(read: batch.BatchRecord) -> Record | None:
    if read.result != DONE:
        return None
    _, meta, bins = read.record
    return Record(bins.get("v"), bins.get("f"), bins.get("l"), meta["gen"])


def _id_of(read: batch.BatchRecord) -> bytes | None:
    text: bytes | None = read.record[2].get("k")
    return text


# ---- fetches


class Seen(NamedTuple):
    """What a read saw: rows, the marks of leases that were had, and whether to look again."""

    rows: list[bytes | None]
    marks: list[bytes | None]
    # Tokens are there, or the registry is young.
    busy: bool


def look_up(
    client: aerospike.Client, place: Place, named: Sequence[tuple[bytes, bytes]], lease: bytes
) -> Seen:
    """Read some documents, and lease those that are missing. `named`: digests and ids."""
    numbers = [int.from_bytes(digest, "big") for digest, _ in named]
    span = Span.of(Keys.of(numbers))
    size = maps.map_size("t")
    shelf = [op.read("e"), op.read("y"), op.read("a"), size, *registry.counters(span)]
    reads = [
        batch.Read(place.registry, shelf),
        *(batch.Read(place.document(digest), None, True) for digest, _ in named),
    ]
    do_batch(client, reads)
    fence, busy = _fence(reads[0], span)
    rows: list[bytes | None] = []
    wanted: list[tuple[int, Record | None]] = []
    for index, (number, (_, text), read) in enumerate(zip(numbers, named, reads[1:], strict=True)):
        record = _record(read)
        ours = record is not None and _id_of(read) == text
        if ours and record is not None and is_hit(record, fence, number % BUCKETS):
            rows.append(record.value)
            continue
        rows.append(None)
        if read.result in (DONE, NOT_FOUND):
            wanted.append((index, record))
    marks: list[bytes | None] = [None] * len(named)
    if wanted:
        if fence is None:
            fence, busy = _created(client, place, span), True
        for index in _leased(client, place, named, wanted, lease) if fence is not None else ():
            stamp = fence.stamp(numbers[index] % BUCKETS) if fence is not None else b""
            marks[index] = lease + stamp + named[index][1]
    return Seen(rows, marks, busy)


def _fence(read: batch.BatchRecord, span: Span) -> tuple[Fence | None, bool]:
    if read.result == NOT_FOUND:
        return None, False
    if read.result != DONE:
        raise StoreLostError(f"reading the registry ended with {read.result}")
    bins = read.record[2]
    fence = Fence(bins["e"], bins["a"], bins.get("b") or b"", span.first)
    return fence, bool(bins["y"] or bins.get("t"))


def _created(client: aerospike.Client, place: Place, span: Span) -> Fence | None:
    try:
        return registry.create(client, place, span).fence
    except (exception.AerospikeError, StoreLostError):
        # The read goes on without leases: there is no room, say.
        return None


def _leased(
    client: aerospike.Client,
    place: Place,
    named: Sequence[tuple[bytes, bytes]],
    wanted: Iterable[tuple[int, Record | None]],
    lease: bytes,
) -> list[int]:
    """Write leases; give the indices of those that were had."""
    asked = []
    for index, record in wanted:
        asking = lease_op(record, lease)
        if asking is None:
            continue
        meta = None if asking.over is None else {"gen": asking.over}
        policy: Policy = {"exists": _CREATE, "ttl": _LEASE_S}
        if meta is not None:
            policy = {"gen": aerospike.POLICY_GEN_EQ, "exists": _PUT, "ttl": _LEASE_S}
        ops = [op.write("l", asking.lease)]
        asked.append((index, batch.Write(place.document(named[index][0]), ops, meta, policy)))
    if not asked:
        return []
    try:
        do_batch(client, [write for _, write in asked])
    except StoreLostError:
        # A lease in doubt serves nothing, and ends by itself.
        return []
    return [index for index, write in asked if write.result == DONE]


def fill(
    client: aerospike.Client, place: Place, digest: bytes, mark: bytes, row: bytes, lives: Lives
) -> None:
    """Keep a row, if its lease is still there: `mark` is as `look_up` gave it."""
    lease, rest = mark[:TOKEN_BYTES], mark[TOKEN_BYTES:]
    filled = fill_op(Lease(lease, rest[:STAMP_BYTES]), row)
    policy = {
        # Not "update", which would leave the lease in the record; and on a missing record the
        # condition is not looked at.
        "exists": _REPLACE,
        "expressions": exp.Eq(exp.BlobBin("l"), filled.lease).compile(),
        "ttl": lives.seconds(int.from_bytes(digest, "big")),
    }
    bins = {"v": filled.value, "f": filled.stamp, "k": rest[STAMP_BYTES:]}
    try:
        client.put(place.document(digest), bins, {}, policy)
    except exception.AerospikeError as error:
        if error.code not in (*REFUSED, NOT_FOUND, BUSY) and not isinstance(
            error, exception.FilteredOut
        ):
            raise


def list_reads(place: Place, tokens: Sequence[bytes]) -> list[batch.BatchRecord]:
    """Give the reads of the digest lists of tokens."""
    return [batch.Read(place.list_of(token), [op.read("d")]) for token in tokens]


def lists_of(tokens: Sequence[bytes], reads: Sequence[batch.BatchRecord]) -> dict[bytes, bytes]:
    """Give the digest lists that were found."""
    return {
        token: read.record[2]["d"]
        for token, read in zip(tokens, reads, strict=True)
        if read.result == DONE
    }
