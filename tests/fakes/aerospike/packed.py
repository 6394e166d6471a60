"""The packed form of lists, maps and expressions: msgpack, with a type byte before each text."""

import functools
import struct

from .codes import Code, Kind, Refusal

# A decoded element: None, a bool, an int, a float, text, bytes, or a container of them.
Element = object

# First byte of an element that has a fixed size: how many bytes follow it.
_FIXED = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **dict.fromkeys((0xCC, 0xD0), 1),
    **dict.fromkeys((0xCD, 0xD1), 2),
    **dict.fromkeys((0xCA, 0xCE, 0xD2), 4),
    **dict.fromkeys((0xCB, 0xCF, 0xD3), 8),
}
# Of an element that gives its length: the size of that length, and what follows besides.
_SIZED = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),
    0xC7: (1, 1),
    0xC8: (2, 1),
    0xC9: (4, 1),
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),
}
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}


def head(data: bytes, start: int) -> tuple[str, int, int]:
    """Read an element's first bytes: its shape, where its body starts, and its size or count."""
    if start >= len(data):
        raise Refusal(Code.PARAMETER)
    first = data[start]
    body = start + 1
    if first < 0x80 or first >= 0xE0 or first in _FIXED:
        return "scalar", body, _FIXED.get(first, 0)
    if first < 0x90:
        return "map", body, first & 0x0F
    if first < 0xA0:
        return "list", body, first & 0x0F
    if first < 0xC0:
        return "text", body, first & 0x1F
    if first in _CONTAINERS:
        width, per_item = _CONTAINERS[first]
        count = int.from_bytes(data[body : body + width], "big")
        return ("list" if per_item == 1 else "map"), body + width, count
    if first in _SIZED:
        width, extra = _SIZED[first]
        size = int.from_bytes(data[body : body + width], "big")
        return ("ext" if extra else "text"), body + width, size + extra
    if 0xD4 <= first <= 0xD8:
        return "ext", body, 1 + (1 << (first - 0xD4))
    raise Refusal(Code.PARAMETER)


def end_of(data: bytes, start: int) -> int:
    """Find where the element that starts here ends."""
    shape, body, size = head(data, start)
    if shape not in ("list", "map"):
        return body + size
    for _ in range(size * (2 if shape == "map" else 1)):
        body = end_of(data, body)
    return body


def elements(data: bytes, start: int = 0) -> list[bytes]:
    """Cut a list into its packed elements."""
    shape, body, count = head(data, start)
    if shape != "list":
        raise Refusal(Code.PARAMETER)
    found = []
    for _ in range(count):
        end = end_of(data, body)
        found.append(data[body:end])
        body = end
    return found


def pairs(data: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Cut a map into its order flags and its packed keys and values."""
    shape, body, count = head(data, 0)
    if shape != "map":
        raise Refusal(Code.PARAMETER)
    flags = 0
    found = []
    for number in range(count):
        middle = end_of(data, body)
        end = end_of(data, middle)
        key = data[body:middle]
        if number == 0 and key[0] == 0xC7:
            # An ordered map begins with a pair that holds nothing but its order.
            flags = key[2]
        else:
            found.append((key, data[middle:end]))
        body = end
    return flags, found


def unpack(data: bytes) -> Element:
    """Decode one element, containers included."""
    shape, body, size = head(data, 0)
    if shape == "list":
        return [unpack(item) for item in elements(data)]
    if shape == "map":
        return {unpack(key): unpack(value) for key, value in pairs(data)[1]}
    if shape == "text":
        return _text(data[body : body + size])
    first = data[0]
    if first < 0x80:
        return first
    if first >= 0xE0:
        return first - 0x100
    if first in _NUMBERS:
        return struct.unpack_from(_NUMBERS[first], data, 1)[0]
    return {0xC2: False, 0xC3: True}.get(first)


def text_of(data: bytes) -> str:
    """Decode a text that has no type byte, as names in expressions are."""
    shape, body, size = head(data, 0)
    if shape != "text":
        raise Refusal(Code.PARAMETER)
    return data[body : body + size].decode()


def _text(body: bytes) -> str | bytes:
    if body and body[0] == Kind.STRING:
        return body[1:].decode()
    return bytes(body[1:])


def int_of(element: bytes) -> int:
    """Decode an element that has to be an integer."""
    number = unpack(element)
    if not isinstance(number, int):
        raise Refusal(Code.PARAMETER)
    return number


def signed(value: int) -> int:
    """Wrap an integer into 64 bits, as the server's arithmetic does."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def pack_int(value: int) -> bytes:
    if 0 <= value < 0x80:
        return bytes([value])
    if -0x20 <= value < 0:
        return bytes([value + 0x100])
    if value > 0:
        for first, width in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            if value < 1 << (8 * width):
                return bytes([first]) + value.to_bytes(width, "big")
    for first, width in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
        if -(1 << (8 * width - 1)) <= value:
            return bytes([first]) + value.to_bytes(width, "big", signed=True)
    raise Refusal(Code.PARAMETER)


def pack_float(value: float) -> bytes:
    return b"\xcb" + struct.pack(">d", value)


def pack_list(items: list[bytes]) -> bytes:
    return _container(0x90, 0xDC, len(items)) + b"".join(items)


def pack_map(flags: int, items: list[tuple[bytes, bytes]]) -> bytes:
    count = len(items) + (1 if flags else 0)
    order = bytes([0xC7, 0, flags, 0xC0]) if flags else b""
    return _container(0x80, 0xDE, count) + order + b"".join(k + v for k, v in items)


def _container(small: int, large: int, count: int) -> bytes:
    if count < 16:
        return bytes([small + count])
    if count < 1 << 16:
        return bytes([large]) + count.to_bytes(2, "big")
    return bytes([large + 1]) + count.to_bytes(4, "big")


# Order of the types among each other, where elements of several types are compared.
_RANKS = ((type(None), 1), (bool, 2), (int, 3), (str, 4), (list, 5), (dict, 6), (bytes, 7))


@functools.lru_cache(maxsize=65536)
def order_of(data: bytes) -> tuple[int, object]:
    """Give what elements are sorted by: first their type, then their value."""
    return _order(unpack(data))


def _order(value: Element) -> tuple[int, object]:
    if value is None:
        return 1, 0
    rank = next((rank for kind, rank in _RANKS if isinstance(value, kind)), 8)
    if isinstance(value, list):
        return rank, [_order(item) for item in value]
    if isinstance(value, dict):
        inside = sorted((_order(key), _order(item)) for key, item in value.items())
        return rank, (len(inside), inside)
    return rank, value
