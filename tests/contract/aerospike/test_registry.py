"""The operations of the coherence protocol on registry and members records."""

import aerospike
import pytest
from aerospike_helpers import expressions as exp
from aerospike_helpers.operations import expression_operations as eo
from aerospike_helpers.operations import map_operations as mp
from aerospike_helpers.operations import operations as op

from .spelling import (
    ENTRY,
    NEVER,
    REGISTRY,
    TOKEN,
    UPDATE,
    UPSERT,
    Key,
    begin,
    bins_of,
    blob_once,
    bump,
    code_of,
    counter,
    create,
    finish,
    generation,
    leave,
    look,
    operate,
    refused,
    register,
    token_there,
    when,
)


def test_begin_creates_the_registry_whole(client: aerospike.Client, registry: Key) -> None:
    epoch = b"12345678"
    ops = create(epoch) + register() + look(0, 7)
    _, meta, results = client.operate_ordered(registry, ops, None, UPSERT)
    assert meta == {"gen": 1, "ttl": NEVER}
    assert results == [
        ("e", None),
        ("y", None),
        ("b", None),
        ("a", None),
        ("t", 1),
        ("e", epoch),
        ("y", 1),
        ("a", 0),
        ("t", {TOKEN: ENTRY}),
        ("b", 0),
        ("b", 0),
    ]
    assert bins_of(client, registry)["b"] == bytes(4096)


def test_begin_keeps_the_first_epoch(client: aerospike.Client, registry: Key) -> None:
    first = begin(client, registry)
    second = begin(client, registry, token=b"other")
    assert dict(second)["e"] == dict(first)["e"]
    assert [value for name, value in second if name == "t"] == [
        2,
        {TOKEN: ENTRY, b"other": ENTRY},
    ]


def test_begin_with_update_leaves_a_missing_registry_missing(
    client: aerospike.Client, registry: Key
) -> None:
    refused(2, operate, client, registry, create() + register(), UPDATE)
    refused(2, operate, client, registry, register() + look(), UPDATE)
    refused(2, client.get, registry)


def test_types_of_a_registry(client: aerospike.Client, registry: Key) -> None:
    results = dict(begin(client, registry))
    assert type(results["e"]) is bytes
    assert isinstance(results["t"], aerospike.KeyOrderedDict)
    assert [type(token) for token in results["t"]] == [bytes]
    assert type(results["t"][TOKEN]) is list


def test_tokens_come_in_the_order_of_their_keys(client: aerospike.Client, registry: Key) -> None:
    for token in (b"c", b"a", b"bb", b"b"):
        operate(client, registry, register(token), UPSERT)
    assert list(bins_of(client, registry)["t"]) == [b"a", b"b", b"bb", b"c"]


def test_operations_are_done_in_their_order(client: aerospike.Client, registry: Key) -> None:
    begin(client, registry)
    ops = [op.read("a"), op.increment("a", 1), op.read("a"), mp.map_size("t")]
    ops += [*register(b"second"), mp.map_size("t")]
    assert operate(client, registry, ops, UPDATE) == [
        ("a", 0),
        ("a", None),
        ("a", 1),
        ("t", 1),
        ("t", 2),
        ("t", 2),
    ]


def test_finish_tells_that_the_token_was_there(client: aerospike.Client, registry: Key) -> None:
    epoch = dict(begin(client, registry))["e"]
    assert finish(client, registry, 3) == [("b", None), ("t", 1), ("e", epoch)]
    assert operate(client, registry, [counter(3), counter(2)]) == [("b", 1), ("b", 0)]


def test_finish_without_its_token_still_writes(client: aerospike.Client, registry: Key) -> None:
    begin(client, registry)
    finish(client, registry, 3)
    before = generation(client, registry)
    assert dict(finish(client, registry, 3))["t"] == 0
    assert generation(client, registry) == before + 1
    assert operate(client, registry, [counter(3)]) == [("b", 2)]


def test_finish_on_a_missing_registry(client: aerospike.Client, registry: Key) -> None:
    refused(2, finish, client, registry, 3)
    refused(2, operate, client, registry, leave(), UPDATE)
    refused(2, operate, client, registry, leave(), UPSERT)
    refused(2, client.get, registry)


def test_finish_without_the_bin_of_tokens_answers_none(
    client: aerospike.Client, registry: Key
) -> None:
    operate(client, registry, create(), UPSERT)
    assert dict(finish(client, registry, 0))["t"] is None


def test_repair_needs_the_creating_operations_first(
    client: aerospike.Client, registry: Key
) -> None:
    refused(17, operate, client, registry, bump(0) + leave(), UPSERT)
    refused(2, client.get, registry)
    results = operate(client, registry, create() + bump(0) + leave(), UPSERT)
    assert results[-2] == ("t", None)
    assert operate(client, registry, [counter(0)]) == [("b", 1)]


def test_a_failing_operation_undoes_the_whole(client: aerospike.Client, registry: Key) -> None:
    begin(client, registry)
    before = client.get(registry)[1:]
    refused(26, operate, client, registry, [op.increment("a", 1), *bump(0, 1024)], UPDATE)
    assert client.get(registry)[1:] == before


def test_sweep_with_a_filter_on_the_token_bumps_once(
    client: aerospike.Client, registry: Key
) -> None:
    begin(client, registry)
    policy = UPDATE | when(token_there())
    finish(client, registry, 3, policy=policy)
    refused(27, lambda: finish(client, registry, 3, policy=policy))
    assert operate(client, registry, [counter(3)]) == [("b", 1)]


def test_finish_filtered_by_the_epoch(client: aerospike.Client, registry: Key) -> None:
    epoch = dict(begin(client, registry))["e"]
    wrong = UPDATE | when(exp.Eq(exp.BlobBin("e"), b"otherwise"))
    right = UPDATE | when(exp.Eq(exp.BlobBin("e"), epoch))
    refused(27, lambda: finish(client, registry, policy=wrong))
    assert finish(client, registry, policy=right) == [("t", 1), ("e", epoch)]


def test_mature_only_the_registry_that_was_seen(client: aerospike.Client, registry: Key) -> None:
    epoch = dict(begin(client, registry))["e"]
    ops = [op.write("y", 0), op.increment("a", 1)]

    def mature(seen: bytes) -> int:
        same = exp.And(exp.Eq(exp.IntBin("y"), 1), exp.Eq(exp.BlobBin("e"), seen))
        return code_of(operate, client, registry, ops, UPDATE | when(same))

    assert [mature(b"wrong..."), mature(epoch), mature(epoch)] == [27, 0, 27]
    assert (bins_of(client, registry)["y"], bins_of(client, registry)["a"]) == (0, 1)


def test_epoch_written_once_without_a_warning(client: aerospike.Client, registry: Key) -> None:
    def ops(random: bytes) -> list[dict]:
        kept = exp.Cond(exp.BinExists("e"), exp.BlobBin("e"), bytearray(random))
        flags = aerospike.EXP_WRITE_CREATE_ONLY | aerospike.EXP_WRITE_POLICY_NO_FAIL
        return [eo.expression_write("e", kept.compile(), flags), op.read("e")]

    assert operate(client, registry, ops(b"first"), UPSERT)[-1] == ("e", b"first")
    assert operate(client, registry, ops(b"other"), UPSERT)[-1] == ("e", b"first")


def test_create_only_of_an_expression_without_no_fail(
    client: aerospike.Client, registry: Key
) -> None:
    ops = [eo.expression_write("y", exp.Add(1, 0).compile(), aerospike.EXP_WRITE_CREATE_ONLY)]
    operate(client, registry, ops, UPSERT)
    refused(6, operate, client, registry, ops, UPSERT)


def test_create_only_of_a_blob_without_no_fail(client: aerospike.Client, registry: Key) -> None:
    ops = [blob_once("e", b"first")]
    ops[0]["policy"] = {"bit_write_flags": aerospike.BIT_WRITE_CREATE_ONLY}
    operate(client, registry, ops, UPSERT)
    refused(6, operate, client, registry, ops, UPSERT)


# Members…

SESSION = b"session-a"


def alive(session: bytes = SESSION) -> dict:
    there = exp.MapGetByKey(
        None, aerospike.MAP_RETURN_EXISTS, exp.ResultType.BOOLEAN, session, exp.MapBin("m")
    )
    return UPDATE | when(there)


BEAT = [mp.map_increment("m", SESSION, 1), op.read("m"), op.read("se")]


@pytest.fixture
def members(client: aerospike.Client, registry: Key) -> Key:
    """A members record with one session."""
    client.put(registry, {"se": 1, "m": {SESSION: 5}}, None, UPSERT)
    return registry


def test_beat_increments_its_session(client: aerospike.Client, members: Key) -> None:
    results = operate(client, members, BEAT, alive())
    assert results == [("m", 6), ("m", {SESSION: 6}), ("se", 1)]


def test_beat_without_its_session_is_filtered_out(client: aerospike.Client, members: Key) -> None:
    gone = [mp.map_remove_by_key("m", SESSION, aerospike.MAP_RETURN_COUNT)]
    operate(client, members, gone, UPDATE)
    refused(27, operate, client, members, BEAT, alive())


def test_beat_without_filter_creates_the_session(client: aerospike.Client, members: Key) -> None:
    other = [mp.map_increment("m", b"other", 1), op.read("m")]
    assert dict(operate(client, members, other, UPDATE))["m"] == {SESSION: 5, b"other": 1}


def test_beat_on_a_lost_members_record_needs_update(
    client: aerospike.Client, registry: Key
) -> None:
    refused(2, operate, client, registry, BEAT, alive())
    filtered = {"ttl": NEVER, "expressions": alive()["expressions"]}
    operate(client, registry, BEAT, filtered)
    assert bins_of(client, registry) == {"m": {SESSION: 1}}


def test_evict_a_member_only_at_the_count_it_was_seen_at(
    client: aerospike.Client, members: Key
) -> None:
    ops = [
        mp.map_remove_by_key("m", SESSION, aerospike.MAP_RETURN_COUNT),
        op.increment("se", 1),
    ]
    value = exp.MapGetByKey(
        None, aerospike.MAP_RETURN_VALUE, exp.ResultType.INTEGER, SESSION, exp.MapBin("m")
    )

    def evict(count: int) -> int:
        return code_of(operate, client, members, ops, UPDATE | when(exp.Eq(value, count)))

    assert [evict(4), evict(5), evict(5)] == [27, 0, 27]
    assert bins_of(client, members) == {"se": 2, "m": {}}
    client.remove(members)
    assert evict(5) == 2


def test_beat_within_a_second_of_the_last(client: aerospike.Client, members: Key) -> None:
    recent = exp.LT(exp.SinceUpdateTime(), 60_000)
    operate(client, members, BEAT, UPDATE | when(recent))
    late = exp.LT(exp.SinceUpdateTime(), -1)
    refused(27, operate, client, members, BEAT, UPDATE | when(late))


def test_remove_of_a_registry_voids_it(client: aerospike.Client, registry: Key) -> None:
    first = dict(begin(client, registry))["e"]
    client.remove(registry)
    refused(2, finish, client, registry)
    assert dict(begin(client, registry))["e"] != first
    assert registry[0] == REGISTRY
    assert generation(client, registry) == 1
