"""Batches: many records' reads, writes and removals in one message, answered one by one."""

import dataclasses
import struct
from collections.abc import Callable, Iterator

from .codes import Code, Field, Info1, Info2, Info3
from .wire import Broken, Reply, Request, cut_fields, cut_ops, last_bytes, reply_bytes

_ROW = struct.Struct(">I20sB")

REPEAT = 1
EXTRA_INFO = 2
GENERATION = 4
TTL = 8
INFO4 = 16

RESPOND_ALL = 4

# What makes no batch fail.
_HARMLESS = (Code.OK, Code.NOT_FOUND, Code.FILTERED_OUT)


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """A batch's requests, and what holds for all of them."""

    requests: list[Request]
    filter: bytes | None
    respond_all: bool


def cut_batch(message: Request) -> Batch:
    """Take a batch apart; rows that repeat the one before carry only their digest."""
    body = message.fields.get(Field.BATCH_INDEX)
    if body is None:
        raise Broken
    try:
        count, flags = struct.unpack_from(">IB", body)
        requests = list(_rows(body, 5, count))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Broken from error
    return Batch(requests, message.fields.get(Field.FILTER), bool(flags & RESPOND_ALL))


def _rows(body: bytes, position: int, count: int) -> Iterator[Request]:
    row: Request | None = None
    for _ in range(count):
        index, digest, flags = _ROW.unpack_from(body, position)
        position += _ROW.size
        if not flags & REPEAT:
            row, position = _row(body, position, flags)
        if row is None:
            raise Broken
        fields = {**row.fields, Field.DIGEST: digest}
        yield dataclasses.replace(row, fields=fields, index=index)


def _row(body: bytes, position: int, flags: int) -> tuple[Request, int]:
    info1, info2, info3, generation, ttl = body[position], 0, 0, 0, 0
    position += 1
    if flags & EXTRA_INFO:
        info2, info3 = body[position], body[position + 1]
        position += 2
    if flags & INFO4:
        position += 1
    if flags & GENERATION:
        generation = struct.unpack_from(">H", body, position)[0]
        position += 2
    if flags & TTL:
        ttl = struct.unpack_from(">I", body, position)[0]
        position += 4
    n_fields, n_ops = struct.unpack_from(">HH", body, position)
    fields, position = cut_fields(body, position + 4, n_fields)
    ops, position = cut_ops(body, position, n_ops)
    info = (Info1(info1), Info2(info2), Info3(info3))
    return Request(*info, generation, ttl, fields, ops), position


def perform_batch(batch: Batch, perform: Callable[[Request], Reply]) -> bytes:
    """Do the requests in the order of the batch, so the last of several on one key stays."""
    parts = []
    code = int(Code.OK)
    for request in batch.requests:
        reply = perform(request)
        parts.append(reply_bytes(reply, request.index))
        if reply.code not in _HARMLESS and not batch.respond_all:
            # The batch then fails as a whole, though each of its requests is done and answered.
            code = reply.code
    parts.append(last_bytes(code))
    return b"".join(parts)
