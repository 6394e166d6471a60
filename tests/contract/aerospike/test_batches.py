"""Batches: what their own result says, what each record's, and that they go in order."""

import os
from typing import Any

import aerospike
import pytest
from aerospike_helpers import expressions as exp
from aerospike_helpers.batch import records as br
from aerospike_helpers.operations import expression_operations as eo
from aerospike_helpers.operations import map_operations as mp
from aerospike_helpers.operations import operations as op

from .spelling import (
    CREATE,
    ENTRY,
    NEVER,
    PUT,
    REPLACE,
    TOKEN,
    UPDATE,
    UPSERT,
    Key,
    begin,
    bins_of,
    bump,
    counter,
    create,
    do,
    finish,
    generation,
    leave,
    look,
    operate,
    refused,
    register,
    when,
    write,
)

# The client warns that "ttl" moves from the metadata to the policies.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MINE = when(exp.Eq(exp.BlobBin("l"), b"mine"))


@pytest.fixture
def keys(key: Key) -> list[Key]:
    return [(*key[:2], f"{key[2]}{number}") for number in range(6)]


def test_puts_and_removes_have_results_of_their_own(
    client: aerospike.Client, keys: list[Key]
) -> None:
    client.put(keys[1], {"v": 1})
    rows = [write(keys[0], {"v": b"row", "f": b"stamp"}, PUT | {"ttl": 3600})]
    rows += [br.Remove(keys[1]), br.Remove(keys[2])]
    assert do(client, *rows) == [0, 0, 0, 2]
    assert bins_of(client, keys[0]) == {"v": b"row", "f": b"stamp"}
    refused(2, client.get, keys[1])


def test_put_replaces_the_whole_record(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"l": b"foreign"})
    assert do(client, write(key, {"v": b"row", "f": b"stamp"}, PUT)) == [0, 0]
    assert bins_of(client, key) == {"v": b"row", "f": b"stamp"}


@pytest.mark.parametrize(
    ("found", "policy", "code", "whole"),
    [
        ({"v": 1}, CREATE, 5, -16),
        (None, CREATE, 0, 0),
        (None, REPLACE, 2, 0),
        (None, UPDATE, 2, 0),
        ({"v": 1}, {"gen": aerospike.POLICY_GEN_EQ}, 3, -16),
        ({"l": b"mine"}, REPLACE | MINE, 0, 0),
        ({"l": b"foreign"}, REPLACE | MINE, 27, 0),
        (None, REPLACE | MINE, 2, 0),
        (None, PUT | MINE, 0, 0),
        ({"l": b"foreign"}, PUT | MINE, 27, 0),
    ],
)
def test_codes_are_those_of_single_writes(
    client: aerospike.Client,
    key: Key,
    found: dict[str, Any] | None,
    policy: dict[str, Any],
    code: int,
    whole: int,
) -> None:
    if found is not None:
        client.put(key, found)
    meta = {"gen": 9} if "gen" in policy else {}
    assert do(client, write(key, {"v": 2}, policy, **meta)) == [whole, code]


def test_one_failed_record_makes_the_batch_look_failed(
    client: aerospike.Client, keys: list[Key]
) -> None:
    client.put(keys[1], {"l": b"foreign"})
    rows = [write(one, {"l": b"mine"}, CREATE | {"ttl": 30}) for one in keys[:3]]
    assert do(client, *rows) == [-16, 0, 5, 0]


def test_missing_and_filtered_records_leave_the_batch_fine(
    client: aerospike.Client, keys: list[Key]
) -> None:
    client.put(keys[0], {"l": b"foreign"})
    rows = [
        br.Remove(keys[1]),
        write(keys[0], {"v": 1}, REPLACE | MINE),
        br.Read(keys[2], None, True),
    ]
    assert do(client, *rows) == [0, 2, 27, 2]


def test_a_record_of_its_own_filter_replaces_the_batch_filter(
    client: aerospike.Client, keys: list[Key]
) -> None:
    for one in keys[:2]:
        client.put(one, {"l": b"foreign"})
    foreign = when(exp.Eq(exp.BlobBin("l"), b"foreign"))
    rows = [write(keys[0], {"v": 1}), write(keys[1], {"v": 1}, foreign)]
    assert do(client, *rows, policy=MINE) == [0, 27, 0]


def test_remove_honours_filter_and_generation(client: aerospike.Client, keys: list[Key]) -> None:
    for one in keys[:3]:
        client.put(one, {"l": b"foreign"})
    by_generation = {"gen": aerospike.POLICY_GEN_EQ, "generation": 1}
    wrong = {"gen": aerospike.POLICY_GEN_EQ, "generation": 2}
    rows = [
        br.Remove(keys[0], MINE),
        br.Remove(keys[1], by_generation),
        br.Remove(keys[2], wrong),
    ]
    assert do(client, *rows) == [-16, 27, 0, 3]


def test_the_same_key_several_times_goes_in_list_order(client: aerospike.Client, key: Key) -> None:
    def newer(stamp: int) -> br.Write:
        older = exp.LT(exp.IntBin("ts"), stamp)
        return write(key, {"ts": stamp}, when(exp.Or(exp.Not(exp.BinExists("ts")), older)))

    stamps = [3, 1, 4, 1, 5, 2]
    assert do(client, *map(newer, stamps)) == [0, 0, 27, 0, 27, 0, 27]
    assert bins_of(client, key) == {"ts": 5}
    assert generation(client, key) == 3


def test_time_to_live_by_record(client: aerospike.Client, keys: list[Key]) -> None:
    rows = [
        write(keys[0], {"v": 1}, None, ttl=100),
        write(keys[1], {"v": 1}, {"ttl": 200}),
        write(keys[2], {"v": 1}, {"ttl": 200}, ttl=100),
        write(keys[3], {"v": 1}, UPSERT),
        write(keys[4], {"v": 1}),
    ]
    assert do(client, *rows) == [0] * 6
    lives = [client.exists(one)[1]["ttl"] for one in keys[:5]]
    assert lives[3] == NEVER
    expected = [100, 200, 100, 3600]
    for life, wanted in zip([*lives[:3], lives[4]], expected, strict=True):
        assert wanted - 3 <= life <= wanted


def test_hit_read_of_registry_and_documents_in_one_call(
    client: aerospike.Client, key: Key, registry: Key
) -> None:
    epoch = dict(begin(client, registry))["e"]
    client.put(key, {"v": b"row", "f": b"stamp"})
    ops = [op.read("e"), op.read("a"), mp.map_size("t"), counter(5)]
    absent = (*key[:2], "absent")
    rows = [br.Read(registry, ops), br.Read(key, None, True), br.Read(absent, None, True)]
    assert do(client, *rows) == [0, 0, 0, 2]
    assert rows[0].record[2] == {"e": epoch, "a": 0, "t": 1, "b": 0}
    assert rows[1].record[2] == {"v": b"row", "f": b"stamp"}
    assert rows[2].record is None


def test_batch_read_of_bins_leaves_out_absent_ones(
    client: aerospike.Client, key: Key, registry: Key
) -> None:
    begin(client, registry)
    client.put(key, {"v": b"row", "f": b"stamp"})
    absent = (*key[:2], "absent")
    batch = client.batch_read([registry, key, absent], ["e", "a", "b", "v", "f", "l"])
    assert batch.result == 0
    assert [row.result for row in batch.batch_records] == [0, 0, 2]
    assert sorted(batch.batch_records[0].record[2]) == ["a", "b", "e"]
    assert batch.batch_records[1].record[2] == {"v": b"row", "f": b"stamp"}


def test_batch_read_of_no_bins_tells_what_exists(client: aerospike.Client, keys: list[Key]) -> None:
    client.put(keys[0], {"v": 1})
    batch = client.batch_read(keys[:2], [])
    assert [row.result for row in batch.batch_records] == [0, 2]
    assert batch.batch_records[0].record[1]["gen"] == 1
    assert batch.batch_records[0].record[2:] == ()


def test_a_read_without_operations_looks_empty(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": b"row", "f": b"stamp"})
    row = br.Read(key, None)
    assert do(client, row) == [0, 0]
    assert row.record[2] in (None, {})


def test_operations_on_absent_bins_answer_none(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1})
    row = br.Read(key, [op.read("v"), op.read("x"), mp.map_size("t"), counter(0)])
    assert do(client, row) == [0, 0]
    assert row.record[2] == {"v": 1, "x": None, "t": None, "b": None}


def test_several_results_of_one_bin_collapse_to_the_last(
    client: aerospike.Client, registry: Key
) -> None:
    operate(client, registry, create() + bump(0), UPSERT)
    reads = [counter(0), counter(1)]
    assert client.operate(registry, reads)[2] == {"b": 0}
    row = br.Read(registry, reads)
    do(client, row)
    assert row.record[2] == {"b": 0}
    assert operate(client, registry, reads) == [("b", 1), ("b", 0)]


def test_counters_under_their_own_names(client: aerospike.Client, registry: Key) -> None:
    operate(client, registry, create() + bump(1), UPSERT)
    reads = [
        eo.expression_read(
            f"b{bucket}", exp.BitGetInt(32 * bucket, 32, False, exp.BlobBin("b")).compile()
        )
        for bucket in range(3)
    ]
    row = br.Read(registry, reads)
    assert do(client, row) == [0, 0]
    assert row.record[2] == {"b0": 0, "b1": 1, "b2": 0}


def test_begin_and_finish_of_several_shards_in_one_round_trip(
    client: aerospike.Client, registry: Key
) -> None:
    shards = [(*registry[:2], f"{registry[2]}{number}") for number in range(4)]
    rows = [br.Write(one, create() + register() + look(), None, UPSERT) for one in shards]
    assert do(client, *rows) == [0] * 5
    for row in rows:
        assert row.record[2]["t"] == {TOKEN: ENTRY}
        assert row.record[2]["a"] == 0
    rows = [br.Write(one, bump(0) + leave(), None, UPDATE) for one in shards]
    assert do(client, *rows) == [0] * 5
    assert [row.record[2]["t"] for row in rows] == [1] * 4


def test_documents_and_registry_in_one_batch(
    client: aerospike.Client, key: Key, registry: Key
) -> None:
    begin(client, registry)
    rows = [write(key, {"v": 1}, PUT), br.Write(registry, bump(0) + leave(), None, UPDATE)]
    assert do(client, *rows) == [0, 0, 0]
    assert client.exists(registry)[1]["ttl"] == NEVER


def test_a_failing_operation_undoes_only_its_record(
    client: aerospike.Client, key: Key, registry: Key
) -> None:
    begin(client, registry)
    rows = [write(key, {"v": 1}), br.Write(registry, bump(0, 1024), None, UPDATE)]
    assert do(client, *rows) == [-16, 0, 26]
    assert operate(client, registry, [counter(0)]) == [("b", 0)]


def test_ten_thousand_records(client: aerospike.Client, key: Key) -> None:
    keys = [(*key[:2], number) for number in range(10_000)]
    shared = PUT | {"ttl": 3600}
    rows = [write(one, {"v": b"row", "k": b"key"}) for one in keys]
    assert set(do(client, *rows, policy=shared)) == {0}
    assert client.batch_remove(keys).result == 0
    batch = client.batch_remove(keys)
    assert batch.result == 0
    assert {row.result for row in batch.batch_records} == {2}


def test_remove_of_a_registry_beside_a_finish(client: aerospike.Client, registry: Key) -> None:
    begin(client, registry)
    other = (*registry[:2], "other")
    begin(client, other)
    row = br.Write(other, bump(0) + leave(), None, UPDATE)
    assert do(client, br.Remove(registry), row) == [0, 0, 0]
    refused(2, finish, client, registry)


def test_records_of_different_size_in_one_batch(client: aerospike.Client, keys: list[Key]) -> None:
    blobs = [os.urandom(size) for size in (0, 1, 300, 70_000, 600_000)]
    rows = [write(one, {"v": data}, PUT) for one, data in zip(keys, blobs, strict=False)]
    assert set(do(client, *rows)) == {0}
    batch = client.batch_read(keys[:5])
    assert [row.record[2]["v"] for row in batch.batch_records] == blobs


def test_a_batch_that_need_not_answer_all_fails_as_a_whole_but_does_all(
    client: aerospike.Client, keys: list[Key]
) -> None:
    client.put(keys[1], {"l": b"foreign"})
    rows = [write(one, {"l": b"mine"}, CREATE) for one in keys[:3]]
    assert do(client, *rows, policy={"respond_all_keys": False}) == [5, 0, 5, 0]
    assert bins_of(client, keys[2]) == {"l": b"mine"}


def test_compressed_writes_are_for_the_enterprise_only(client: aerospike.Client, key: Key) -> None:
    refused(25, client.put, key, {"v": bytes(5000)}, None, {"compress": True})
    refused(2, client.get, key)
