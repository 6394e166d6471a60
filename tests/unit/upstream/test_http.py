"""The common form of HTTP, read in one go: never otherwise than the general way reads it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from hevfast.core.headers import Headers, answer_headers
from hevfast.core.limits import ANSWER_FIELDS_MAX
from hevfast.upstream._http import field_lines, read_answer
from hevfast.upstream.line import Line

BODY = b'{"rows_affected":1}'
BOUND = 1024

COMMON = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: x\r\nX-A:\r\n"
    b"x-b: \t two words \t\r\ncontent-length: 19\r\nVary: \xe9\r\n\r\n" + BODY
)

# What an answer is put together from: lines as they are, or nearly.
STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 404 ",
    b"HTTP/1.1 599 a\tb",
    b"HTTP/1.1 429 Too Many",
]
ODD_STATUS_LINES = [
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 600 x",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1  200 OK",
    b"http/1.1 200 OK",
    b"HTTP/1.1 200 a\x00b",
]
FIELDS = [b"Content-Type: a/b", b"Server: s", b"X-Empty:", b"x-a: 1", b"X-A: 2 ", b"ETag: \xff"]
ODD_FIELDS = [
    b"Connection: close",
    b"connection: keep-alive, x-a",
    b"Transfer-Encoding: chunked",
    b"Keep-Alive: timeout=5",
    b"Upgrade: h2c",
    b"Content-Length: 19",
    b"Content-Length: 20",
    b"Content-Length: +19",
    b"Content-Length: 0x13",
    b"Content-Length: 99999999999999999999",
    b"Content-Length:",
    b"no colon",
    b": no name",
    b"bad name: 1",
    b"x : 1",
    b"x-nul: a\x00b",
    b"x-cr: a\rb",
    b"x-del: \x7f",
    b" folded",
    b"",
]


def long_way(data: bytes) -> tuple[int, Headers, bytes] | None:
    """Read an answer as the parser does; None if it is not complete, or not good."""

    class Unread(Line):
        def _read_whole(self, data: bytes) -> bool:
            return False

        def force_close(self) -> None:
            self.closed_after = True
            super().force_close()

    loop = asyncio.new_event_loop()
    try:
        line: Any = Unread(loop)
        line.closed_after = False
        line.connection_made(asyncio.Transport())
        line.begin(0.0, BOUND)
        line.data_received(data)
    finally:
        loop.close()
    if not line.complete or line.fault is not None or line.closed_after:
        return None
    return line.status, answer_headers(tuple(line.fields)), b"".join(line.pieces)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Give an answer that is right, or wrong in a few places."""
    odd = draw(st.integers(0, 3))
    lines = [draw(st.sampled_from(ODD_STATUS_LINES if odd == 1 else STATUS_LINES))]
    lines += draw(st.lists(st.sampled_from(FIELDS), max_size=4))
    if odd == 2:
        lines.insert(draw(st.integers(1, len(lines))), draw(st.sampled_from(ODD_FIELDS)))
    body = draw(st.sampled_from([b"", BODY, b"x" * 30]))
    if draw(st.integers(0, 9)):
        lines.insert(draw(st.integers(1, len(lines))), b"Content-Length: %d" % len(body))
    whole = bytearray(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    if draw(st.integers(0, 4)) == 0:
        for _ in range(draw(st.integers(1, 3))):
            place = draw(st.integers(0, len(whole) - 1))
            change = draw(st.integers(0, 2))
            if change == 0:
                whole[place] = draw(st.integers(0, 255))
            elif change == 1:
                del whole[place]
            else:
                whole.insert(place, draw(st.sampled_from(b"\r\n\x00: \t\x80a0")))
            if not whole:
                break
    return bytes(whole)


Read = tuple[int, Headers, bytes] | None


def agree(read: Callable[[bytes], Read], data: bytes) -> None:
    found = read(data)
    assert found is None or found == long_way(data)


@given(answers())
@example(COMMON)
@example(b"")
def test_what_is_read_in_one_go_is_what_the_parser_reads(data: bytes) -> None:
    agree(lambda data: read_answer(data, BOUND), data)


PLANTED: dict[str, Callable[[bytes], Read]] = {
    "any version": lambda data: read_answer(data.replace(b"HTTP/1.0", b"HTTP/1.1"), BOUND),
    "any status": lambda data: read_answer(data[:9] + b"200" + data[12:], BOUND),
    "bare line feeds": lambda data: read_answer(
        data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), BOUND
    ),
    "close is passed over": lambda data: read_answer(data.replace(b"Connection", b"Server"), BOUND),
    "chunks are a body": lambda data: read_answer(data.replace(b"Transfer-", b"x-"), BOUND),
    "bytes left over": lambda data: read_answer(data[:-1], BOUND),
    "blanks in names": lambda data: read_answer(data.replace(b"x :", b"x:"), BOUND),
}


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_reader_that_takes_too_much_is_caught(name: str) -> None:
    caught = settings(max_examples=3000, derandomize=True, phases=[Phase.generate])(
        given(answers())(lambda data: agree(PLANTED[name], data))
    )
    with pytest.raises(AssertionError):
        caught()


def test_the_common_form_is_read_in_one_go() -> None:
    assert read_answer(COMMON, BOUND) == (
        200,
        [
            (b"content-type", b"application/json"),
            (b"x-a", b""),
            (b"x-b", b"two words"),
            (b"content-length", b"19"),
            (b"vary", b"\xe9"),
        ],
        BODY,
    )


@pytest.mark.parametrize("size", range(len(COMMON)))
def test_an_answer_that_is_cut_short_is_left_to_the_parser(size: int) -> None:
    assert read_answer(COMMON[:size], BOUND) is None


def test_bytes_after_the_answer_are_left_to_the_parser() -> None:
    assert read_answer(COMMON + b"H", BOUND) is None


@pytest.mark.parametrize("line", ODD_STATUS_LINES)
def test_odd_status_lines_are_left_to_the_parser(line: bytes) -> None:
    assert read_answer(line + b"\r\ncontent-length: 0\r\n\r\n", BOUND) is None


@pytest.mark.parametrize("field", [field for field in ODD_FIELDS if field])
def test_odd_headers_are_left_to_the_parser(field: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 19\r\n%b\r\n\r\n%b"
    assert read_answer(answer % (b"x-a: 1", BODY), BOUND) is not None
    assert read_answer(answer % (field, BODY), BOUND) is None


def test_bounds() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n%b"
    assert read_answer(answer % (BOUND, b"", b"x" * BOUND), BOUND) is not None
    assert read_answer(answer % (BOUND + 1, b"", b"x" * (BOUND + 1)), BOUND) is None
    most = b"x-a: 1\r\n" * (ANSWER_FIELDS_MAX - 1)
    assert read_answer(answer % (0, most, b""), BOUND) is not None
    assert read_answer(answer % (0, most + b"x-a: 1\r\n", b""), BOUND) is None
    assert read_answer(answer % (0, b"x-a: %b\r\n" % (b"y" * 131_072), b""), BOUND) is None


def test_more_names_than_are_remembered() -> None:
    for number in range(1000):
        data = b"HTTP/1.1 200 OK\r\nX-%d: 1\r\nContent-Length: 0\r\n\r\n" % number
        assert read_answer(data, BOUND) == (
            200,
            [(b"x-%d" % number, b"1"), (b"content-length", b"0")],
            b"",
        )


NAMES = st.sampled_from([b"a", b"x-long-name", b""])
VALUES = st.binary(max_size=12)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_header_lines_are_those_of_the_general_way(headers: Headers) -> None:
    joined = b"".join([b"\r\n%b: %b" % pair for pair in headers])
    values = b"".join(value for _, value in headers)
    harmless = values.isascii() and not set(values) & set(b"\r\n\0")
    assert field_lines(headers) == (joined if harmless else None)
