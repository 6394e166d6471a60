"""The filter operators: each turns an operand into a test of one stored value."""

import re
from collections.abc import Callable
from fnmatch import translate
from typing import Any, TypeAlias

from .answers import bad_request
from .limits import PATTERN_CHARS_MAX
from .types import Kind, Type
from .values import MismatchError, Value, reader_of, type_name

# Stored values reach the tests checked against the schema, so that comparing within one type
# cannot fail; Any spares the casts that would only repeat it.
Test: TypeAlias = Callable[[Any], bool]
Maker: TypeAlias = Callable[[str, Type, object], Test]


def _is_null(stored: Any) -> bool:
    return stored is None


def _never(stored: Any) -> bool:
    return False


def _always(stored: Any) -> bool:
    return True


def negate(maker: Maker) -> Maker:
    """Make the opposite operator; like `NotEq`, it matches rows without the attribute."""

    def make(op: str, type_: Type, operand: object) -> Test:
        test = maker(op, type_, operand)
        return lambda stored: not test(stored)

    return make


def equal(op: str, type_: Type, operand: object) -> Test:
    if operand is None:
        return _is_null
    wanted = _read(op, type_, operand)
    return lambda stored: stored == wanted


def any_of(op: str, type_: Type, operand: object) -> Test:
    """`In`. On an array attribute it means "shares an element", and a bare scalar will do."""
    if type_.is_array:
        return contains_any(op, type_, operand if isinstance(operand, list) else [operand])
    wanted = _read_set(op, type_, operand)
    return lambda stored: stored in wanted


def contains(op: str, type_: Type, operand: object) -> Test:
    _need_array(op, type_, operand)
    wanted = None if operand is None else _read(op, type_.item(), operand)
    return lambda stored: stored is not None and wanted in stored


def contains_any(op: str, type_: Type, operand: object) -> Test:
    _need_array(op, type_, operand)
    wanted = _read_set(op, type_, operand)
    return lambda stored: stored is not None and not wanted.isdisjoint(stored)


def less(op: str, type_: Type, operand: object) -> Test:
    """`Lt` and `Lte`: null counts as less than every value, as documented."""
    _need_scalar(op, type_)
    if operand is None:
        # A null operand comes from `$ref_new`; null as the least value is unconfirmed.
        return _never if op == "Lt" else _is_null
    bound: Any = _read(op, type_, operand)
    if op == "Lt":
        return lambda stored: stored is None or stored < bound
    return lambda stored: stored is None or stored <= bound


def greater(op: str, type_: Type, operand: object) -> Test:
    _need_scalar(op, type_)
    if operand is None:
        return _always if op == "Gte" else lambda stored: stored is not None
    bound: Any = _read(op, type_, operand)
    if op == "Gt":
        return lambda stored: stored is not None and stored > bound
    return lambda stored: stored is not None and stored >= bound


def any_element(op: str, type_: Type, operand: object) -> Test:
    """`AnyLt` and its like: one element that is not null passes the comparison."""
    _need_array(op, type_, operand)
    if operand is None:
        raise _mismatch(op, type_.item().name, operand)
    maker = less if op in ("AnyLt", "AnyLte") else greater
    test = maker(op.removeprefix("Any"), type_.item(), operand)
    return lambda stored: any(item is not None and test(item) for item in stored or ())


def glob(op: str, type_: Type, operand: object) -> Test:
    """Unix shell patterns over the whole string; `IGlob` ignores case."""
    pattern = _read_pattern(op, type_, operand)
    return _matcher(re.compile(translate(pattern), re.IGNORECASE if "IGlob" in op else 0).match)


def regex(op: str, type_: Type, operand: object) -> Test:
    """A regular expression found anywhere in the string (whether anchored is unconfirmed)."""
    pattern = _read_pattern(op, type_, operand)
    if re.search(r"\(\?(?:=|!|<=|<!)", pattern):
        raise bad_request(f"{op}: look-around is not supported in regular expressions")
    try:
        return _matcher(re.compile(pattern).search)
    except (re.error, OverflowError, RecursionError) as fault:
        raise bad_request(f"{op}: invalid regular expression: {fault}") from fault


OPERATORS: dict[str, Maker] = {
    "Eq": equal,
    "NotEq": negate(equal),
    "In": any_of,
    "NotIn": negate(any_of),
    "Contains": contains,
    "NotContains": negate(contains),
    "ContainsAny": contains_any,
    "NotContainsAny": negate(contains_any),
    "Lt": less,
    "Lte": less,
    "Gt": greater,
    "Gte": greater,
    "AnyLt": any_element,
    "AnyLte": any_element,
    "AnyGt": any_element,
    "AnyGte": any_element,
    "Glob": glob,
    "NotGlob": negate(glob),
    "IGlob": glob,
    "NotIGlob": negate(glob),
    "Regex": regex,
}


def _matcher(match: Callable[[str], object]) -> Test:
    def test(stored: Any) -> bool:
        if isinstance(stored, list):
            return any(item is not None and match(item) is not None for item in stored)
        return stored is not None and match(stored) is not None

    return test


def _read(op: str, type_: Type, operand: object) -> Value:
    try:
        return reader_of(type_)(operand)
    except MismatchError as fault:
        raise _mismatch(op, type_.name, operand) from fault


def _read_set(op: str, type_: Type, operand: object) -> set[Any]:
    item = type_.item()
    if not isinstance(operand, list):
        raise _mismatch(op, f"[]{item.name}", operand)
    try:
        read = reader_of(item)
        return {None if value is None else read(value) for value in operand}
    except MismatchError as fault:
        raise _mismatch(op, f"[]{item.name}", operand) from fault


def _read_pattern(op: str, type_: Type, operand: object) -> str:
    if type_.kind is not Kind.STRING or not isinstance(operand, str):
        raise _mismatch(op, "string", operand)
    if len(operand) > PATTERN_CHARS_MAX:
        raise bad_request(f"{op}: a pattern has at most {PATTERN_CHARS_MAX} characters")
    return operand


def _need_array(op: str, type_: Type, operand: object) -> None:
    if not type_.is_array:
        raise bad_request(f"{op} needs an array attribute, but the attribute is {type_.name}")


def _need_scalar(op: str, type_: Type) -> None:
    if type_.is_array:
        raise bad_request(f"{op} needs a scalar attribute, but the attribute is {type_.name}")


def _mismatch(op: str, expected: str, operand: object) -> Exception:
    return bad_request(f"type mismatch, {op} expects {expected}, but got {type_name(operand)}")
