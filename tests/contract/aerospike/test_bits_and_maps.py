"""Single operations on blobs and maps, as far as the cache needs them."""

from typing import Any

import aerospike
import pytest
from aerospike_helpers import expressions as exp
from aerospike_helpers.operations import bitwise_operations as bit
from aerospike_helpers.operations import expression_operations as eo
from aerospike_helpers.operations import map_operations as mp
from aerospike_helpers.operations import operations as op

from .spelling import KEY_ORDERED, Key, bins_of, bump, counter, operate, refused

WRAP = aerospike.BIT_OVERFLOW_WRAP
FAIL = aerospike.BIT_OVERFLOW_FAIL


@pytest.fixture
def blob(client: aerospike.Client, key: Key) -> Key:
    """A record with a blob of three counters, the middle one at its end."""
    client.put(key, {"b": bytes(4) + b"\xff" * 4 + bytes(4)})
    return key


def test_a_counter_wraps_and_leaves_its_neighbours(client: aerospike.Client, blob: Key) -> None:
    results = operate(client, blob, bump(1) + [counter(n) for n in range(3)])
    assert results == [("b", None), ("b", 0), ("b", 0), ("b", 0)]


def test_overflow_may_be_refused(client: aerospike.Client, blob: Key) -> None:
    refused(26, operate, client, blob, [bit.bit_add("b", 32, 32, 1, False, FAIL)])
    assert operate(client, blob, [counter(1)]) == [("b", 0xFFFFFFFF)]


@pytest.mark.parametrize("offset", [96, 80], ids=["beyond", "across the end"])
def test_bits_beyond_the_blob_are_refused(client: aerospike.Client, blob: Key, offset: int) -> None:
    refused(26, operate, client, blob, [bit.bit_add("b", offset, 32, 1, False, WRAP)])
    refused(26, operate, client, blob, [bit.bit_get_int("b", offset, 32, False)])


def test_counters_in_one_operate(client: aerospike.Client, key: Key) -> None:
    buckets = range(0, 1024, 16)
    client.put(key, {"b": bytes(4096)})
    results = operate(client, key, bump(*buckets) + [counter(n) for n in buckets])
    assert results == [("b", None)] * 64 + [("b", 1)] * 64


def test_adding_to_a_missing_blob_creates_nothing(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1})
    refused(17, operate, client, key, bump(0))
    assert bins_of(client, key) == {"v": 1}


def test_bits_of_another_type_are_refused(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"b": 1})
    refused(12, operate, client, key, bump(0))
    refused(12, operate, client, key, [counter(0)])


def test_reading_a_missing_bin_beside_a_write_answers_none(
    client: aerospike.Client, key: Key
) -> None:
    ops = [op.write("v", 1), counter(0), mp.map_size("t"), op.read("e")]
    assert operate(client, key, ops) == [("v", None), ("b", None), ("t", None), ("e", None)]


def test_reading_a_range_of_counters_at_once(client: aerospike.Client, blob: Key) -> None:
    assert operate(client, blob, [bit.bit_get("b", 32, 64)]) == [("b", b"\xff" * 4 + bytes(4))]


def test_bits_that_no_byte_borders(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"b": bytes(3)})
    ops = [
        bit.bit_add("b", 5, 7, 0x55, False, WRAP),
        bit.bit_get_int("b", 5, 7, False),
        bit.bit_get_int("b", 5, 7, True),
        bit.bit_get("b", 4, 9),
        bit.bit_count("b", 0, 24),
        bit.bit_lscan("b", 0, 24, True),
        bit.bit_rscan("b", 0, 24, True),
        bit.bit_subtract("b", 5, 7, 0x56, False, WRAP),
        bit.bit_get_int("b", 5, 7, True),
    ]
    results = [value for _, value in operate(client, key, ops)]
    assert results == [None, 0x55, 0x55 - 128, b"\x55\x00", 4, 5, 11, None, -1]


def test_resize(client: aerospike.Client, key: Key) -> None:
    operate(client, key, [bit.bit_resize("b", 2), bit.bit_not("b", 0, 16)])
    front = {"resize_flags": aerospike.BIT_RESIZE_FROM_FRONT}
    operate(client, key, [bit.bit_resize("b", 3, None, **front)])
    assert bins_of(client, key)["b"] == b"\x00\xff\xff"
    operate(client, key, [bit.bit_resize("b", 2), bit.bit_remove("b", 0, 1)])
    assert bins_of(client, key)["b"] == b"\xff"


# Maps…

KEYS = [b"a", b"b", b"c", b"d"]


@pytest.fixture
def tokens(client: aerospike.Client, key: Key) -> Key:
    """A record with a map of four tokens."""
    items = {name: [name, number] for number, name in enumerate(KEYS)}
    operate(client, key, [mp.map_put_items("t", items, KEY_ORDERED)])
    return key


def answer(client: aerospike.Client, key: Key, operation: dict[str, Any]) -> Any:
    return operate(client, key, [operation])[0][1]


def test_remove_answers_what_it_is_asked_for(client: aerospike.Client, tokens: Key) -> None:
    count, exists = aerospike.MAP_RETURN_COUNT, aerospike.MAP_RETURN_EXISTS
    assert answer(client, tokens, mp.map_remove_by_key("t", b"a", count)) == 1
    assert answer(client, tokens, mp.map_remove_by_key("t", b"a", count)) == 0
    assert answer(client, tokens, mp.map_remove_by_key("t", b"b", exists)) is True
    assert answer(client, tokens, mp.map_remove_by_key("t", b"b", exists)) is False
    assert answer(client, tokens, mp.map_remove_by_key_list("t", KEYS, count)) == 2


def test_remove_of_the_last_key_leaves_an_empty_map(client: aerospike.Client, key: Key) -> None:
    operate(client, key, [mp.map_put("t", b"k", 1)])
    operate(client, key, [mp.map_remove_by_key("t", b"k", aerospike.MAP_RETURN_NONE)])
    assert bins_of(client, key) == {"t": {}}


def test_get_by_key(client: aerospike.Client, tokens: Key) -> None:
    value, exists = aerospike.MAP_RETURN_VALUE, aerospike.MAP_RETURN_EXISTS
    assert answer(client, tokens, mp.map_get_by_key("t", b"b", value)) == [b"b", 1]
    assert answer(client, tokens, mp.map_get_by_key("t", b"b", exists)) is True
    assert answer(client, tokens, mp.map_get_by_key("t", b"x", exists)) is False
    assert answer(client, tokens, mp.map_get_by_key("t", b"c", aerospike.MAP_RETURN_INDEX)) == 2
    assert answer(client, tokens, mp.map_get_by_key("t", b"x", aerospike.MAP_RETURN_INDEX)) == -1
    listed = mp.map_get_by_key_list("t", [b"d", b"x", b"a"], aerospike.MAP_RETURN_KEY)
    assert sorted(answer(client, tokens, listed)) == [b"a", b"d"]


def test_get_by_index_range(client: aerospike.Client, tokens: Key) -> None:
    def get(start: int, count: int, returned: int) -> Any:
        return answer(client, tokens, mp.map_get_by_index_range("t", start, count, returned))

    assert get(0, 100_000, aerospike.MAP_RETURN_VALUE) == [[k, n] for n, k in enumerate(KEYS)]
    assert get(1, 2, aerospike.MAP_RETURN_KEY) == [b"b", b"c"]
    assert get(-1, 1, aerospike.MAP_RETURN_KEY_VALUE) in ({b"d": [b"d", 3]}, [b"d", [b"d", 3]])
    assert get(9, 1, aerospike.MAP_RETURN_KEY) == []
    assert answer(client, tokens, mp.map_get_by_index("t", 0, aerospike.MAP_RETURN_KEY)) == b"a"
    refused(26, operate, client, tokens, [mp.map_get_by_index("t", 9, aerospike.MAP_RETURN_KEY)])


def test_increment_of_a_key(client: aerospike.Client, key: Key) -> None:
    assert answer(client, key, mp.map_increment("m", b"s", 1, KEY_ORDERED)) == 1
    assert answer(client, key, mp.map_increment("m", b"s", 41)) == 42
    assert answer(client, key, mp.map_decrement("m", b"s", 2)) == 40


def test_put_flags(client: aerospike.Client, tokens: Key) -> None:
    def put(name: bytes, flags: int) -> dict[str, Any]:
        return mp.map_put("t", name, 1, KEY_ORDERED | {"map_write_flags": flags})

    create, update = aerospike.MAP_WRITE_FLAGS_CREATE_ONLY, aerospike.MAP_WRITE_FLAGS_UPDATE_ONLY
    refused(24, operate, client, tokens, [put(b"a", create)])
    refused(23, operate, client, tokens, [put(b"x", update)])
    no_fail = aerospike.MAP_WRITE_FLAGS_NO_FAIL
    assert answer(client, tokens, put(b"a", create | no_fail)) == 4
    assert bins_of(client, tokens)["t"][b"a"] == [b"a", 0]


def test_map_of_another_type_is_refused(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"t": 1})
    refused(12, operate, client, key, [mp.map_put("t", b"k", 1)])
    refused(12, operate, client, key, [mp.map_size("t")])


def test_increment_of_another_type_is_refused(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"a": "text"})
    refused(12, operate, client, key, [op.increment("a", 1)])


def test_an_expression_reads_under_its_own_name(client: aerospike.Client, tokens: Key) -> None:
    size = exp.MapSize(None, exp.MapBin("t")).compile()
    one = exp.BitGetInt(0, 32, False, exp.BlobBin("b")).compile()
    client.put(tokens, {"b": bytes(3) + b"\x07"})
    ops = [eo.expression_read("size", size), eo.expression_read("b0", one)]
    assert operate(client, tokens, ops) == [("size", 4), ("b0", 7)]


def test_an_expression_of_a_missing_bin(client: aerospike.Client, key: Key) -> None:
    client.put(key, {"v": 1})
    size = exp.MapSize(None, exp.MapBin("t")).compile()
    refused(26, operate, client, key, [eo.expression_read("size", size)])
    lenient = eo.expression_read("size", size, aerospike.EXP_READ_EVAL_NO_FAIL)
    assert operate(client, key, [lenient, op.read("v")])[-1] == ("v", 1)
