"""Messages on the wire: frames, headers, fields and operations, taken apart and put together."""

import dataclasses
import struct

from .codes import Field, Info1, Info2, Info3, Op
from .values import Value

VERSION = 2
INFO, MESSAGE, COMPRESSED = 1, 3, 4

# Bytes. A server closes the connection on a message of this size or more.
MESSAGE_BYTES_MAX = 128 * 1024 * 1024

_FRAME = struct.Struct(">Q")
_HEADER = struct.Struct(">BBBBBBIIIHH")
_FIELD = struct.Struct(">IB")
_OPERATION = struct.Struct(">IBBBB")


class Broken(Exception):  # noqa: N818 - the peer's fault
    """Bytes that are no message. The connection ends."""


@dataclasses.dataclass(frozen=True, slots=True)
class BinOp:
    """One operation on a bin."""

    op: int
    name: str
    value: Value


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One record's share of a message: what to do to it and under which conditions."""

    info1: Info1
    info2: Info2
    info3: Info3
    generation: int
    ttl: int
    fields: dict[int, bytes]
    ops: list[BinOp]
    # Place in its batch; -1 for a message of its own.
    index: int = -1

    @property
    def namespace(self) -> str:
        return self.fields.get(Field.NAMESPACE, b"").decode()

    @property
    def set_name(self) -> str:
        return self.fields.get(Field.SET, b"").decode()

    @property
    def digest(self) -> bytes:
        return self.fields.get(Field.DIGEST, b"")


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What a request ended with."""

    code: int
    generation: int = 0
    void_time_s: int = 0
    bins: tuple[tuple[str, Value], ...] = ()


def frame(kind: int, body: bytes) -> bytes:
    return _FRAME.pack(VERSION << 56 | kind << 48 | len(body)) + body


def cut_frame(data: bytearray) -> tuple[int, bytes] | None:
    """Take the first whole frame off the data; none if it is not there yet.

    Raises:
        Broken: The data is no frame, or the frame is too large.
    """
    if len(data) < _FRAME.size:
        return None
    word = _FRAME.unpack_from(data)[0]
    version, kind, size = word >> 56, word >> 48 & 0xFF, word & 0xFFFFFFFFFFFF
    if version != VERSION or kind not in (INFO, MESSAGE, COMPRESSED) or size >= MESSAGE_BYTES_MAX:
        raise Broken
    if len(data) < _FRAME.size + size:
        return None
    body = bytes(data[_FRAME.size : _FRAME.size + size])
    del data[: _FRAME.size + size]
    return kind, body


def cut_request(body: bytes) -> Request:
    """Take a message apart."""
    try:
        size, info1, info2, info3, _, _, generation, ttl, _, n_fields, n_ops = _HEADER.unpack_from(
            body
        )
        fields, position = cut_fields(body, size, n_fields)
        ops, _ = cut_ops(body, position, n_ops)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Broken from error
    return Request(Info1(info1), Info2(info2), Info3(info3), generation, ttl, fields, ops)


def cut_fields(body: bytes, position: int, count: int) -> tuple[dict[int, bytes], int]:
    fields = {}
    for _ in range(count):
        size, kind = _FIELD.unpack_from(body, position)
        position += _FIELD.size
        end = position + size - 1
        if end > len(body):
            raise Broken
        fields[kind] = body[position:end]
        position = end
    return fields, position


def cut_ops(body: bytes, position: int, count: int) -> tuple[list[BinOp], int]:
    ops = []
    for _ in range(count):
        size, op, kind, _, name_size = _OPERATION.unpack_from(body, position)
        start = position + _OPERATION.size
        position += 4 + size
        if position > len(body):
            raise Broken
        name = body[start : start + name_size].decode()
        ops.append(BinOp(op, name, Value(kind, body[start + name_size : position])))
    return ops, position


def reply_bytes(reply: Reply, index: int = 0) -> bytes:
    """Put an answer together; in a batch it says which record it is about."""
    parts = [_head(reply.code, 0, reply.generation, reply.void_time_s, index, len(reply.bins))]
    for name, value in reply.bins:
        encoded = name.encode()
        parts.append(
            _OPERATION.pack(
                4 + len(encoded) + len(value.data), Op.READ, value.kind, 0, len(encoded)
            )
        )
        parts.append(encoded)
        parts.append(value.data)
    return b"".join(parts)


def last_bytes(code: int) -> bytes:
    """Put together what ends the answers of a batch."""
    return _head(code, Info3.LAST, 0, 0, 0, 0)


def _head(code: int, info3: int, generation: int, void_s: int, index: int, n_ops: int) -> bytes:
    return _HEADER.pack(_HEADER.size, 0, 0, info3, 0, code, generation, void_s, index, 0, n_ops)
