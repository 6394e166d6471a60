"""The value of a bin: its type and its bytes as they cross the wire."""

import dataclasses
import struct

from .codes import Code, Kind, Refusal
from .packed import Element, head, pack_int, signed, unpack


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """What a bin holds, or what an operation answers. Without a type it is "nothing"."""

    kind: int
    data: bytes

    def __bool__(self) -> bool:
        return self.kind != Kind.NULL

    @property
    def number(self) -> int:
        """The integer this is; refuses other types as the server does."""
        if self.kind != Kind.INTEGER:
            raise Refusal(Code.BIN_TYPE)
        return int.from_bytes(self.data, "big", signed=True)

    @property
    def element(self) -> bytes:
        """This value as an element of a list or a map."""
        return _element_of(self.kind, self.data)

    @property
    def plain(self) -> Element:
        """This value as Python has it."""
        return unpack(self.element)

    @property
    def stored_bytes(self) -> int:
        """What the value takes in the server's storage, its type and length included."""
        if self.kind == Kind.INTEGER:
            number = self.number
            widths = [width for width in (1, 2, 4) if 0 <= number < 1 << (8 * width)]
            return 2 + (widths or [8])[0]
        if self.kind in (Kind.FLOAT, Kind.BOOL):
            return 1 + len(self.data)
        return 5 + len(self.data)


NOTHING = Value(Kind.NULL, b"")


def integer(number: int) -> Value:
    return Value(Kind.INTEGER, signed(number).to_bytes(8, "big", signed=True))


def boolean(truth: bool) -> Value:
    return Value(Kind.BOOL, bytes([truth]))


def blob(data: bytes) -> Value:
    return Value(Kind.BLOB, data)


def value_of(element: bytes) -> Value:
    """Give an element of a list or a map the form of a bin's value."""
    shape, body, size = head(element, 0)
    if shape == "list":
        return Value(Kind.LIST, element)
    if shape == "map":
        return Value(Kind.MAP, element)
    if shape == "text":
        return Value(element[body], element[body + 1 : body + size])
    plain = unpack(element)
    if plain is None:
        return NOTHING
    if isinstance(plain, bool):
        return boolean(plain)
    if isinstance(plain, float):
        return Value(Kind.FLOAT, struct.pack(">d", plain))
    assert isinstance(plain, int)
    return integer(plain)


def _element_of(kind: int, data: bytes) -> bytes:
    if kind in (Kind.LIST, Kind.MAP):
        return data
    if kind == Kind.NULL:
        return b"\xc0"
    if kind == Kind.INTEGER:
        return pack_int(int.from_bytes(data, "big", signed=True))
    if kind == Kind.BOOL:
        return b"\xc3" if data[0] else b"\xc2"
    if kind == Kind.FLOAT:
        return b"\xcb" + data
    size = len(data) + 1
    # Clients pack blobs as texts too, told apart by the type byte; keys are compared packed.
    if size < 0x20:
        return bytes([0xA0 + size, kind]) + data
    for step, width in enumerate((1, 2, 4)):
        if size < 1 << (8 * width):
            return bytes([0xD9 + step]) + size.to_bytes(width, "big") + bytes([kind]) + data
    raise Refusal(Code.PARAMETER)
