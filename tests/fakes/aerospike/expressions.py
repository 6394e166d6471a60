"""Expressions: filters in front of an operation, and values that an operation computes."""

import dataclasses
from collections.abc import Callable, Mapping

from .bits import modify_bits, read_bits
from .codes import Code, Kind, Refusal
from .maps import modify_map, read_map
from .packed import elements, head, int_of, order_of, pack_list, signed, text_of
from .values import NOTHING, Value, boolean, integer, value_of

# Bins are typed in expressions. A bin of another type than the expression says is unknown.
_KIND_OF_TYPE = {
    0: Kind.NULL,
    1: Kind.BOOL,
    2: Kind.INTEGER,
    3: Kind.STRING,
    4: Kind.LIST,
    5: Kind.MAP,
    6: Kind.BLOB,
    7: Kind.FLOAT,
    8: Kind.GEOJSON,
}
_TRUE = boolean(True)
_FALSE = boolean(False)
_MODIFY = 0x40


class Unknown(Exception):  # noqa: N818 - the third truth value, not an error
    """What an expression is if a bin it needs is missing or has another type."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """The record that an expression is about."""

    bins: Mapping[str, Value]
    set_name: str = ""
    # Milliseconds since the last update, and seconds to live: -1 for ever.
    since_update_ms: int = 0
    last_update_ns: int = 0
    ttl_s: int = -1
    void_time_ns: int = -1
    key_stored: bool = False


def matches(expression: bytes, subject: Subject) -> bool:
    """Decide a filter. What is unknown does not match."""
    try:
        return evaluate(expression, subject) == _TRUE
    except Unknown:
        return False


def evaluate(expression: bytes, subject: Subject) -> Value:
    """Compute an expression's value.

    Raises:
        Unknown: A bin it needs is missing or of another type.
        Refusal: The expression is malformed, or uses what is not built here.
    """
    if head(expression, 0)[0] != "list":
        return value_of(expression)
    first, *arguments = elements(expression)
    handler = _HANDLERS.get(int_of(first))
    if handler is None:
        raise Refusal(Code.PARAMETER)
    return handler(arguments, subject)


# Truth…


def _compare(decide: Callable[[object, object], bool]) -> "_Handler":
    def handler(arguments: list[bytes], subject: Subject) -> Value:
        left, right = (evaluate(argument, subject) for argument in arguments)
        if left.kind != right.kind:
            # The server refuses to build such an expression.
            raise Refusal(Code.PARAMETER)
        return boolean(decide(order_of(left.element), order_of(right.element)))

    return handler


def _all(arguments: list[bytes], subject: Subject) -> Value:
    return _logic(arguments, subject, stop_at=_FALSE, otherwise=_TRUE)


def _any(arguments: list[bytes], subject: Subject) -> Value:
    return _logic(arguments, subject, stop_at=_TRUE, otherwise=_FALSE)


def _logic(arguments: list[bytes], subject: Subject, *, stop_at: Value, otherwise: Value) -> Value:
    unknown = False
    for argument in arguments:
        try:
            if evaluate(argument, subject) == stop_at:
                return stop_at
        except Unknown:
            unknown = True
    if unknown:
        raise Unknown
    return otherwise


def _exclusive(arguments: list[bytes], subject: Subject) -> Value:
    return boolean([evaluate(item, subject) for item in arguments].count(_TRUE) == 1)


def _not(arguments: list[bytes], subject: Subject) -> Value:
    return boolean(evaluate(arguments[0], subject) != _TRUE)


def _condition(arguments: list[bytes], subject: Subject) -> Value:
    *cases, default = arguments
    for when, then in zip(cases[::2], cases[1::2], strict=True):
        if evaluate(when, subject) == _TRUE:
            return evaluate(then, subject)
    return evaluate(default, subject)


def _unknown(arguments: list[bytes], subject: Subject) -> Value:
    raise Unknown


# Numbers…


def _arithmetic(fold: Callable[[int, int], int]) -> "_Handler":
    def handler(arguments: list[bytes], subject: Subject) -> Value:
        first, *rest = [evaluate(item, subject).number for item in arguments]
        for number in rest:
            first = signed(fold(first, number))
        return integer(first)

    return handler


# The record…


def _bin(arguments: list[bytes], subject: Subject) -> Value:
    found = subject.bins.get(text_of(arguments[1]), NOTHING)
    if not found or found.kind != _KIND_OF_TYPE.get(int_of(arguments[0])):
        raise Unknown
    return found


def _bin_type(arguments: list[bytes], subject: Subject) -> Value:
    return integer(subject.bins.get(text_of(arguments[0]), NOTHING).kind)


def _of_record(read: Callable[[Subject], Value]) -> "_Handler":
    return lambda arguments, subject: read(subject)


def _call(arguments: list[bytes], subject: Subject) -> Value:
    """Do an operation on a map or on bits, to a bin or to what another expression gives."""
    expected = _KIND_OF_TYPE.get(int_of(arguments[0]))
    system = int_of(arguments[1])
    op, *parameters = elements(arguments[2])
    packed = pack_list([op, *(evaluate(item, subject).element for item in parameters)])
    operand = evaluate(arguments[3], subject)
    try:
        if system == 0:
            answer = read_map(operand, packed)
        elif system == _MODIFY:
            answer = modify_map(operand, packed)[0]
        elif system == 1:
            answer = read_bits(operand, packed)
        elif system == 1 | _MODIFY:
            answer = modify_bits(operand, packed)
        else:
            raise Refusal(Code.UNSUPPORTED)
    except Refusal as refusal:
        if refusal.code == Code.UNSUPPORTED:
            raise
        raise Unknown from None
    if answer.kind != expected:
        # Such as the value of a key that is not in the map.
        raise Unknown
    return answer


def _quote(arguments: list[bytes], subject: Subject) -> Value:
    return value_of(arguments[0])


_Handler = Callable[[list[bytes], Subject], Value]

_HANDLERS: dict[int, _Handler] = {
    0: _unknown,
    1: _compare(lambda left, right: left == right),
    2: _compare(lambda left, right: left != right),
    3: _compare(lambda left, right: left > right),  # type: ignore[operator]
    4: _compare(lambda left, right: left >= right),  # type: ignore[operator]
    5: _compare(lambda left, right: left < right),  # type: ignore[operator]
    6: _compare(lambda left, right: left <= right),  # type: ignore[operator]
    16: _all,
    17: _any,
    18: _not,
    19: _exclusive,
    20: _arithmetic(lambda left, right: left + right),
    21: _arithmetic(lambda left, right: left - right),
    22: _arithmetic(lambda left, right: left * right),
    32: _arithmetic(lambda left, right: left & right),
    33: _arithmetic(lambda left, right: left | right),
    34: _arithmetic(lambda left, right: left ^ right),
    50: _arithmetic(min),
    51: _arithmetic(max),
    66: _of_record(lambda subject: integer(subject.last_update_ns)),
    67: _of_record(lambda subject: integer(subject.since_update_ms)),
    68: _of_record(lambda subject: integer(subject.void_time_ns)),
    69: _of_record(lambda subject: integer(subject.ttl_s)),
    70: _of_record(lambda subject: Value(Kind.STRING, subject.set_name.encode())),
    71: _of_record(lambda subject: boolean(subject.key_stored)),
    72: _of_record(lambda subject: _FALSE),
    81: _bin,
    82: _bin_type,
    123: _condition,
    126: _quote,
    127: _call,
}
