"""Operations on the bits of a blob."""

import dataclasses

from .codes import Code, Kind, Refusal
from .packed import elements, unpack
from .values import Value, blob, integer

CREATE_ONLY = 1
UPDATE_ONLY = 2
NO_FAIL = 4
PARTIAL = 8

SIGNED = 1
SATURATE = 2
WRAP = 4

FROM_FRONT = 1
GROW_ONLY = 2
SHRINK_ONLY = 4

RESIZE, INSERT, REMOVE = 0, 1, 2
SET, OR, XOR, AND, NOT, LSHIFT, RSHIFT, ADD, SUBTRACT, SET_INT = range(3, 13)
GET, COUNT, LSCAN, RSCAN, GET_INT = range(50, 55)

# Operation: which of its arguments holds the flags of its policy.
_FLAGS_AT = {
    RESIZE: 1,
    **dict.fromkeys((INSERT, REMOVE, NOT), 2),
    **dict.fromkeys((SET, OR, XOR, AND, LSHIFT, RSHIFT, ADD, SUBTRACT, SET_INT), 3),
}
_INTEGERS = (ADD, SUBTRACT, SET_INT, GET_INT)

# Bytes. A blob may not grow to the size of a message or beyond.
BLOB_BYTES_MAX = 128 * 1024 * 1024


class _Nothing(Exception):  # noqa: N818 - control flow, not an error
    """The operation has no effect, and its policy says that this is no failure."""


@dataclasses.dataclass
class _Range:
    """The bits an operation is about, and the number they are in big-endian order."""

    whole: int
    shift: int
    size: int

    @property
    def mask(self) -> int:
        return (1 << self.size) - 1

    @property
    def number(self) -> int:
        return (self.whole >> self.shift) & self.mask

    def replaced(self, number: int) -> int:
        return (self.whole & ~(self.mask << self.shift)) | ((number & self.mask) << self.shift)


def modify_bits(old: Value, packed: bytes) -> Value:
    """Give the blob that the operation makes of the old one, which may be nothing."""
    arguments = [unpack(item) for item in elements(packed)]
    op, *rest = arguments
    if op not in _FLAGS_AT:
        raise Refusal(Code.PARAMETER)
    flags_at = _FLAGS_AT[op]
    flags = rest[flags_at] if len(rest) > flags_at else 0
    try:
        return _modify(old, op, rest, flags)
    except _Nothing:
        return old


def read_bits(old: Value, packed: bytes) -> Value:
    """Answer a read of a blob that exists."""
    op, *rest = [unpack(item) for item in elements(packed)]
    if old.kind != Kind.BLOB:
        raise Refusal(Code.BIN_TYPE)
    if op not in (GET, COUNT, LSCAN, RSCAN, GET_INT):
        raise Refusal(Code.PARAMETER)
    span = _range(old.data, op, rest[0], rest[1], 0)
    if op == GET:
        byte_count = (span.size + 7) // 8
        return blob((span.number << (-span.size % 8)).to_bytes(byte_count, "big"))
    if op == COUNT:
        return integer(span.number.bit_count())
    if op == GET_INT:
        sign = len(rest) > 2 and rest[2] & SIGNED
        return integer(_signed(span.number, span.size) if sign else span.number)
    digits = format(span.number, f"0{span.size}b")
    wanted = "1" if rest[2] else "0"
    return integer(digits.find(wanted) if op == LSCAN else digits.rfind(wanted))


def _modify(old: Value, op: int, rest: list, flags: int) -> Value:
    if old:
        if flags & CREATE_ONLY:
            _fail(flags, Code.BIN_EXISTS)
        if old.kind != Kind.BLOB:
            raise Refusal(Code.BIN_TYPE)
    elif op not in (RESIZE, INSERT) or flags & UPDATE_ONLY:
        # Only these two create a blob. Adding to a counter of a missing one does not.
        _fail(flags, Code.BIN_NOT_FOUND)
    data = old.data
    if op == RESIZE:
        new = _resize(data, rest[0], rest[2] if len(rest) > 2 else 0, flags)
    elif op == INSERT:
        offset = _offset(data, rest[0])
        new = data[:offset].ljust(offset, b"\0") + _bytes(rest[1]) + data[offset:]
    elif op == REMOVE:
        new = _remove(data, _offset(data, rest[0]), rest[1], flags)
    else:
        span = _range(data, op, rest[0], rest[1], flags)
        new = span.replaced(_changed(span, op, rest, flags)).to_bytes(len(data), "big")
    if len(new) >= BLOB_BYTES_MAX:
        raise Refusal(Code.PARAMETER)
    return blob(new)


def _fail(flags: int, code: Code) -> None:
    if flags & NO_FAIL:
        raise _Nothing
    raise Refusal(code)


def _bytes(argument: object) -> bytes:
    if not isinstance(argument, bytes):
        raise Refusal(Code.PARAMETER)
    return argument


def _offset(data: bytes, offset: int) -> int:
    if offset < 0:
        offset += len(data)
    if offset < 0:
        raise Refusal(Code.PARAMETER)
    return offset


def _resize(data: bytes, size: int, subflags: int, flags: int) -> bytes:
    if (size < len(data) and subflags & GROW_ONLY) or (size > len(data) and subflags & SHRINK_ONLY):
        _fail(flags, Code.PARAMETER)
    if subflags & FROM_FRONT:
        return data[len(data) - size :] if size < len(data) else data.rjust(size, b"\0")
    return data[:size].ljust(size, b"\0")


def _remove(data: bytes, offset: int, size: int, flags: int) -> bytes:
    if offset >= len(data) or (offset + size > len(data) and not flags & PARTIAL):
        _fail(flags, Code.PARAMETER)
    return data[:offset] + data[offset + size :]


def _range(data: bytes, op: int, offset: int, size: int, flags: int) -> _Range:
    bits = len(data) * 8
    if offset < 0:
        offset += bits
    if offset < 0 or size < 1 or (op in _INTEGERS and size > 64):
        raise Refusal(Code.PARAMETER)
    if offset >= bits:
        _fail(flags, Code.OP_NOT_APPLICABLE)
    if offset + size > bits:
        if not flags & PARTIAL or op in _INTEGERS:
            _fail(flags, Code.OP_NOT_APPLICABLE)
        size = bits - offset
    return _Range(int.from_bytes(data, "big"), bits - offset - size, size)


def _changed(span: _Range, op: int, rest: list, flags: int) -> int:
    old = span.number
    if op == NOT:
        return ~old
    if op in (LSHIFT, RSHIFT):
        return old << rest[2] if op == LSHIFT else old >> rest[2]
    if op == SET_INT:
        return rest[2]
    if op in (ADD, SUBTRACT):
        return _sum(span, rest[2] if op == ADD else -rest[2], rest[4], flags)
    operand = _bytes(rest[2])
    # The operand's first bits are the range's first bits, whatever their sizes.
    number = int.from_bytes(operand, "big") << max(0, span.size - len(operand) * 8)
    number >>= max(0, len(operand) * 8 - span.size)
    return {SET: number, OR: old | number, XOR: old ^ number, AND: old & number}[op]


def _sum(span: _Range, addend: int, action: int, flags: int) -> int:
    if action & SIGNED:
        low, high = -(1 << (span.size - 1)), (1 << (span.size - 1)) - 1
        total = _signed(span.number, span.size) + addend
    else:
        low, high = 0, span.mask
        total = span.number + addend
    if low <= total <= high or action & WRAP:
        return total
    if not action & SATURATE:
        _fail(flags, Code.OP_NOT_APPLICABLE)
    return high if total > high else low


def _signed(number: int, size: int) -> int:
    return number - (1 << size) if number >> (size - 1) else number
