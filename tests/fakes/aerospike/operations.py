"""The operations of one message on one record's bins, in their order, all or nothing."""

from collections.abc import Callable, Mapping

from .bits import modify_bits, read_bits
from .codes import Code, Info1, Info2, Kind, Op, Refusal
from .expressions import Subject, Unknown, evaluate
from .maps import modify_map, read_map
from .packed import elements, int_of
from .values import NOTHING, Value, integer
from .wire import BinOp, Request

EXP_CREATE_ONLY = 1
EXP_UPDATE_ONLY = 2
EXP_ALLOW_DELETE = 4
EXP_POLICY_NO_FAIL = 8
EXP_EVAL_NO_FAIL = 16

# Bytes. The longest name of a bin.
BIN_NAME_BYTES_MAX = 15

READS = (Op.READ, Op.CDT_READ, Op.BITS_READ, Op.EXP_READ)
# With a replacing policy a server refuses these: they need what the replacement throws away.
_NEED_THE_OLD = (
    Op.CDT_MODIFY,
    Op.BITS_MODIFY,
    Op.INCREMENT,
    Op.APPEND,
    Op.PREPEND,
    Op.TOUCH,
    Op.DELETE_ALL,
)

Bins = dict[str, Value]
Answers = list[tuple[str, Value]]
# Shows the record with these bins to an expression.
Show = Callable[[Mapping[str, Value]], Subject]


def check_ops(request: Request, *, replace: bool) -> None:
    """Refuse a write whose operations don't fit together, before the record is looked at."""
    if not request.ops:
        raise Refusal(Code.PARAMETER)
    for op in request.ops:
        if len(op.name.encode()) > BIN_NAME_BYTES_MAX:
            raise Refusal(Code.BIN_NAME)
        deletes = op.op == Op.WRITE and not op.value
        if replace and (op.op in _NEED_THE_OLD or deletes):
            raise Refusal(Code.PARAMETER)
        if op.op in READS and not request.info1 & Info1.READ:
            raise Refusal(Code.PARAMETER)
        if _reads_all(op, request) and request.info2 & Info2.RESPOND_ALL_OPS:
            raise Refusal(Code.PARAMETER)


def write_ops(request: Request, bins: Bins, show: Show) -> Answers:
    """Change the bins in place, and give the answers.

    Raises:
        Refusal: One of the operations failed. The bins are then of no use.
    """
    answers: Answers = []
    respond_all = bool(request.info2 & Info2.RESPOND_ALL_OPS)
    for op in request.ops:
        if op.op == Op.TOUCH:
            continue
        if _reads_all(op, request):
            answers.extend(bins.items())
            continue
        if op.op in READS:
            answer = _read(op, bins, show)
            # A plain read of a missing bin is left out; the others then answer with nothing.
            speaks = op.op == Op.EXP_READ or (op.op != Op.READ and op.name in bins)
            if respond_all or answer or speaks:
                answers.append((op.name, answer))
            continue
        answer = _write(op, bins, show)
        if respond_all or answer:
            answers.append((op.name, answer))
    return answers


def read_ops(request: Request, bins: Bins, show: Show) -> Answers:
    """Answer a message that only reads. What is missing is left out."""
    if request.info1 & Info1.GET_ALL:
        return list(bins.items())
    if not request.ops:
        raise Refusal(Code.PARAMETER)
    answers = []
    for op in request.ops:
        if op.op not in READS:
            raise Refusal(Code.PARAMETER)
        answer = _read(op, bins, show)
        if answer or request.info2 & Info2.RESPOND_ALL_OPS:
            answers.append((op.name, answer))
    return answers


def _reads_all(op: BinOp, request: Request) -> bool:
    return op.op == Op.READ and not op.name and bool(request.info1 & Info1.GET_ALL)


def _read(op: BinOp, bins: Bins, show: Show) -> Value:
    if op.op == Op.EXP_READ:
        return _evaluated(op.value.data, bins, show)[0]
    found = bins.get(op.name, NOTHING)
    if not found or op.op == Op.READ:
        return found
    return (read_map if op.op == Op.CDT_READ else read_bits)(found, op.value.data)


def _write(op: BinOp, bins: Bins, show: Show) -> Value:
    if op.op == Op.DELETE_ALL:
        bins.clear()
        return NOTHING
    old = bins.get(op.name, NOTHING)
    answer = NOTHING
    if op.op == Op.WRITE:
        new = op.value
    elif op.op == Op.CDT_MODIFY:
        new, answer = modify_map(old, op.value.data)
    elif op.op == Op.BITS_MODIFY:
        new = modify_bits(old, op.value.data)
    elif op.op == Op.EXP_MODIFY:
        new = _computed(op, old, bins, show)
    elif op.op == Op.INCREMENT:
        new = integer((old.number if old else 0) + op.value.number)
    elif op.op in (Op.APPEND, Op.PREPEND):
        new = _joined(op, old)
    else:
        raise Refusal(Code.PARAMETER)
    if new:
        bins[op.name] = new
    else:
        bins.pop(op.name, None)
    return answer


def _joined(op: BinOp, old: Value) -> Value:
    if op.value.kind not in (Kind.STRING, Kind.BLOB) or (old and old.kind != op.value.kind):
        raise Refusal(Code.BIN_TYPE)
    parts = (old.data, op.value.data) if op.op == Op.APPEND else (op.value.data, old.data)
    return Value(op.value.kind, b"".join(parts))


def _evaluated(packed: bytes, bins: Bins, show: Show) -> tuple[Value, int]:
    expression, *rest = elements(packed)
    flags = int_of(rest[0]) if rest else 0
    try:
        return evaluate(expression, show(bins)), flags
    except Unknown:
        if flags & EXP_EVAL_NO_FAIL:
            return NOTHING, flags
        raise Refusal(Code.OP_NOT_APPLICABLE) from None


def _computed(op: BinOp, old: Value, bins: Bins, show: Show) -> Value:
    flags = int_of(elements(op.value.data)[1])
    code = None
    if old and flags & EXP_CREATE_ONLY:
        code = Code.BIN_EXISTS
    elif not old and flags & EXP_UPDATE_ONLY:
        code = Code.BIN_NOT_FOUND
    if code is not None:
        if flags & EXP_POLICY_NO_FAIL:
            return old
        raise Refusal(code)
    new, _ = _evaluated(op.value.data, bins, show)
    if not new and old and not flags & EXP_ALLOW_DELETE:
        if flags:
            return old
        raise Refusal(Code.OP_NOT_APPLICABLE)
    return new
