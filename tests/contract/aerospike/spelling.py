"""How the cache's operations are written with the client, and short forms for the tests."""

import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import aerospike
import pytest
from aerospike_helpers import expressions as exp
from aerospike_helpers.batch import records as br
from aerospike_helpers.operations import bitwise_operations as bit
from aerospike_helpers.operations import expression_operations as eo
from aerospike_helpers.operations import map_operations as mp
from aerospike_helpers.operations import operations as op

DOCUMENTS = "hevlayer"
REGISTRY = "hevlayer_registry"

Key = tuple[str, str, str]
Policy = dict[str, Any]
Ops = list[dict[str, Any]]

NEVER = aerospike.TTL_NEVER_EXPIRE
UPSERT: Policy = {"ttl": NEVER}
UPDATE: Policy = {"ttl": NEVER, "exists": aerospike.POLICY_EXISTS_UPDATE}
CREATE: Policy = {"exists": aerospike.POLICY_EXISTS_CREATE}
REPLACE: Policy = {"exists": aerospike.POLICY_EXISTS_REPLACE}
PUT: Policy = {"exists": aerospike.POLICY_EXISTS_CREATE_OR_REPLACE}
ONCE_BITS: Policy = {
    "bit_write_flags": aerospike.BIT_WRITE_CREATE_ONLY | aerospike.BIT_WRITE_NO_FAIL
}
ONCE = aerospike.EXP_WRITE_CREATE_ONLY | aerospike.EXP_WRITE_POLICY_NO_FAIL
KEY_ORDERED: Policy = {"map_order": aerospike.MAP_KEY_ORDERED}

BUCKETS = 1024
TOKEN = b"token-0123456789"
ENTRY = [b"session", 1, b"digests"]


def blob_once(name: str, data: bytes) -> dict[str, Any]:
    """Write a blob only if its bin is absent. The client's own spelling of it warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return bit.bit_insert(name, 0, len(data), data, ONCE_BITS)


def create(epoch: bytes | None = None) -> Ops:
    """The operations that make a registry if it isn't there, and leave it if it is."""
    return [
        blob_once("e", epoch or os.urandom(8)),
        eo.expression_write("y", exp.Add(1, 0).compile(), ONCE),
        bit.bit_resize("b", 4 * BUCKETS, ONCE_BITS),
        op.increment("a", 0),
    ]


def register(token: bytes = TOKEN) -> Ops:
    return [mp.map_put("t", token, ENTRY, KEY_ORDERED)]


def counter(bucket: int) -> dict[str, Any]:
    return bit.bit_get_int("b", 32 * bucket, 32, False)


def look(*buckets: int) -> Ops:
    """The reads of a begin."""
    return [*(op.read(name) for name in "eyat"), *map(counter, buckets)]


def bump(*buckets: int) -> Ops:
    wrap = aerospike.BIT_OVERFLOW_WRAP
    return [bit.bit_add("b", 32 * bucket, 32, 1, False, wrap) for bucket in buckets]


def leave(token: bytes = TOKEN) -> Ops:
    """The end of a finish: take the token out, tell if it was there, read the epoch."""
    return [mp.map_remove_by_key("t", token, aerospike.MAP_RETURN_COUNT), op.read("e")]


def operate(client: aerospike.Client, key: Key, ops: Ops, policy: Policy | None = None) -> Any:
    """Do operations in order; give the results as a list of pairs."""
    return client.operate_ordered(key, ops, None, policy or {})[2]


def begin(client: aerospike.Client, key: Key, *buckets: int, token: bytes = TOKEN) -> Any:
    return operate(client, key, create() + register(token) + look(*buckets), UPSERT)


def finish(client: aerospike.Client, key: Key, *buckets: int, policy: Policy = UPDATE) -> Any:
    return operate(client, key, bump(*buckets) + leave(), policy)


def when(expression: Any) -> Policy:
    """A policy with a filter."""
    return {"expressions": expression.compile()}


def token_there(token: bytes = TOKEN) -> Any:
    kind = exp.ResultType.BOOLEAN
    return exp.MapGetByKey(None, aerospike.MAP_RETURN_EXISTS, kind, token, exp.MapBin("t"))


def write(key: Key, bins: dict[str, Any], policy: Policy | None = None, **meta: Any) -> br.Write:
    """A batch's write of bins."""
    return br.Write(key, [op.write(*pair) for pair in bins.items()], meta or None, policy)


def do(client: aerospike.Client, *rows: br.BatchRecord, policy: Policy | None = None) -> list[int]:
    """Do a batch; give its own result, then each record's."""
    batch = br.BatchRecords(list(rows))
    client.batch_write(batch, policy or {})
    return [batch.result, *(row.result for row in rows)]


def bins_of(client: aerospike.Client, key: Key) -> dict[str, Any]:
    return client.get(key)[2]


def generation(client: aerospike.Client, key: Key) -> int:
    return client.exists(key)[1]["gen"]


def code_of(call: Callable[..., object], *arguments: Any) -> int:
    """Give the code a call fails with, or 0."""
    try:
        call(*arguments)
    except aerospike.exception.AerospikeError as error:
        return int(error.code)
    return 0


def refused(code: int, call: Callable[..., object], *arguments: Any) -> None:
    __tracebackhide__ = True
    found = code_of(call, *arguments)
    if found != code:
        pytest.fail(f"code {found} instead of {code}")


def missing(client: aerospike.Client, keys: Iterable[Key]) -> bool:
    return all(client.exists(key)[1] is None for key in keys)
