"""How long records live, and how large they may be."""

import time
from collections.abc import Callable

import aerospike
import pytest
from aerospike_helpers.operations import map_operations as mp
from aerospike_helpers.operations import operations as op

from .spelling import (
    KEY_ORDERED,
    NEVER,
    PUT,
    UPDATE,
    UPSERT,
    Key,
    begin,
    bins_of,
    code_of,
    create,
    do,
    finish,
    missing,
    operate,
    refused,
    write,
)

# The client warns that "ttl" moves from the metadata to the policies.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DEFAULT_S = 3600
# Seconds. A life of one second ends at the end of the next second of the clock.
EXPIRY_WAIT_S = 5.0


def life(client: aerospike.Client, key: Key) -> int:
    return client.exists(key)[1]["ttl"]


def about(seconds: int) -> list[int]:
    """The lives a client may compute: its clock may pass a second meanwhile."""
    return list(range(seconds - 3, seconds + 1))


def test_a_write_without_ttl_gets_the_default(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1}, None, {"ttl": 100})
    assert life(client, key) in about(100)
    client.put(key, {"v": 2})
    assert life(client, key) in about(DEFAULT_S)


def test_no_ttl_is_a_property_of_each_write(client: aerospike.Client, key: Key) -> None:
    operate(client, key, create(), UPSERT)
    assert life(client, key) == NEVER
    operate(client, key, [op.increment("a", 1)])
    assert life(client, key) in about(DEFAULT_S)


def test_a_client_wide_ttl_for_operate(hosts: list[tuple[str, int]], key: Key) -> None:
    config = {"hosts": hosts, "policies": {"operate": {"ttl": NEVER}}}
    with_default = aerospike.client(config).connect()
    try:
        operate(with_default, key, [op.increment("a", 1)])
        assert life(with_default, key) == NEVER
    finally:
        with_default.close()


def test_dont_update_keeps_a_life_and_gives_the_default_at_creation(
    client: aerospike.Client, key: Key
) -> None:
    keep = {"ttl": aerospike.TTL_DONT_UPDATE}
    operate(client, key, [op.increment("a", 1)], keep)
    assert life(client, key) in about(DEFAULT_S)
    client.put(key, {"a": 1}, None, {"ttl": 100})
    operate(client, key, [op.increment("a", 1)], keep)
    assert life(client, key) in about(100)


def test_ttl_in_the_metadata_beats_the_policy(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1}, {"ttl": 100}, {"ttl": 200})
    assert life(client, key) in about(100)


def test_in_the_registry_namespace_no_ttl_is_the_default(
    client: aerospike.Client, registry: Key
) -> None:
    operate(client, registry, create())
    assert life(client, registry) == NEVER
    client.put(registry, {"a": 1}, None, {"ttl": aerospike.TTL_NAMESPACE_DEFAULT})
    assert life(client, registry) == NEVER


def test_without_nsup_a_ttl_is_forbidden(client: aerospike.Client, registry: Key) -> None:
    refused(22, client.put, registry, {"v": 1}, None, {"ttl": 100})
    assert do(client, write(registry, {"v": 1}, {"ttl": 100})) == [-16, 22]
    client.put(registry, {"v": 1}, None, {"ttl": NEVER})


def test_a_ttl_of_more_than_ten_years_is_refused(client: aerospike.Client, key: Key) -> None:
    refused(4, client.put, key, {"v": 1}, None, {"ttl": 11 * 365 * 24 * 3600})


def test_an_expired_record_is_gone(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1}, None, {"ttl": 1})
    deadline = time.monotonic() + EXPIRY_WAIT_S
    while not missing(client, [key]):
        assert time.monotonic() < deadline, "the record did not expire"
        time.sleep(0.05)
    assert code_of(client.put, key, {"v": 2}, None, {"exists": aerospike.POLICY_EXISTS_CREATE}) == 0


def test_touch_renews_a_life_and_needs_the_record(client: aerospike.Client, key: Key) -> None:
    refused(2, client.touch, key, 100)
    client.put(key, {"v": 1}, None, {"ttl": 10})
    client.touch(key, 100)
    assert life(client, key) in about(100)


# Truncation…


def test_truncation_of_a_set_leaves_the_others(
    client: aerospike.Client, key: Key, registry: Key, truncate: Callable[[str, str], None]
) -> None:
    other = (key[0], key[1] + "o", key[2])
    for one in (key, other, registry):
        client.put(one, {"v": 1})
    truncate(key[0], key[1])
    assert missing(client, [key])
    assert not missing(client, [other])
    assert not missing(client, [registry])


def test_writes_after_a_truncation_stay(
    client: aerospike.Client, key: Key, truncate: Callable[[str, str], None]
) -> None:
    client.put(key, {"v": 1})
    truncate(key[0], key[1])
    client.put(key, {"v": 2})
    assert bins_of(client, key) == {"v": 2}


def test_a_truncated_registry_begins_anew(
    client: aerospike.Client, registry: Key, truncate: Callable[[str, str], None]
) -> None:
    first = dict(begin(client, registry))["e"]
    truncate(registry[0], registry[1])
    refused(2, finish, client, registry)
    assert dict(begin(client, registry))["e"] != first


def test_truncation_to_the_future_is_refused(client: aerospike.Client, key: Key) -> None:
    question = f"truncate:namespace={key[0]};set={key[1]};lut={10**19}"
    refused(4, client.info_all, question)


# Size…


@pytest.fixture(scope="module")
def record_bytes_max(client: aerospike.Client) -> int:
    """The documents' namespace's max-record-size."""
    (answer,) = client.info_all("namespace/hevlayer").values()
    settings = dict(pair.split("=", 1) for pair in answer[1].strip().split(";"))
    return int(settings["max-record-size"])


def test_a_record_too_big(client: aerospike.Client, key: Key, record_bytes_max: int) -> None:
    refused(13, client.put, key, {"v": bytes(record_bytes_max)})
    refused(2, client.get, key)


def test_the_largest_blob(client: aerospike.Client, key: Key, record_bytes_max: int) -> None:
    # A header of 35 bytes, an end mark of 4, 4 of the life, the set's name and its length, the
    # number of bins, the bin's name and its length, type and length of the blob.
    largest = record_bytes_max - 35 - 4 - 4 - (1 + len(key[1])) - 1 - (1 + 1) - 5
    client.put(key, {"v": bytes(largest)}, None, PUT)
    refused(13, client.put, key, {"v": bytes(largest + 1)}, None, PUT)
    assert len(bins_of(client, key)["v"]) == largest


def test_in_a_batch_only_the_record_too_big_fails(
    client: aerospike.Client, key: Key, record_bytes_max: int
) -> None:
    other = (*key[:2], "other")
    rows = [write(key, {"v": bytes(record_bytes_max)}), write(other, {"v": b"row"})]
    assert do(client, *rows) == [-16, 13, 0]


def test_a_registry_with_too_many_tokens_can_still_be_finished(
    client: aerospike.Client, registry: Key
) -> None:
    entry = [b"session", 1, bytes(100_000)]
    operate(client, registry, create(), UPSERT)
    for number in range(100):
        one = mp.map_put("t", f"token{number}".encode(), entry, KEY_ORDERED)
        code = code_of(operate, client, registry, [one], UPSERT)
        if code:
            break
    assert code == 13
    count = aerospike.MAP_RETURN_COUNT
    results = operate(client, registry, [mp.map_remove_by_key("t", b"token0", count)], UPDATE)
    assert results == [("t", 1)]


def test_a_message_of_128_mib_drops_the_connection(client: aerospike.Client, key: Key) -> None:
    blob = bytes(8 * 1024 * 1024)
    rows = [write((*key[:2], number), {"v": blob}) for number in range(17)]
    assert do(client, *rows) == [-10] + [-15] * 17
    client.put(key, {"v": 1})
