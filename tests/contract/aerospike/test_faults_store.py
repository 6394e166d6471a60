"""What the client makes of a server that refuses, fills up and loses records."""

from collections.abc import Iterator

import aerospike
import pytest
from aerospike_helpers.batch import records as br
from aerospike_helpers.operations import bitwise_operations as bit
from aerospike_helpers.operations import list_operations as lists
from aerospike_helpers.operations import operations as op

from tests.fakes.aerospike import Code, FakeAerospike

from .outage import connect, doubtful
from .spelling import (
    DOCUMENTS,
    PUT,
    REGISTRY,
    UPDATE,
    UPSERT,
    Key,
    begin,
    bins_of,
    bump,
    code_of,
    create,
    do,
    finish,
    leave,
    operate,
    refused,
    write,
)

# The client warns that "ttl" moves from the metadata to the policies.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def client(node: FakeAerospike) -> Iterator[aerospike.Client]:
    connected = connect(node)
    yield connected
    connected.close()


# Single codes…


@pytest.mark.parametrize("code", [Code.CLUSTER_FORMING, Code.KEY_BUSY, Code.DEVICE_OVERLOAD])
def test_an_operation_fails_with_the_code_and_is_not_applied(
    node: FakeAerospike, client: aerospike.Client, key: Key, code: Code
) -> None:
    node.fail(code, lambda seen: seen.kind == "write")
    refused(code, client.put, key, {"v": 1})
    assert node.find(key) is None
    client.put(key, {"v": 1})


def test_key_busy_is_not_in_doubt(
    node: FakeAerospike, client: aerospike.Client, registry: Key
) -> None:
    begin(client, registry)
    node.be_busy()
    assert not doubtful(finish, client, registry, 0)
    assert dict(finish(client, registry, 0))["t"] == 1


def test_key_busy_in_a_batch_is_that_of_its_record(
    node: FakeAerospike, client: aerospike.Client, key: Key, registry: Key
) -> None:
    node.be_busy(lambda seen: seen.is_on(key))
    rows = [write(key, {"v": 1}), br.Write(registry, create(), None, UPSERT)]
    assert do(client, *rows) == [-16, 14, 0]
    assert not rows[0].in_doubt


# A full namespace…


def test_a_full_namespace_refuses_every_write_and_allows_removal(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    client.put(key, {"v": 1})
    node.fill(DOCUMENTS)
    refused(8, client.put, key, {"v": 2}, None, PUT)
    refused(8, client.touch, key, 100)
    refused(8, operate, client, key, [op.delete()])
    never = aerospike.POLICY_EXISTS_CREATE
    refused(8, client.put, key, {"v": 2}, None, {"exists": never})
    assert bins_of(client, key) == {"v": 1}
    other = (*key[:2], "other")
    assert do(client, write(other, {"v": 1}), br.Remove(key)) == [-16, 8, 0]
    refused(2, client.remove, key)
    node.make_room(DOCUMENTS)
    client.put(key, {"v": 2})


def test_a_full_registry_can_only_be_removed(
    node: FakeAerospike, client: aerospike.Client, registry: Key
) -> None:
    begin(client, registry)
    node.fill(REGISTRY)
    refused(8, begin, client, registry)
    refused(8, finish, client, registry)
    refused(8, operate, client, registry, leave(), UPDATE)
    refused(8, operate, client, registry, create() + bump(0) + leave(), UPSERT)
    client.remove(registry)
    refused(2, client.remove, registry)
    refused(8, begin, client, registry)


def test_a_full_documents_namespace_leaves_registries_working(
    node: FakeAerospike, client: aerospike.Client, key: Key, registry: Key
) -> None:
    node.fill(DOCUMENTS)
    begin(client, registry)
    rows = [write(key, {"v": 1}), br.Write(registry, bump(0) + leave(), None, UPDATE)]
    assert do(client, *rows) == [-16, 8, 0]


# Loss…


def test_eviction_takes_documents_and_no_registry(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    never = (*key[:2], "never")
    later = (*key[:2], "later")
    client.put(key, {"v": 1}, None, {"ttl": 100})
    client.put(later, {"v": 1}, None, {"ttl": 200})
    client.put(never, {"v": 1}, None, UPSERT)
    assert node.evict(DOCUMENTS, 1) == 1
    refused(2, client.get, key)
    assert node.evict(DOCUMENTS, 10) == 1
    assert bins_of(client, never) == {"v": 1}


def test_one_lost_record_and_one_lost_set(
    node: FakeAerospike, client: aerospike.Client, key: Key, registry: Key
) -> None:
    begin(client, registry)
    client.put(key, {"v": 1})
    assert node.lose(registry)
    refused(2, finish, client, registry)
    assert node.lose_set(key[0], key[1]) == 1
    refused(2, client.get, key)


def test_the_clock_can_be_moved(
    node: FakeAerospike, client: aerospike.Client, key: Key, registry: Key
) -> None:
    client.put(key, {"v": 1}, None, {"ttl": 30})
    begin(client, registry)
    node.advance(32)
    refused(2, client.get, key)
    assert dict(finish(client, registry))["t"] == 1


# The stand-in's own promises…


def test_what_is_not_built_is_refused(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    refused(16, operate, client, key, [lists.list_append("l", 1)])
    refused(16, operate, client, key, [bit.bit_resize("b", 2), bit.bit_lshift("b", 0, 8, 1)])
    refused(16, client.query(*key[:2]).results)


def test_faults_match_one_record_and_end_after_their_count(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    other = (*key[:2], "other")
    fault = node.fail(Code.KEY_BUSY, lambda seen: seen.is_on(key), times=2)
    client.put(other, {"v": 1})
    refused(14, client.put, key, {"v": 1})
    refused(14, client.get, key)
    client.put(key, {"v": 1})
    assert fault.used == 2
    assert [code for seen, code in node.journal if seen.is_on(key)] == [14, 14, 0]


def test_operations_are_counted(node: FakeAerospike, client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1})
    client.get(key)
    do(client, write(key, {"v": 2}), br.Remove(key))
    counted = {name: node.counts[name] for name in ("read", "write", "remove", "batch", "message")}
    assert counted == {"read": 1, "write": 2, "remove": 1, "batch": 1, "message": 2}


def test_a_cancelled_fault_does_nothing(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    fault = node.fail(Code.SERVER_FULL, times=None)
    refused(8, client.put, key, {"v": 1})
    fault.cancel()
    client.put(key, {"v": 1})


def test_the_representation_is_a_window(node: FakeAerospike) -> None:
    assert repr(node).startswith("FakeAerospike(listens on ")
    node.fill(DOCUMENTS)
    assert "Namespace('hevlayer', 0 records, full)" in repr(node)
    node.kill()
    assert "is down" in repr(node)


def test_a_fault_of_the_stand_in_itself_is_told_when_it_stops(key: Key) -> None:
    node = FakeAerospike()
    node.start()
    client = connect(node)
    node.fail(Code.KEY_BUSY, lambda seen: bool(1 // 0))
    assert code_of(client.put, key, {"v": 1}) != 0
    client.close()
    with pytest.raises(ExceptionGroup, match="stand-in"):
        node.stop()
    node.stop()
