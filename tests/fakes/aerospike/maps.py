"""Operations on a map in a bin: put, increment, remove and get, by key, index, value and rank."""

import collections
import dataclasses
from collections.abc import Callable

from .codes import Code, Kind, Refusal
from .packed import (
    elements,
    int_of,
    order_of,
    pack_float,
    pack_int,
    pack_list,
    pack_map,
    pairs,
    signed,
    unpack,
)
from .values import NOTHING, Value, boolean, integer, value_of

SET_TYPE, ADD, ADD_ITEMS, PUT, PUT_ITEMS, REPLACE, REPLACE_ITEMS = range(64, 71)
INCREMENT, DECREMENT, CLEAR = 73, 74, 75
SIZE = 96
# Each removal by key, index, value or rank, and the get that selects the same.
_GET_OF_REMOVAL = {
    76: 97,
    77: 98,
    78: 99,
    79: 100,
    81: 107,
    82: 102,
    83: 108,
    84: 103,
    85: 104,
    86: 105,
    87: 106,
}
CONTEXT = 0xFF

K_ORDERED = 1
NO_OVERWRITE = 1
NO_CREATE = 2
NO_FAIL = 4
PARTIAL = 8

INVERTED = 0x10000
(
    RETURN_NONE,
    RETURN_INDEX,
    RETURN_REVERSE_INDEX,
    RETURN_RANK,
    RETURN_REVERSE_RANK,
    RETURN_COUNT,
    RETURN_KEY,
    RETURN_VALUE,
    RETURN_KEY_VALUE,
) = range(9)
RETURN_EXISTS = 13
RETURN_UNORDERED_MAP, RETURN_ORDERED_MAP = 16, 17
_MAP_FLAGS = {RETURN_KEY_VALUE: 8, RETURN_UNORDERED_MAP: 0, RETURN_ORDERED_MAP: 1}

Pair = tuple[bytes, bytes]


@dataclasses.dataclass(frozen=True)
class PackedMap:
    """A map of packed keys and values, in the order they were put."""

    flags: int
    items: dict[bytes, bytes]

    @property
    def sorted(self) -> list[Pair]:
        return sorted(self.items.items(), key=lambda pair: order_of(pair[0]))

    def encoded(self) -> Value:
        ordered = self.sorted if self.flags & K_ORDERED else list(self.items.items())
        value = Value(Kind.MAP, pack_map(self.flags, ordered))
        _remember(value.data, self)
        return value


# The maps last seen, by their packed form, so that a run of operations need not cut them again.
_seen: collections.OrderedDict[bytes, PackedMap] = collections.OrderedDict()
_SEEN_MAX = 64


def map_of(value: Value) -> PackedMap:
    """Cut the map in a bin."""
    if value.kind != Kind.MAP:
        raise Refusal(Code.BIN_TYPE)
    found = _seen.get(value.data)
    if found is None:
        flags, items = pairs(value.data)
        found = PackedMap(flags, dict(items))
        _remember(value.data, found)
    return found


def _remember(data: bytes, found: PackedMap) -> None:
    _seen[data] = found
    if len(_seen) > _SEEN_MAX:
        _seen.popitem(last=False)


def modify_map(old: Value, packed: bytes) -> tuple[Value, Value]:
    """Give the new map and the operation's answer. A missing map may stay missing."""
    op, arguments = _cut(packed)
    if op in (SET_TYPE, CLEAR) or ADD <= op <= DECREMENT:
        return _change(old, op, arguments)
    if op not in _GET_OF_REMOVAL:
        raise Refusal(Code.PARAMETER)
    if not old:
        # Nothing to remove, and no answer either: not even a count of 0.
        return NOTHING, NOTHING
    found = map_of(old)
    chosen, answer = _select(found, _GET_OF_REMOVAL[op], arguments)
    gone = {key for key, _ in chosen}
    left = {key: value for key, value in found.items.items() if key not in gone}
    return PackedMap(found.flags, left).encoded(), answer


def read_map(old: Value, packed: bytes) -> Value:
    """Answer a read of a bin that exists."""
    op, arguments = _cut(packed)
    found = map_of(old)
    if op == SIZE:
        return integer(len(found.items))
    return _select(found, op, arguments)[1]


def _cut(packed: bytes) -> tuple[int, list[bytes]]:
    first, *rest = elements(packed)
    op = int_of(first)
    if op == CONTEXT or op < SET_TYPE:
        # Operations on lists and on containers inside containers are not built here.
        raise Refusal(Code.UNSUPPORTED)
    return op, rest


# Putting…


def _change(old: Value, op: int, arguments: list[bytes]) -> tuple[Value, Value]:
    if op == SET_TYPE:
        flags = int_of(arguments[0]) & 3
        return PackedMap(flags, map_of(old).items if old else {}).encoded(), NOTHING
    if op == CLEAR:
        return (PackedMap(map_of(old).flags, {}).encoded() if old else NOTHING), NOTHING
    if op in (ADD_ITEMS, PUT_ITEMS, REPLACE_ITEMS):
        new_items, rest = pairs(arguments[0])[1], arguments[1:]
    else:
        new_items, rest = [(arguments[0], arguments[1])], arguments[2:]
    found = map_of(old) if old else PackedMap(int_of(rest[0]) & 3 if rest else 0, {})
    if op in (INCREMENT, DECREMENT):
        key, delta = new_items[0]
        total = _added(found.items.get(key), delta, op == DECREMENT)
        return _with(found, [(key, total)], 0).encoded(), value_of(total)
    if op in (ADD, ADD_ITEMS):
        flags = NO_OVERWRITE
    elif op in (REPLACE, REPLACE_ITEMS):
        flags = NO_CREATE
    else:
        flags = int_of(rest[1]) if len(rest) > 1 else 0
    new = _with(found, new_items, flags)
    return new.encoded(), integer(len(new.items))


def _with(found: PackedMap, new_items: list[Pair], flags: int) -> PackedMap:
    items = dict(found.items)
    for key, value in new_items:
        code = None
        if key in items and flags & NO_OVERWRITE:
            code = Code.ELEMENT_EXISTS
        elif key not in items and flags & NO_CREATE:
            code = Code.ELEMENT_NOT_FOUND
        if code is None:
            items[key] = value
        elif not flags & NO_FAIL:
            raise Refusal(code)
        elif not flags & PARTIAL:
            return found
    return PackedMap(found.flags, items)


def _added(old: bytes | None, delta: bytes, down: bool) -> bytes:
    number = unpack(delta)
    number = 1 if number is None else number
    before = 0 if old is None else unpack(old)
    for one in (number, before):
        if isinstance(one, bool) or not isinstance(one, int | float):
            raise Refusal(Code.PARAMETER)
    assert isinstance(number, int | float)
    assert isinstance(before, int | float)
    total = before - number if down else before + number
    return pack_float(total) if isinstance(total, float) else pack_int(signed(total))


# Selecting…


def _select(found: PackedMap, op: int, arguments: list[bytes]) -> tuple[list[Pair], Value]:
    """Give what a get or a removal is about, and its answer."""
    chooser = _CHOOSERS.get(op)
    if chooser is None or not arguments:
        raise Refusal(Code.PARAMETER)
    choose, many = chooser
    wanted = int_of(arguments[0])
    ordered = found.sorted
    chosen = choose(ordered, arguments[1:])
    if wanted & INVERTED:
        kept = {key for key, _ in chosen}
        chosen = [pair for pair in ordered if pair[0] not in kept]
    return chosen, _answer(ordered, chosen, wanted & ~INVERTED, many)


def _by_rank(ordered: list[Pair]) -> list[Pair]:
    return sorted(ordered, key=lambda pair: (order_of(pair[1]), order_of(pair[0])))


def _slice(ordered: list[Pair], start: int, count: int | None) -> list[Pair]:
    if start < 0:
        start += len(ordered)
    end = len(ordered) if count is None else start + count
    return ordered[max(0, start) : max(0, end)]


def _count(arguments: list[bytes], at: int) -> int | None:
    return int_of(arguments[at]) if len(arguments) > at else None


def _one(ordered: list[Pair], position: bytes) -> list[Pair]:
    chosen = _slice(ordered, int_of(position), 1)
    if not chosen:
        raise Refusal(Code.OP_NOT_APPLICABLE)
    return chosen


def _between(part: int) -> Callable[[list[Pair], list[bytes]], list[Pair]]:
    def choose(ordered: list[Pair], arguments: list[bytes]) -> list[Pair]:
        low = order_of(arguments[0])
        high = order_of(arguments[1]) if len(arguments) > 1 and arguments[1] != b"\xc0" else None
        return [
            pair
            for pair in ordered
            if low <= order_of(pair[part]) and (high is None or order_of(pair[part]) < high)
        ]

    return choose


def _equal(part: int) -> Callable[[list[Pair], list[bytes]], list[Pair]]:
    def choose(ordered: list[Pair], arguments: list[bytes]) -> list[Pair]:
        return [pair for pair in ordered if pair[part] == arguments[0]]

    return choose


def _listed(part: int) -> Callable[[list[Pair], list[bytes]], list[Pair]]:
    def choose(ordered: list[Pair], arguments: list[bytes]) -> list[Pair]:
        wanted = set(elements(arguments[0]))
        return [pair for pair in ordered if pair[part] in wanted]

    return choose


# Code of the get: how it chooses, and whether it answers with a list.
_CHOOSERS: dict[int, tuple[Callable[[list[Pair], list[bytes]], list[Pair]], bool]] = {
    97: (_equal(0), False),
    98: (lambda ordered, rest: _one(ordered, rest[0]), False),
    99: (lambda ordered, rest: _equal(1)(ordered, rest)[:1], False),
    100: (lambda ordered, rest: _one(_by_rank(ordered), rest[0]), False),
    102: (_equal(1), True),
    103: (_between(0), True),
    104: (lambda ordered, rest: _slice(ordered, int_of(rest[0]), _count(rest, 1)), True),
    105: (_between(1), True),
    106: (lambda ordered, rest: _slice(_by_rank(ordered), int_of(rest[0]), _count(rest, 1)), True),
    107: (_listed(0), True),
    108: (_listed(1), True),
}


def _answer(ordered: list[Pair], chosen: list[Pair], wanted: int, many: bool) -> Value:
    if wanted == RETURN_NONE:
        return NOTHING
    if wanted == RETURN_COUNT:
        return integer(len(chosen))
    if wanted == RETURN_EXISTS:
        return boolean(bool(chosen))
    if wanted in _MAP_FLAGS:
        return Value(Kind.MAP, pack_map(_MAP_FLAGS[wanted], chosen))
    if wanted in (RETURN_KEY, RETURN_VALUE):
        parts = [pair[wanted - RETURN_KEY] for pair in chosen]
        if many:
            return Value(Kind.LIST, pack_list(parts))
        return value_of(parts[0]) if parts else NOTHING
    if not RETURN_INDEX <= wanted <= RETURN_REVERSE_RANK:
        raise Refusal(Code.OP_NOT_APPLICABLE)
    if many:
        # Which places a server gives for several, and in which order, is not built here.
        raise Refusal(Code.UNSUPPORTED)
    places = _by_rank(ordered) if wanted >= RETURN_RANK else ordered
    numbers = [places.index(pair) for pair in chosen]
    if wanted in (RETURN_REVERSE_INDEX, RETURN_REVERSE_RANK):
        numbers = [len(places) - 1 - number for number in numbers]
    return integer(numbers[0] if numbers else -1)
