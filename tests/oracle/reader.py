"""A reader of RFC 8259 text, one byte after the other, that stops at the first fault."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.oracle.vocabulary import DEPTH_MAX, Fault, Kind, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

WHITE = b" \t\n\r"
DIGITS = b"0123456789"
NUMBER_BYTES = b"0123456789+-.eE"
HEX_DIGITS = b"0123456789abcdefABCDEF"
LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
SIMPLE_ESCAPES = {
    ord('"'): b'"',
    ord("\\"): b"\\",
    ord("/"): b"/",
    ord("b"): b"\b",
    ord("f"): b"\f",
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
}
STARTS_ANYWHERE = b'"{[tfn' + DIGITS
STARTS_OUTSIDE_ARRAYS = STARTS_ANYWHERE + b"-"
STARTS_IN_ARRAYS = STARTS_ANYWHERE + b"+-.eE"
RFC_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

# Unicode table 3-7: the first byte's range, then the range of each byte after it.
WELL_FORMED = (
    ((0xC2, 0xDF), ((0x80, 0xBF),)),
    ((0xE0, 0xE0), ((0xA0, 0xBF), (0x80, 0xBF))),
    ((0xE1, 0xEC), ((0x80, 0xBF), (0x80, 0xBF))),
    ((0xED, 0xED), ((0x80, 0x9F), (0x80, 0xBF))),
    ((0xEE, 0xEF), ((0x80, 0xBF), (0x80, 0xBF))),
    ((0xF0, 0xF0), ((0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF))),
    ((0xF1, 0xF3), ((0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF))),
    ((0xF4, 0xF4), ((0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF))),
)


class Met(Exception):  # noqa: N818 -- "a fault is met" are the words of the specification.
    """Carries the first fault out of the reading."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class Reader:
    """A place in a body, and how deep it is nested there."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self.depth = 0

    def peek(self) -> int:
        """Return the byte here; where none is left, more was needed."""
        if self.at == len(self.body):
            raise Met(Fault(Kind.END, self.at))
        return self.body[self.at]

    def white(self) -> None:
        while self.at < len(self.body) and self.body[self.at] in WHITE:
            self.at += 1

    def bad_byte(self) -> Met:
        return Met(Fault(Kind.BAD_BYTE, self.at))

    def colon(self) -> None:
        """Read from behind a key to the first byte of its value, and check that byte."""
        self.white()
        if self.peek() != ord(":"):
            raise self.bad_byte()
        self.at += 1
        self.white()
        if self.peek() not in STARTS_OUTSIDE_ARRAYS:
            raise self.bad_byte()

    def members(self) -> Iterator[Span]:
        """Read an object: yield the span of each key, quotes included.

        The caller goes on from there: it reads the colon and the value.
        """
        self._open()
        self.white()
        if self.peek() == ord("}"):
            self._close()
            return
        while True:
            self.white()
            if self.peek() != ord('"'):
                raise self.bad_byte()
            yield self.string()
            self.white()
            if self.peek() == ord("}"):
                self._close()
                return
            if self.peek() != ord(","):
                raise self.bad_byte()
            self.at += 1

    def elements(self) -> Iterator[int]:
        """Read an array: yield each element's index, before it; the caller reads the element."""
        self._open()
        self.white()
        if self.peek() == ord("]"):
            self._close()
            return
        index = 0
        while True:
            self.white()
            if self.peek() not in STARTS_IN_ARRAYS:
                raise self.bad_byte()
            yield index
            index += 1
            self.white()
            if self.peek() == ord("]"):
                self._close()
                return
            if self.peek() != ord(","):
                raise self.bad_byte()
            self.at += 1

    def _open(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Met(Fault(Kind.TOO_DEEP, self.at))
        self.at += 1

    def _close(self) -> None:
        self.depth -= 1
        self.at += 1

    def value(self, *, in_array: bool) -> Span:
        """Read any value that starts here.

        The containers it is inside of are a list of half-done readings, so that depth costs no
        recursion.
        """
        start = self.at
        containers: list[tuple[Iterator[int] | Iterator[Span], bool]] = []
        self._begin(containers, in_array=in_array)
        while containers:
            children, of_array = containers[-1]
            if next(children, None) is None:
                containers.pop()
                continue
            if not of_array:
                self.colon()
            self._begin(containers, in_array=of_array)
        return start, self.at

    def _begin(
        self, containers: list[tuple[Iterator[int] | Iterator[Span], bool]], *, in_array: bool
    ) -> None:
        first = self.peek()
        if first == ord("{"):
            containers.append((self.members(), False))
        elif first == ord("["):
            containers.append((self.elements(), True))
        elif first == ord('"'):
            self.string()
        elif first in LITERALS:
            self._literal(LITERALS[first])
        else:
            self._number(in_array=in_array)

    def _literal(self, word: bytes) -> None:
        if self.body[self.at : self.at + len(word)] != word:
            raise Met(Fault(Kind.BAD_LITERAL, self.at))
        self.at += len(word)

    def _number(self, *, in_array: bool) -> None:
        """Read the longest run of number bytes; upstream judges those in arrays."""
        start = self.at
        while self.at < len(self.body) and self.body[self.at] in NUMBER_BYTES:
            self.at += 1
        if not in_array and not RFC_NUMBER.fullmatch(self.body[start : self.at]):
            raise Met(Fault(Kind.BAD_NUMBER, start))

    def string(self) -> Span:
        """Read a string and return its span, quotes included."""
        start = self.at
        self.at += 1
        while True:
            byte = self.peek()
            if byte == ord('"'):
                self.at += 1
                return start, self.at
            if byte == ord("\\"):
                self._escape()
            elif byte < 0x20:
                raise Met(Fault(Kind.CONTROL, self.at))
            elif byte < 0x80:
                self.at += 1
            else:
                self._beyond_ascii(byte)

    def _escape(self) -> None:
        backslash = self.at
        self.at += 1
        letter = self.peek()
        if letter not in SIMPLE_ESCAPES and letter != ord("u"):
            raise Met(Fault(Kind.BAD_ESCAPE, backslash))
        self.at += 1
        if letter == ord("u"):
            for _ in range(4):
                if self.peek() not in HEX_DIGITS:
                    raise Met(Fault(Kind.BAD_ESCAPE, backslash))
                self.at += 1

    def _beyond_ascii(self, first: int) -> None:
        for (low, high), rest in WELL_FORMED:
            if low <= first <= high:
                following = self.body[self.at + 1 : self.at + 1 + len(rest)]
                if len(following) == len(rest) and all(
                    low <= byte <= high for byte, (low, high) in zip(following, rest, strict=True)
                ):
                    self.at += 1 + len(rest)
                    return
        raise Met(Fault(Kind.BAD_UTF8, self.at))


def decoded(spelled: bytes) -> bytes:
    """Return the text between the quotes of a good string, escapes resolved, as UTF-8.

    A lone surrogate keeps its three-byte form.
    """
    units: list[int | bytes] = []
    at = 0
    while at < len(spelled):
        if spelled[at] != ord("\\"):
            units.append(spelled[at : at + 1])
            at += 1
        elif spelled[at + 1] == ord("u"):
            units.append(int(spelled[at + 2 : at + 6], 16))
            at += 6
        else:
            units.append(SIMPLE_ESCAPES[spelled[at + 1]])
            at += 2
    return b"".join(_paired(units))


def _paired(units: list[int | bytes]) -> Iterator[bytes]:
    """Yield raw bytes as they are, escaped code units as UTF-8, surrogate pairs as one."""
    at = 0
    while at < len(units):
        unit = units[at]
        following = units[at + 1] if at + 1 < len(units) else b""
        at += 1
        if isinstance(unit, bytes):
            yield unit
        elif (
            0xD800 <= unit <= 0xDBFF
            and isinstance(following, int)
            and 0xDC00 <= following <= 0xDFFF
        ):
            at += 1
            yield chr(0x10000 + ((unit - 0xD800) << 10) + (following - 0xDC00)).encode()
        else:
            yield chr(unit).encode("utf-8", "surrogatepass")
