"""Operations on the bits of a blob, but not the shifts: a server's own are not sound."""

import dataclasses

from .codes import Code, Kind, Refusal
from .packed import elements, int_of, unpack
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
    **dict.fromkeys((SET, OR, XOR, AND, ADD, SUBTRACT, SET_INT), 3),
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


class _Call:
    """An operation's code and its arguments."""

    def __init__(self, packed: bytes) -> None:
        first, *rest = elements(packed)
        self.op = int_of(first)
        self._rest = rest

    def number(self, at: int) -> int:
        """The argument at this place; those left out are 0."""
        return int_of(self._rest[at]) if at < len(self._rest) else 0

    def data(self, at: int) -> bytes:
        argument = unpack(self._rest[at]) if at < len(self._rest) else None
        if not isinstance(argument, bytes):
            raise Refusal(Code.PARAMETER)
        return argument

    @property
    def flags(self) -> int:
        return self.number(_FLAGS_AT[self.op]) if self.op in _FLAGS_AT else 0

    def check(self) -> None:
        """Refuse arguments that fit no blob, before the blob is looked at."""
        op, flags = self.op, self.flags
        allowed = NO_FAIL | UPDATE_ONLY
        allowed |= CREATE_ONLY if op in (RESIZE, INSERT) else 0
        allowed |= PARTIAL if op in (REMOVE, SET, OR, XOR, AND, NOT) else 0
        wrong = bool(flags & ~allowed) or (flags & CREATE_ONLY and flags & UPDATE_ONLY)
        if op not in (RESIZE, INSERT):
            wrong |= self.number(1) < 1
        if op in _INTEGERS:
            wrong |= self.number(1) > 64
        if op in (SET, OR, XOR, AND):
            wrong |= not self.data(2) or len(self.data(2)) * 8 < self.number(1)
        if op == INSERT:
            wrong |= not self.data(1)
        if op == RESIZE:
            wrong |= not ~self.number(2) & (GROW_ONLY | SHRINK_ONLY)
        if op in (ADD, SUBTRACT):
            wrong |= not ~self.number(4) & (SATURATE | WRAP)
        if wrong:
            raise Refusal(Code.PARAMETER)


def modify_bits(old: Value, packed: bytes) -> Value:
    """Give the blob that the operation makes of the old one, which may be nothing."""
    call = _Call(packed)
    if call.op in (LSHIFT, RSHIFT):
        raise Refusal(Code.UNSUPPORTED)
    if call.op not in _FLAGS_AT:
        raise Refusal(Code.PARAMETER)
    call.check()
    try:
        return _modify(old, call)
    except _Nothing:
        return old


def read_bits(old: Value, packed: bytes) -> Value:
    """Answer a read of a blob that exists."""
    call = _Call(packed)
    op = call.op
    if op not in (GET, COUNT, LSCAN, RSCAN, GET_INT):
        raise Refusal(Code.PARAMETER)
    call.check()
    if old.kind != Kind.BLOB:
        raise Refusal(Code.BIN_TYPE)
    span = _range(old.data, call)
    if op == GET:
        byte_count = (span.size + 7) // 8
        return blob((span.number << (-span.size % 8)).to_bytes(byte_count, "big"))
    if op == COUNT:
        return integer(span.number.bit_count())
    if op == GET_INT:
        sign = call.number(2) & SIGNED
        return integer(_signed(span.number, span.size) if sign else span.number)
    digits = format(span.number, f"0{span.size}b")
    wanted = "1" if call.number(2) else "0"
    return integer(digits.find(wanted) if op == LSCAN else digits.rfind(wanted))


def _modify(old: Value, call: _Call) -> Value:
    op, flags = call.op, call.flags
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
        new = _resize(data, call.number(0), call.number(2), flags)
    elif op == INSERT:
        offset = _offset(data, call.number(0))
        new = data[:offset].ljust(offset, b"\0") + call.data(1) + data[offset:]
    elif op == REMOVE:
        new = _remove(data, _offset(data, call.number(0)), call.number(1), flags)
    else:
        span = _range(data, call)
        new = span.replaced(_changed(span, call)).to_bytes(len(data), "big")
    if len(new) >= BLOB_BYTES_MAX:
        raise Refusal(Code.PARAMETER)
    # What has no size already is not created by giving it that size.
    return blob(new) if new or old else old


def _fail(flags: int, code: Code) -> None:
    if flags & NO_FAIL:
        raise _Nothing
    raise Refusal(code)


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


def _range(data: bytes, call: _Call) -> _Range:
    op, flags = call.op, call.flags
    offset, size = call.number(0), call.number(1)
    bits = len(data) * 8
    if offset < 0:
        offset += bits
    if offset < 0:
        raise Refusal(Code.PARAMETER)
    if offset >= bits:
        _fail(flags, Code.OP_NOT_APPLICABLE)
    if offset + size > bits:
        if not flags & PARTIAL or op in _INTEGERS:
            _fail(flags, Code.OP_NOT_APPLICABLE)
        size = bits - offset
    return _Range(int.from_bytes(data, "big"), bits - offset - size, size)


def _changed(span: _Range, call: _Call) -> int:
    op = call.op
    old = span.number
    if op == NOT:
        return ~old
    if op == SET_INT:
        return call.number(2)
    if op in (ADD, SUBTRACT):
        return _sum(span, call)
    operand = call.data(2)
    # The operand's first bits are the range's first bits, whatever their sizes.
    number = int.from_bytes(operand, "big") << max(0, span.size - len(operand) * 8)
    number >>= max(0, len(operand) * 8 - span.size)
    return {SET: number, OR: old | number, XOR: old ^ number, AND: old & number}[op]


def _sum(span: _Range, call: _Call) -> int:
    """Add or subtract as a server does, which sees only the value's lowest bits."""
    action = call.number(4)
    value = call.number(2) & span.mask
    addend = value if call.op == ADD else -value
    total = (span.number + addend) & span.mask
    if action & SIGNED:
        bounds = 1 << (span.size - 1), span.mask >> 1
        signs = [_signed(one & span.mask, span.size) for one in (span.number, addend, total)]
        # Zero out of two negative numbers counts as no overflow.
        below = signs[0] < 0 and signs[1] < 0 and signs[2] > 0
        above = signs[0] > 0 and signs[1] > 0 and signs[2] < 0
    else:
        bounds = 0, span.mask
        below = call.op == SUBTRACT and total > span.number
        above = call.op == ADD and total < span.number
    if action & WRAP or not (below or above):
        return total
    if not action & SATURATE:
        _fail(call.flags, Code.OP_NOT_APPLICABLE)
    return bounds[above]


def _signed(number: int, size: int) -> int:
    return number - (1 << size) if number >> (size - 1) else number
