"""Who may write over what: existence, generation, replacement and filters."""

from typing import Any

import aerospike
import pytest
from aerospike_helpers import expressions as exp
from aerospike_helpers.operations import map_operations as mp
from aerospike_helpers.operations import operations as op

from .spelling import (
    CREATE,
    PUT,
    REPLACE,
    UPDATE,
    Key,
    Policy,
    bins_of,
    bump,
    code_of,
    generation,
    operate,
    refused,
    when,
)

# The client warns that "ttl" moves from the metadata to the policies.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MINE = when(exp.Eq(exp.BlobBin("l"), b"mine"))
FILTERS = [
    pytest.param(MINE, id="of a bin"),
    pytest.param(when(exp.LT(exp.SinceUpdateTime(), -1)), id="of metadata"),
]


def test_values_come_back_as_they_were_put(client: aerospike.Client, key: Key) -> None:
    bins = {
        "blob": b"\x00\xff" * 100,
        "text": "größer",
        "int": -(2**63),
        "float": -0.5,
        "bool": True,
        "list": [1, "a", b"b", None, [2.5, {"k": b"v"}]],
        "map": {b"token": [b"session", 1, b""], "name": -1},
    }
    client.put(key, bins)
    assert bins_of(client, key) == bins


def test_put_without_policy_merges_bins(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"l": b"mine"})
    client.put(key, {"v": 1})
    assert bins_of(client, key) == {"l": b"mine", "v": 1}


def test_generation_counts_writes_and_starts_again_after_remove(
    client: aerospike.Client, key: Key
) -> None:
    client.put(key, {"v": 1})
    client.put(key, {"v": 2}, None, PUT)
    client.put(key, {"v": 3}, None, REPLACE)
    assert generation(client, key) == 3
    client.remove(key)
    client.put(key, {"v": 4}, None, CREATE)
    assert generation(client, key) == 1


def test_writing_none_to_the_last_bin_removes_the_record(
    client: aerospike.Client, key: Key
) -> None:
    client.put(key, {"v": 1})
    operate(client, key, [op.write("v", aerospike.null())])
    refused(2, client.get, key)


def test_remove_of_a_missing_record_is_not_found(client: aerospike.Client, key: Key) -> None:
    refused(2, client.remove, key)


def test_create_only_refuses_an_existing_record(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"l": b"mine"}, {"ttl": 30}, CREATE)
    refused(5, client.put, key, {"l": b"other"}, {"ttl": 30}, CREATE)
    assert bins_of(client, key) == {"l": b"mine"}


@pytest.mark.parametrize("policy", [UPDATE, REPLACE], ids=["update", "replace"])
def test_a_write_to_what_must_exist_creates_nothing(
    client: aerospike.Client, key: Key, policy: Policy
) -> None:
    refused(2, client.put, key, {"v": 1}, None, policy)
    refused(2, client.get, key)


def test_fill_with_replace_leaves_the_value_alone(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"l": b"mine"})
    client.put(key, {"v": b"row", "f": b"stamp"}, None, REPLACE | MINE)
    assert bins_of(client, key) == {"v": b"row", "f": b"stamp"}


def test_fill_with_update_leaves_the_lease_in_the_record(
    client: aerospike.Client, key: Key
) -> None:
    client.put(key, {"l": b"mine"})
    client.put(key, {"v": b"row", "f": b"stamp"}, None, UPDATE | MINE)
    assert bins_of(client, key) == {"l": b"mine", "v": b"row", "f": b"stamp"}


@pytest.mark.parametrize(
    ("found", "code"),
    [({"l": b"mine"}, 0), ({"l": b"foreign"}, 27), ({"v": b"row", "f": b"stamp"}, 27), (None, 2)],
    ids=["own lease", "foreign lease", "value", "missing"],
)
def test_fill_only_into_the_own_lease(
    client: aerospike.Client, key: Key, found: dict[str, Any] | None, code: int
) -> None:
    if found is not None:
        client.put(key, found)
    refused(code, client.put, key, {"v": b"new", "f": b"new"}, None, REPLACE | MINE)
    expected = {"v": b"new", "f": b"new"} if code == 0 else found
    assert expected is None or bins_of(client, key) == expected


@pytest.mark.parametrize("policy", [PUT, REPLACE], ids=["create or replace", "replace"])
@pytest.mark.parametrize(
    "operation",
    [
        op.increment("a", 1),
        bump(0)[0],
        mp.map_put("t", b"k", 1),
        mp.map_remove_by_key("t", b"k", aerospike.MAP_RETURN_COUNT),
        op.touch(),
        op.delete(),
        op.write("a", aerospike.null()),
    ],
    ids=["increment", "bit", "map put", "map remove", "touch", "delete", "write none"],
)
def test_replacing_policies_refuse_operations_that_need_the_old_record(
    client: aerospike.Client, key: Key, policy: Policy, operation: dict[str, Any]
) -> None:
    client.put(key, {"a": 1})
    refused(4, operate, client, key, [operation], policy)
    assert bins_of(client, key) == {"a": 1}


@pytest.mark.parametrize("condition", FILTERS)
@pytest.mark.parametrize("policy", [{}, PUT, CREATE], ids=["none", "create or replace", "create"])
def test_a_filter_is_not_evaluated_on_a_missing_record(
    client: aerospike.Client, key: Key, policy: Policy, condition: Policy
) -> None:
    client.put(key, {"v": 1}, None, policy | condition)
    assert bins_of(client, key) == {"v": 1}
    client.remove(key)
    operate(client, key, [op.write("v", 2)], policy | condition)
    assert bins_of(client, key) == {"v": 2}


@pytest.mark.parametrize("condition", FILTERS)
def test_what_needs_the_record_finds_it_missing_before_the_filter(
    client: aerospike.Client, key: Key, condition: Policy
) -> None:
    remove = [mp.map_remove_by_key("t", b"k", aerospike.MAP_RETURN_COUNT)]
    refused(2, client.put, key, {"v": 1}, None, UPDATE | condition)
    refused(2, client.put, key, {"v": 1}, None, REPLACE | condition)
    refused(2, client.remove, key, None, condition)
    refused(2, client.get, key, condition)
    refused(2, operate, client, key, remove, condition)


@pytest.mark.parametrize("condition", FILTERS)
def test_a_filter_that_does_not_match_keeps_everybody_out(
    client: aerospike.Client, key: Key, condition: Policy
) -> None:
    client.put(key, {"v": 1})
    for policy in ({}, PUT, UPDATE, REPLACE):
        refused(27, client.put, key, {"v": 2}, None, policy | condition)
        refused(27, operate, client, key, [op.write("v", 2)], policy | condition)
    refused(27, client.remove, key, None, condition)
    refused(27, client.get, key, condition)
    assert bins_of(client, key) == {"v": 1}
    assert generation(client, key) == 1


def test_create_only_comes_before_the_filter(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1})
    refused(5, client.put, key, {"v": 2}, None, CREATE | MINE)


def test_put_only_if_newer(client: aerospike.Client, key: Key) -> None:
    def put(new: int) -> int:
        older = exp.LT(exp.IntBin("ts"), new)
        condition = when(exp.Or(exp.Not(exp.BinExists("ts")), older))
        return code_of(client.put, key, {"ts": new}, None, condition)

    assert [put(5), put(4), put(5), put(6)] == [0, 27, 27, 0]


def test_comparison_with_a_missing_bin_filters_out(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1})
    refused(27, client.put, key, {"v": 2}, None, when(exp.LT(exp.IntBin("ts"), 5)))
    refused(27, client.put, key, {"v": 2}, None, when(exp.LT(exp.IntBin("ts"), 5)))
    either = exp.Or(exp.Not(exp.BinExists("ts")), exp.LT(exp.IntBin("ts"), 5))
    client.put(key, {"v": 2}, None, when(either))


def test_a_misspelt_policy_key_is_silently_accepted(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1}, None, {"exist": aerospike.POLICY_EXISTS_UPDATE})
    client.put(key, {"v": 2}, None, {"expression": MINE["expressions"]})
    assert bins_of(client, key) == {"v": 2}


GEN_EQ: Policy = {"gen": aerospike.POLICY_GEN_EQ}


def test_a_lease_over_a_void_value_goes_by_its_generation(
    client: aerospike.Client, key: Key
) -> None:
    client.put(key, {"v": b"row", "f": b"void"})
    refused(3, client.put, key, {"l": b"a"}, {"gen": 2, "ttl": 30}, GEN_EQ | PUT)
    client.put(key, {"l": b"a"}, {"gen": 1, "ttl": 30}, GEN_EQ | PUT)
    assert bins_of(client, key) == {"l": b"a"}
    refused(3, client.put, key, {"l": b"b"}, {"gen": 1, "ttl": 30}, GEN_EQ | PUT)


def test_a_generation_of_a_record_that_has_gone(client: aerospike.Client, key: Key) -> None:
    refused(3, client.put, key, {"l": b"a"}, {"gen": 1, "ttl": 30}, GEN_EQ | PUT)
    refused(2, client.put, key, {"l": b"a"}, {"gen": 1, "ttl": 30}, GEN_EQ | REPLACE)
    refused(2, client.get, key)


def test_remove_by_generation(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1})
    refused(3, client.remove, key, {"gen": 7}, GEN_EQ)
    client.remove(key, {"gen": 1}, GEN_EQ)
    refused(2, client.get, key)
