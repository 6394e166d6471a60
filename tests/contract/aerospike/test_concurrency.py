"""Operations of several threads on one record: each is atomic, none is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aerospike
import pytest
from aerospike_helpers.operations import operations as op

from .spelling import (
    NEVER,
    UPDATE,
    UPSERT,
    Key,
    bins_of,
    bump,
    code_of,
    create,
    leave,
    look,
    operate,
    register,
)

THREADS = 8
ROUNDS = 25


def insist(client: aerospike.Client, key: Key, ops: list[dict[str, Any]], policy: Any) -> Any:
    """Operate until the record is not busy, as a server says if too many wait for it."""
    while True:
        try:
            return operate(client, key, ops, policy)
        except aerospike.exception.RecordBusy:
            continue


def test_begin_and_finish_of_many_writers(client: aerospike.Client, registry: Key) -> None:
    def write(number: int) -> None:
        bucket = number * 3
        for turn in range(ROUNDS):
            token = f"token-{number}-{turn}".encode()
            begun = insist(client, registry, create() + register(token) + look(bucket), UPSERT)
            tokens = [value for name, value in begun if name == "t"][-1]
            assert token in tokens
            ops = [op.increment("a", 1), *bump(bucket), *leave(token)]
            assert dict(insist(client, registry, ops, UPDATE))["t"] == 1

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))
    bins = bins_of(client, registry)
    counters = [bins["b"][4 * n : 4 * n + 4] for n in range(len(bins["b"]) // 4)]
    assert bins["a"] == THREADS * ROUNDS
    assert sum(int.from_bytes(one, "big") for one in counters) == THREADS * ROUNDS
    assert bins["t"] == {}


def test_one_of_many_gets_the_lease(client: aerospike.Client, key: Key) -> None:
    start = threading.Barrier(THREADS)

    def lease(number: int) -> int:
        start.wait(timeout=10)
        create_only = {"exists": aerospike.POLICY_EXISTS_CREATE, "ttl": NEVER}
        return code_of(client.put, key, {"l": number}, None, create_only)

    with ThreadPoolExecutor(THREADS) as pool:
        codes = list(pool.map(lease, range(THREADS)))
    assert sorted(codes) == [0] + [5] * (THREADS - 1)
    assert codes[bins_of(client, key)["l"]] == 0


@pytest.mark.parametrize("size", [1, 100])
def test_large_batches_beside_single_reads(client: aerospike.Client, key: Key, size: int) -> None:
    client.put(key, {"v": bytes(100)})
    keys = [(*key[:2], f"{key[2]}{number}") for number in range(size)]

    def read(_: int) -> int:
        return len(bins_of(client, key)["v"])

    def batch(_: int) -> int:
        return int(client.batch_operate(keys, [op.increment("a", 1)]).result)

    with ThreadPoolExecutor(THREADS) as pool:
        reads, batches = pool.map(read, range(50)), pool.map(batch, range(20))
        assert set(reads) == {100}
        assert set(batches) <= {0, -16}
