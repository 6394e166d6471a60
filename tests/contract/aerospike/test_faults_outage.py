"""What the client makes of a server that hangs, dies and comes back."""

import threading
from collections.abc import Iterator

import aerospike
import pytest
from aerospike_helpers.batch import records as br
from aerospike_helpers.operations import operations as op

from tests.fakes.aerospike import FakeAerospike

from .outage import PATIENCE_MS, WAIT_S, connect, doubtful, wait_until
from .spelling import (
    Key,
    begin,
    bins_of,
    code_of,
    counter,
    do,
    finish,
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


@pytest.fixture
def impatient(node: FakeAerospike) -> Iterator[aerospike.Client]:
    """A client that gives up soon and then keeps the connection for a while, as by default."""
    connected = connect(node, total_timeout=PATIENCE_MS)
    yield connected
    connected.close()


@pytest.fixture
def abrupt(node: FakeAerospike) -> Iterator[aerospike.Client]:
    """A client that gives up soon and closes the connection at once."""
    connected = connect(node, total_timeout=PATIENCE_MS, timeout_delay=0)
    yield connected
    connected.close()


# Doubt…


def test_a_dropped_reply_leaves_the_write_in_doubt_and_done(
    node: FakeAerospike, impatient: aerospike.Client, key: Key
) -> None:
    node.drop_reply(lambda seen: seen.kind == "write")
    assert doubtful(impatient.put, key, {"v": 1})
    assert bins_of(impatient, key) == {"v": 1}


@pytest.mark.parametrize("applied", [False, True])
def test_a_connection_closed_instead_of_an_answer_leaves_doubt(
    node: FakeAerospike, client: aerospike.Client, key: Key, applied: bool
) -> None:
    node.close(lambda seen: seen.kind == "write", applied=applied)
    assert doubtful(client.put, key, {"v": 1})
    assert (node.find(key) is not None) == applied


def test_reads_are_repeated_and_writes_are_not(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    client.put(key, {"v": 1})
    node.close(lambda seen: seen.kind == "read", times=2)
    assert bins_of(client, key) == {"v": 1}
    assert node.counts["read"] == 3
    node.close(lambda seen: seen.kind == "write")
    assert code_of(client.put, key, {"v": 2}) < 0
    assert bins_of(client, key) == {"v": 1}


def test_a_read_that_times_out_is_not_in_doubt(
    node: FakeAerospike, impatient: aerospike.Client, key: Key
) -> None:
    node.drop_reply(times=None)
    assert not doubtful(impatient.get, key)
    refused(9, impatient.get, key)


def test_a_hung_batch_leaves_each_record_in_doubt(
    node: FakeAerospike, impatient: aerospike.Client, key: Key
) -> None:
    hold = node.hold(lambda seen: seen.batched)
    rows = [write((*key[:2], str(number)), {"v": 1}) for number in range(3)]
    assert do(impatient, *rows) == [9, -15, -15, -15]
    assert [row.in_doubt for row in rows] == [True] * 3
    hold.release()
    wait_until(lambda: all(node.find(row.key[:3]) is not None for row in rows))


def test_a_held_operation_lands_when_it_is_released(
    node: FakeAerospike, abrupt: aerospike.Client, registry: Key
) -> None:
    begin(abrupt, registry)
    hold = node.hold(lambda seen: seen.kind == "write")
    assert doubtful(finish, abrupt, registry, 3)
    hold.wait_entered()
    before = node.find(registry)
    assert before is not None
    assert before.generation == 1
    hold.release()
    wait_until(lambda: getattr(node.find(registry), "generation", 0) == 2)


def test_a_held_reply_answers_late(node: FakeAerospike, client: aerospike.Client, key: Key) -> None:
    hold = node.hold_reply(lambda seen: seen.kind == "write")
    thread = threading.Thread(target=client.put, args=(key, {"v": 1}))
    thread.start()
    hold.wait_entered()
    assert node.find(key) is not None
    assert thread.is_alive()
    hold.release()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_a_frozen_server_does_what_was_sent_when_it_thaws(
    node: FakeAerospike, impatient: aerospike.Client, key: Key
) -> None:
    client = impatient
    client.put(key, {"v": 1})
    node.freeze()
    assert doubtful(client.put, key, {"v": 2})
    node.thaw()
    wait_until(lambda: getattr(node.find(key), "generation", 0) == 2)


def test_without_timeout_delay_a_thawed_server_drops_what_was_sent(
    node: FakeAerospike, abrupt: aerospike.Client, key: Key
) -> None:
    abrupt.put(key, {"v": 1})
    writes = node.counts["write"]
    node.freeze()
    assert doubtful(abrupt.put, key, {"v": 2})
    assert doubtful(abrupt.remove, key)
    assert do(abrupt, write(key, {"v": 3})) == [9, -15]
    node.thaw()
    # What comes later is answered: so what came before has had its turn.
    wait_until(lambda: code_of(abrupt.get, key) == 0)
    assert bins_of(abrupt, key) == {"v": 1}
    assert node.counts["write"] == writes


# Death…


def test_connecting_to_nothing_fails(node: FakeAerospike) -> None:
    node.kill()
    refused(-10, connect, node)
    config = {"hosts": node.hosts, "fail_if_not_connected": False}
    client = aerospike.client(config).connect()
    assert not client.is_connected()
    client.close()


def test_a_dead_server_fails_singles_with_exceptions_and_batches_with_results(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    client.put(key, {"v": 1})
    node.kill()
    assert code_of(client.put, key, {"v": 2}) < 0
    row = write(key, {"v": 2})
    assert do(client, row) == [-10, -15]


def test_once_the_node_is_dropped_records_of_a_batch_look_written(
    node: FakeAerospike, client: aerospike.Client, key: Key
) -> None:
    node.kill()
    wait_until(lambda: not client.get_node_names())
    row = write(key, {"v": 1})
    batch = br.BatchRecords([row])
    client.batch_write(batch)
    # The trap: nothing was written, and only the batch's own result says so.
    assert (batch.result, row.result, row.in_doubt) == (1, 0, False)
    read = client.batch_read([key])
    assert (read.result, read.batch_records) == (1, [])
    operated = client.batch_operate([key], [op.increment("a", 1)])
    assert (operated.result, operated.batch_records) == (1, [])
    refused(-8, client.put, key, {"v": 1})
    refused(-8, client.get, key)


@pytest.mark.parametrize("keep_data", [False, True])
def test_a_client_finds_a_restarted_server_by_itself(
    node: FakeAerospike, client: aerospike.Client, key: Key, keep_data: bool
) -> None:
    client.put(key, {"v": 1})
    node.kill()
    wait_until(lambda: not client.get_node_names())
    node.restart(keep_data=keep_data)
    wait_until(lambda: code_of(client.get, key) == (0 if keep_data else 2))
    client.put(key, {"v": 2})


def test_a_quick_restart_loses_memory_and_gives_a_new_epoch(
    node: FakeAerospike, client: aerospike.Client, registry: Key
) -> None:
    first = dict(begin(client, registry))["e"]
    node.restart()
    wait_until(lambda: code_of(finish, client, registry) == 2)
    assert dict(begin(client, registry))["e"] != first


def test_a_store_restarted_from_an_old_image_forgets_a_finish(
    node: FakeAerospike, client: aerospike.Client, registry: Key
) -> None:
    begin(client, registry)
    image = node.image()
    finish(client, registry, 3)
    node.restart(image=image)
    wait_until(lambda: code_of(client.get, registry) == 0)
    assert dict(finish(client, registry, 3))["t"] == 1
    assert operate(client, registry, [counter(3)]) == [("b", 1)]
