"""Cards of the hosts that share a cluster, in one record; and a record of each namespace's mark.

None of them expires. Each number of a mark has its own condition, so that of two hosts that raise
it at once the larger one stays.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import aerospike
from aerospike import exception

# The client's own stubs leave its helpers out.
from aerospike_helpers import expressions as exp  # type: ignore[import-untyped]
from aerospike_helpers.batch import records as batch  # type: ignore[import-untyped]
from aerospike_helpers.operations import map_operations as maps  # type: ignore[import-untyped]
from aerospike_helpers.operations import operations as op

from hevfast.cache.aerospike_client import (
    DONE,
    AerospikeCluster,
    Job,
    Key,
    Policy,
    StoreFullError,
    StoreLostError,
    do_batch,
    patiently,
)
from hevfast.cache.cards import Cards, SharedMark

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")

NAME_BYTES: Final = 16
_EPOCH_BYTES: Final = 8

# Hosts at most: their cards of two kibibytes fit into one record with room to spare.
_HOSTS_MAX: Final = 256

# Seconds an exchange may take.
_DEADLINE_S: Final = 0.5

# Creations raced for before an exchange is given up.
_RACES_MAX: Final = 3

_NEVER: Final = aerospike.TTL_NEVER_EXPIRE
_UPDATE: Final[Policy] = {"ttl": _NEVER, "exists": aerospike.POLICY_EXISTS_UPDATE}
_CREATE: Final[Policy] = {"ttl": _NEVER, "exists": aerospike.POLICY_EXISTS_CREATE}
_ORDERED: Final[Policy] = {"map_order": aerospike.MAP_KEY_ORDERED}


class AerospikePeers:
    """The record, by a client of its own: what waits for documents must not hold it up."""

    def __init__(
        self, hosts: Sequence[tuple[str, int]], namespace: str, set_prefix: str, cluster_name: str
    ) -> None:
        self._cluster = AerospikeCluster(hosts, cluster_name)
        self._place = namespace, set_prefix + "peers"
        self._key: Key = (*self._place, bytearray(b"cards"))

    def __repr__(self) -> str:
        return f"<AerospikePeers {self._cluster!r}>"

    async def open(self) -> None:
        await self._cluster.open()

    async def close(self) -> None:
        await self._cluster.close()

    async def exchange(
        self, name: bytes, card: bytes | None, gone: Sequence[bytes]
    ) -> Cards | None:
        job = partial(_exchange, key=self._key, name=name, card=card, gone=tuple(gone))
        return await self._done(job)

    async def mature(self, epoch: bytes) -> None:
        await self._done(partial(_mature, key=self._key, epoch=epoch))

    async def marks(self, namespaces: Sequence[bytes]) -> Mapping[bytes, SharedMark]:
        keys = {namespace: self._mark_key(namespace) for namespace in namespaces}
        return await self._done(partial(_marks, keys=keys)) or {}

    async def show(self, marks: Mapping[bytes, SharedMark]) -> None:
        pairs = [(self._mark_key(namespace), mark) for namespace, mark in marks.items()]
        await self._done(partial(_show, marks=pairs))

    def _mark_key(self, namespace: bytes) -> Key:
        digest = hashlib.blake2b(namespace, digest_size=NAME_BYTES).digest()
        return (*self._place, bytearray(b"mark" + digest))

    async def _done(self, job: Job[T]) -> T | None:
        try:
            deadline_s = asyncio.get_running_loop().time() + _DEADLINE_S
            return await self._cluster.call(job, deadline_s)
        except (StoreLostError, StoreFullError) as error:
            LOGGER.debug("the hosts' cards were not exchanged: %s", error)
            return None


def _exchange(
    client: aerospike.Client, key: Key, name: bytes, card: bytes | None, gone: Sequence[bytes]
) -> Cards:
    count = aerospike.MAP_RETURN_COUNT
    ops: list[dict[str, Any]] = [maps.map_remove_by_key("c", other, count) for other in gone]
    if card is not None:
        ops.append(maps.map_put("c", name, name + card, _ORDERED))
    ops += [
        op.read("e"),
        op.read("y"),
        maps.map_get_by_index_range("c", 0, _HOSTS_MAX, aerospike.MAP_RETURN_VALUE),
    ]
    if card is None:
        return _cards(_operate(client, key, ops, {}))
    creation = [op.write("e", os.urandom(_EPOCH_BYTES)), op.write("y", 1)]
    for _ in range(_RACES_MAX):
        with contextlib.suppress(exception.RecordNotFound):
            return _cards(_operate(client, key, ops, _UPDATE))
        with contextlib.suppress(exception.RecordExistsError):
            return _cards(_operate(client, key, [*creation, *ops], _CREATE))
    raise StoreLostError("the record of cards comes and goes")


def _marks(client: aerospike.Client, keys: Mapping[bytes, Key]) -> dict[bytes, SharedMark]:
    names = ("w", "a", "s", "r")
    reads = [batch.Read(key, [op.read(name) for name in names]) for key in keys.values()]
    do_batch(client, reads, small=True)
    found = {}
    for namespace, read in zip(keys, reads, strict=True):
        if read.result == DONE:
            bins = read.record[2]
            found[namespace] = SharedMark(*(int(bins.get(name) or 0) for name in names))
    return found


def _show(client: aerospike.Client, marks: Sequence[tuple[Key, SharedMark]]) -> None:
    writes = []
    for key, mark in marks:
        writes += [
            _raising(key, "w", mark.moment_ms),
            _raising(key, "a", mark.asked_ms, op.write("s", mark.standing)),
            _raising(key, "r", mark.restarted_ms),
        ]
    do_batch(client, writes, small=True)


def _raising(key: Key, name: str, number: int, *beside: dict[str, Any]) -> batch.Write:
    larger = exp.LT(exp.IntBin(name), number)
    raised = exp.Or(exp.Not(exp.BinExists(name)), larger).compile()
    policy = {"ttl": _NEVER, "expressions": raised}
    return batch.Write(key, [op.write(name, number), *beside], None, policy)


def _mature(client: aerospike.Client, key: Key, epoch: bytes) -> None:
    same = exp.Eq(exp.BlobBin("e"), epoch).compile()
    with contextlib.suppress(exception.RecordNotFound, exception.FilteredOut):
        _operate(client, key, [op.write("y", 0)], _UPDATE | {"expressions": same})


def _operate(
    client: aerospike.Client, key: Key, ops: list[dict[str, Any]], policy: Policy
) -> list[tuple[str, Any]]:
    def call() -> list[tuple[str, Any]]:
        answers: list[tuple[str, Any]] = client.operate_ordered(key, ops, {}, policy)[2]
        return answers

    return patiently(call)


def _cards(answers: list[tuple[str, Any]]) -> Cards:
    bins = dict(answers)
    cards = {bytes(each[:NAME_BYTES]): bytes(each[NAME_BYTES:]) for each in bins.get("c") or ()}
    return Cards(bytes(bins["e"]), bool(bins["y"]), cards)
