"""One request on one record: policies and filter first, then its operations."""

from collections.abc import Mapping

from .codes import Code, Field, Info1, Info2, Info3, Op, Refusal
from .expressions import Subject, matches
from .operations import check_ops, read_ops, write_ops
from .storage import Namespace, Record
from .values import Value
from .wire import Reply, Request

# Generations are 16 bits wide and skip 0 when they start again.
_GENERATION_MAX = 0xFFFF


def perform(namespace: Namespace, request: Request, batch_filter: bytes | None = None) -> Reply:
    """Do what a request asks for, or nothing of it; never raises a Refusal."""
    with namespace.lock:
        try:
            if request.info2 & Info2.DELETE:
                return _remove(namespace, request, batch_filter)
            if request.info2 & Info2.WRITE:
                return _write(namespace, request, batch_filter)
            return _read(namespace, request, batch_filter)
        except Refusal as refusal:
            return Reply(refusal.code)


def _read(namespace: Namespace, request: Request, batch_filter: bytes | None) -> Reply:
    record = namespace.find(request.digest)
    if record is None:
        raise Refusal(Code.NOT_FOUND)
    _check_filter(namespace, request, record, batch_filter)
    answers: list[tuple[str, Value]] = []
    if not request.info1 & Info1.NO_BIN_DATA:
        bins = dict(record.bins)
        answers = read_ops(request, bins, lambda shown: _subject(namespace, record, shown))
    return Reply(Code.OK, record.generation, record.void_time_s, tuple(answers))


def _remove(namespace: Namespace, request: Request, batch_filter: bytes | None) -> Reply:
    # Works on a full node too, unlike the operation that deletes a record's bins.
    record = namespace.find(request.digest)
    if record is None:
        raise Refusal(Code.NOT_FOUND)
    _check_generation(request, record)
    _check_filter(namespace, request, record, batch_filter)
    namespace.drop(record.digest)
    return Reply(Code.OK)


def _write(namespace: Namespace, request: Request, batch_filter: bytes | None) -> Reply:
    if namespace.stop_writes:
        # Before anything else: a write that would be filtered out gets this too.
        raise Refusal(Code.SERVER_FULL)
    replace = bool(request.info3 & (Info3.CREATE_OR_REPLACE | Info3.REPLACE_ONLY))
    check_ops(request, replace=replace)
    old = namespace.find(request.digest)
    touches = any(op.op == Op.TOUCH for op in request.ops)
    if old is None and (request.info3 & (Info3.UPDATE_ONLY | Info3.REPLACE_ONLY) or touches):
        raise Refusal(Code.NOT_FOUND)
    if old is not None and request.info2 & Info2.CREATE_ONLY:
        raise Refusal(Code.RECORD_EXISTS)
    _check_generation(request, old)
    if old is not None:
        # The filter of a write that creates its record is not looked at.
        _check_filter(namespace, request, old, batch_filter)
    draft = _draft(namespace, request, old, replace)
    bins = draft.bins
    answers = write_ops(request, bins, lambda shown: _subject(namespace, draft, shown))
    if bins:
        namespace.store(draft)
        return Reply(Code.OK, draft.generation, draft.void_time_s, tuple(answers))
    if old is None or replace:
        raise Refusal(Code.NOT_FOUND)
    # A record without bins is none.
    namespace.drop(old.digest)
    return Reply(Code.OK, 0, 0, tuple(answers))


def _draft(namespace: Namespace, request: Request, old: Record | None, replace: bool) -> Record:
    """Give the record as it is before its operations, with its new generation and times."""
    key = request.fields.get(Field.KEY, b"")
    if old is not None and old.key and key not in (b"", old.key):
        raise Refusal(Code.KEY_MISMATCH)
    return Record(
        digest=request.digest,
        set_name=request.set_name,
        bins={} if old is None or replace else dict(old.bins),
        generation=1 if old is None else old.generation % _GENERATION_MAX + 1,
        void_time_s=namespace.void_time_s(request.ttl, old),
        last_update_ms=namespace.clock.now_ms(),
        key=key or (old.key if old is not None else b""),
    )


def _check_generation(request: Request, record: Record | None) -> None:
    # A missing record has generation 0, which no wanted one equals.
    found = record.generation if record is not None else 0
    wanted = request.generation & _GENERATION_MAX
    if request.info2 & Info2.GENERATION and wanted != found:
        raise Refusal(Code.GENERATION)
    if request.info2 & Info2.GENERATION_GT and wanted <= found:
        raise Refusal(Code.GENERATION)


def _check_filter(
    namespace: Namespace, request: Request, record: Record, batch_filter: bytes | None
) -> None:
    # A record's own filter takes the place of its batch's.
    expression = request.fields.get(Field.FILTER, batch_filter)
    if expression is not None and not matches(expression, namespace.subject(record)):
        raise Refusal(Code.FILTERED_OUT)


def _subject(namespace: Namespace, record: Record, bins: Mapping[str, Value]) -> Subject:
    shown = namespace.subject(record)
    return Subject(
        bins=bins,
        set_name=shown.set_name,
        since_update_ms=shown.since_update_ms,
        last_update_ns=shown.last_update_ns,
        ttl_s=shown.ttl_s,
        void_time_ns=shown.void_time_ns,
        key_stored=shown.key_stored,
    )
