"""The operations on a registry, as calls of the Aerospike client.

Every one of them is one call on one record, so it is atomic. Every one says that the record never
expires: one that does not would give it the namespace's default, and eviction may then take it. A
registry is created whole, by a call that fails if there is one; no other call creates it.
"""

import contextlib
import hashlib
import os
import sys
from array import array
from typing import Any, Final, NamedTuple

import aerospike
from aerospike import exception

# The client's own stubs leave its helpers out.
from aerospike_helpers import expressions as exp  # type: ignore[import-untyped]
from aerospike_helpers.batch import records as batch  # type: ignore[import-untyped]
from aerospike_helpers.operations import bitwise_operations as bit  # type: ignore[import-untyped]
from aerospike_helpers.operations import map_operations as maps
from aerospike_helpers.operations import operations as op

from hevfast.cache.aerospike_client import (
    BUSY,
    DONE,
    NOT_FOUND,
    REFUSED,
    Key,
    Policy,
    StoreFullError,
    StoreLostError,
    patiently,
)
from hevfast.cache.events import Finished
from hevfast.cache.keys import BUCKETS, DIGESTS_INLINE_MAX, ELSEWHERE, EVERYTHING, Bumps, Keys
from hevfast.cache.operations import Begin, DropTokens, Finish, Mature, Repair, Sweep
from hevfast.cache.registry import COUNTER_BYTES, EPOCH_BYTES, Fence, Registry, Token

Ops = list[dict[str, Any]]

# What a server takes in a set's name.
_SET_BYTES_MAX: Final = 63

TOKEN_BYTES: Final = 16

_NAMESPACE_BYTES: Final = 16
_COUNTER_BITS: Final = 8 * COUNTER_BYTES

# Tokens read at once; a record holds fewer.
_TOKENS_MAX: Final = 100_000

_NEVER: Final = aerospike.TTL_NEVER_EXPIRE
_UPDATE: Final[Policy] = {"ttl": _NEVER, "exists": aerospike.POLICY_EXISTS_UPDATE}
_CREATE: Final[Policy] = {"ttl": _NEVER, "exists": aerospike.POLICY_EXISTS_CREATE}
_KEY_ORDERED: Final[Policy] = {"map_order": aerospike.MAP_KEY_ORDERED}

# Keys that are looked for one by one in the tokens of others.
_WANTED_MAX: Final = 4

# Creations raced for before an operation is given up.
_RACES_MAX: Final = 3


class Span(NamedTuple):
    """The buckets whose counters are read: a range, since one read gives one blob."""

    first: int
    buckets: int

    @classmethod
    def of(cls, keys: Keys | None) -> "Span":
        """Give the span of these keys; all of it costs less than finding that of many."""
        if keys is None:
            return cls(0, 0)
        if len(keys) > DIGESTS_INLINE_MAX:
            return cls(0, BUCKETS)
        buckets = keys.buckets()
        first = min(buckets, default=0)
        return cls(first, max(buckets, default=-1) + 1 - first)

    @classmethod
    def read_by(cls, fence: Fence) -> "Span":
        return cls(fence.first, len(fence.counters) // COUNTER_BYTES)


class Place(NamedTuple):
    """Where the records of one gateway namespace are."""

    registry: Key
    documents: tuple[str, str]
    lists: tuple[str, str]
    prefix: bytes

    def document(self, digest: bytes) -> Key:
        return (*self.documents, bytearray(self.prefix + digest))

    def list_of(self, token: bytes) -> Key:
        return (*self.lists, bytearray(token))


class Layout(NamedTuple):
    """The store's namespaces and sets.

    A gateway namespace is a part of the keys, and has no set of its own: a server takes some
    thousand sets, keeps each name for ever, and none above 63 bytes.
    """

    documents: str
    registries: str
    set_prefix: str

    def place(self, namespace: bytes) -> Place:
        prefix = hashlib.blake2b(namespace, digest_size=_NAMESPACE_BYTES).digest()
        return Place(
            (self.registries, self.set_prefix + "registries", bytearray(prefix)),
            (self.documents, self.set_prefix + "documents"),
            # These expire, so they are with the documents. One that is evicted holds all keys.
            (self.documents, self.set_prefix + "lists"),
            prefix,
        )


def layout_of(namespace: str, registry_namespace: str | None, set_prefix: str) -> Layout:
    """Give the layout.

    Raises: ValueError if the prefix makes the names of the sets too long.
    """
    longest = len((set_prefix + "registries").encode())
    if longest > _SET_BYTES_MAX:
        raise ValueError(f"set prefix of {longest - len('registries')} bytes is too long")
    return Layout(namespace, registry_namespace or namespace, set_prefix)


# ---- writes


class Asked(NamedTuple):
    """An operation on a registry, to be done together with others or alone."""

    record: batch.BatchRecord
    # Records that go before it; it does not matter whether they can be stored.
    before: tuple[batch.BatchRecord, ...]
    span: Span
    # Digests of which a token must hold one to be of interest, as a token has them; none: any is.
    wanted: tuple[bytes, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(len(each.ops[0]["val"]) for each in self.before)

    def answers(self) -> dict[str, Any] | None:
        """Read what became of it, done together with others; None: it is to be done alone.

        Raises: StoreLostError, StoreFullError.
        """
        result = self.record.result
        if result == DONE:
            bins: dict[str, Any] = self.record.record[2]
            return bins
        if result in (NOT_FOUND, BUSY):
            return None
        if result in REFUSED:
            raise StoreFullError(f"an operation on the registry ended with {result}")
        raise StoreLostError(f"an operation on the registry ended with {result}")

    def alone(self, client: aerospike.Client) -> dict[str, Any]:
        """Do it with patience, after creating the registry if there is none."""
        return dict(_creating(client, self.record.key, self.record.ops))


def begin(place: Place, begun: Begin, list_life_s: int) -> Asked:
    """Insert a token. A list that cannot be stored is missed by none: it then holds all keys."""
    held = EVERYTHING if begun.keys is None else _packed(begun.keys)
    before: tuple[batch.BatchRecord, ...] = ()
    if begun.keys is not None and len(begun.keys) > DIGESTS_INLINE_MAX:
        policy = {"ttl": list_life_s, "exists": aerospike.POLICY_EXISTS_CREATE}
        write = batch.Write(place.list_of(begun.token), [op.write("d", held)], None, policy)
        before, held = (write,), ELSEWHERE
    span = Span.of(begun.keys)
    insert = maps.map_put("t", begun.token, begun.token + held, _KEY_ORDERED)
    record = batch.Write(place.registry, [insert, *_reads(span)], None, _UPDATE)
    return Asked(record, before, span, _wanted(begun.keys))


def _wanted(keys: Keys | None) -> tuple[bytes, ...]:
    if keys is None or len(keys) > _WANTED_MAX:
        return ()
    packed = _packed(keys)
    return tuple(packed[at : at + 4] for at in range(0, len(packed), 4))


def began(asked: Asked, bins: dict[str, Any]) -> Registry:
    """Read the answer to a begin; leave out tokens that surely hold none of its keys.

    Beside a hundred writes of other rows, making tokens of theirs would be most of a begin's cost.
    """
    wanted = asked.wanted
    if wanted:
        values = bins.get("t") or ()
        # Not looking where in it: one that holds none after all does no harm.
        bins["t"] = [
            value
            for value in values
            if len(value) == TOKEN_BYTES + 1
            or any(value.find(digest, TOKEN_BYTES) >= 0 for digest in wanted)
        ]
    return _registry(bins, asked.span)


def _packed(keys: Keys) -> bytes:
    """Give the digests in the order of bytes of the wire; they are sorted already."""
    if sys.byteorder == "little":
        return keys.digests
    digests = array("I", keys.digests)
    digests.byteswap()
    return digests.tobytes()


def look(client: aerospike.Client, place: Place, span: Span) -> Registry | None:
    reads = _reads(span)
    try:
        answers = client.operate_ordered(place.registry, reads)[2]
    except exception.RecordNotFound:
        return None
    return _registry(dict(answers), span)


def finish(place: Place, finished: Finish) -> Asked:
    ops = [*_bumps(finished.bumps), *_leave(finished.tokens), op.read("e")]
    return Asked(batch.Write(place.registry, ops, None, _UPDATE), (), Span(0, 0))


def finish_alone(client: aerospike.Client, asked: Asked) -> dict[str, Any]:
    """Do a finish with patience."""
    with contextlib.suppress(exception.RecordNotFound):
        return dict(_operate(client, asked.record.key, asked.record.ops, _UPDATE))
    return {}


def finished(bins: dict[str, Any]) -> Finished:
    """Read the answer to a finish; no bins: there is no registry."""
    return Finished(bool(bins.get("t")), bins.get("e") or b"")


def repair(client: aerospike.Client, place: Place, repaired: Repair) -> None:
    ops = [*_bumps(repaired.bumps), *_leave(repaired.tokens)]
    # A write of no rows has nothing to bump.
    if ops:
        _creating(client, place.registry, ops)


def drop_tokens(client: aerospike.Client, place: Place, dropped: DropTokens) -> None:
    with contextlib.suppress(exception.RecordNotFound):
        _operate(client, place.registry, _leave(dropped.tokens), _UPDATE)


def remove(client: aerospike.Client, place: Place) -> None:
    with contextlib.suppress(exception.RecordNotFound):
        patiently(lambda: client.remove(place.registry))


# ---- upkeep


def create(client: aerospike.Client, place: Place, span: Span) -> Registry:
    return _registry(dict(_creating(client, place.registry, _reads(span))), span)


def sweep(client: aerospike.Client, place: Place, swept: Sweep) -> None:
    there = exp.MapGetByKey(
        None, aerospike.MAP_RETURN_EXISTS, exp.ResultType.BOOLEAN, swept.token, exp.MapBin("t")
    )
    _conditionally(client, place, [*_bumps(swept.bumps), *_leave((swept.token,))], there)


def mature(client: aerospike.Client, place: Place, matured: Mature) -> None:
    # The epoch, too: a registry that was lost meanwhile has not come of age with this one.
    young = exp.And(
        exp.Eq(exp.IntBin("y"), 1),
        exp.Eq(exp.BlobBin("e"), matured.epoch),
    )
    _conditionally(client, place, [op.write("y", 0), op.increment("a", 1)], young)


def _conditionally(client: aerospike.Client, place: Place, ops: Ops, condition: Any) -> None:
    with contextlib.suppress(exception.RecordNotFound, exception.FilteredOut):
        _operate(client, place.registry, ops, _UPDATE | {"expressions": condition.compile()})


# ---- their parts


def _creating(client: aerospike.Client, key: Key, ops: Ops) -> list[tuple[str, Any]]:
    """Do operations on the registry, after creating it if there is none; in one call either way."""
    for _ in range(_RACES_MAX):
        with contextlib.suppress(exception.RecordNotFound):
            return _operate(client, key, ops, _UPDATE)
        with contextlib.suppress(exception.RecordExistsError):
            return _operate(client, key, [*_creation(), *ops], _CREATE)
    raise StoreLostError("the registry comes and goes")


def _creation() -> Ops:
    return [
        # Drawn each time: an epoch used twice would make old records valid again.
        op.write("e", os.urandom(EPOCH_BYTES)),
        op.write("y", 1),
        op.write("a", 0),
        op.write("b", bytes(COUNTER_BYTES * BUCKETS)),
    ]


def _operate(client: aerospike.Client, key: Key, ops: Ops, policy: Policy) -> list[tuple[str, Any]]:
    """Do operations in order; give a pair for each."""

    def call() -> list[tuple[str, Any]]:
        answers: list[tuple[str, Any]] = client.operate_ordered(key, ops, {}, policy)[2]
        return answers

    return patiently(call)


def _reads(span: Span) -> Ops:
    """The reads of a begin. Values of tokens hold the token: one list decodes faster than a map."""
    values = aerospike.MAP_RETURN_VALUE
    tokens = maps.map_get_by_index_range("t", 0, _TOKENS_MAX, values)
    return [op.read("e"), op.read("y"), op.read("a"), tokens, *counters(span)]


def counters(span: Span) -> Ops:
    if not span.buckets:
        return []
    return [bit.bit_get("b", _COUNTER_BITS * span.first, _COUNTER_BITS * span.buckets)]


def _registry(bins: dict[str, Any], span: Span) -> Registry:
    """Make a registry of the answers to `_reads`: of several of one bin, the last one counts."""
    counters = bins["b"] if span.buckets else b""
    return Registry(
        Fence(bins["e"], bins["a"], counters, span.first),
        bool(bins["y"]),
        tuple(Token(value[:TOKEN_BYTES], value[TOKEN_BYTES:]) for value in bins.get("t") or ()),
    )


def _bumps(bumps: Bumps) -> Ops:
    if bumps.whole:
        return [op.increment("a", 1)]
    wrap = aerospike.BIT_OVERFLOW_WRAP
    return [
        bit.bit_add("b", _COUNTER_BITS * bucket, _COUNTER_BITS, 1, False, wrap)
        for bucket in sorted(bumps.buckets)
    ]


def _leave(tokens: tuple[bytes, ...]) -> Ops:
    """Take tokens out, and tell whether the first was there: of several answers the last counts."""
    count = aerospike.MAP_RETURN_COUNT
    return [maps.map_remove_by_key("t", token, count) for token in reversed(tokens)]
