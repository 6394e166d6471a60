"""Reading answers, held against a parser that is not ours, however the bytes are cut."""

import asyncio
import dataclasses
import itertools
from collections.abc import Iterator

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hevfast.upstream.line import Line

LOOP = asyncio.new_event_loop()

HEADS = st.sampled_from([
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 404 \r\n", b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No\r\n", b"HTTP/1.1 304 No\r\n", b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 A\r\n",
    b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nx: y\r\n\r\nHTTP/1.1 500 A\r\n",
    b"HTTP/1.1 20 OK\r\n", b"HTTP/1.1 2000 OK\r\n", b"HTTP/9.9 200 OK\r\n", b"hello\r\n",
])  # fmt: skip
FIELDS = st.lists(
    st.sampled_from([
        b"x-a: 1\r\n", b"X-A:2\r\n", b"set-cookie: a\r\n", b"x-empty:\r\n", b"x-e: \t b \t\r\n",
        b"connection: close\r\n", b"Connection: keep-alive\r\n", b"x-latin: \xe9\r\n",
        b"content-length: 3\r\n", b"Content-Length: 0\r\n", b"content-length: x\r\n",
        b"transfer-encoding: chunked\r\n", b"x\x00y: z\r\n", b"x: \x01\r\n", b": z\r\n",
    ]),
    max_size=4,
)  # fmt: skip
BODIES = st.sampled_from([
    b"", b"abc", b"abcHTTP/1.1 200 OK\r\n\r\n", b"ab", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n",
    b"1;e=f\r\na\r\n2\r\nbc\r\n0\r\nx-t: u\r\n\r\n", b"zz\r\n", b"3\r\nabcd\r\n0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\nmore",
])  # fmt: skip


class Transport(asyncio.Transport):
    """Enough of a transport for a line that only reads."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def abort(self) -> None:
        pass

    close = abort

    def is_closing(self) -> bool:
        return False


@dataclasses.dataclass(frozen=True)
class Read:
    """What came of some bytes and the end of the connection."""

    status: int = 0
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    complete: bool = False


def by_line(pieces: list[bytes]) -> tuple[Read, Line]:
    line = Line(LOOP)
    line.connection_made(Transport())
    line.begin(0.0, 1 << 20)
    for piece in pieces:
        line.data_received(piece)
    # An answer that is complete needs no end of the connection; others may.
    line.connection_lost(None)
    if line.fault is not None:
        return Read(), line
    fields = tuple((name.lower(), value) for name, value in line.fields)
    return Read(line.status, fields, b"".join(line.pieces), line.complete), line


def by_h11(data: bytes) -> Read:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    head: h11.Response | None = None
    body = b""
    try:
        while True:
            event = client.next_event()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return Read(head.status_code, tuple(head.headers), body, complete=True)
            elif isinstance(event, h11.ConnectionClosed) or event is h11.NEED_DATA:
                return Read()
    except h11.RemoteProtocolError:
        return Read()


def cuts(data: bytes, places: list[int]) -> Iterator[bytes]:
    marks = sorted({0, len(data), *[place % (len(data) + 1) for place in places]})
    for start, end in itertools.pairwise(marks):
        yield data[start:end]


@given(HEADS, FIELDS, BODIES, st.lists(st.integers(0, 500), max_size=6))
def test_an_answer_is_what_another_parser_reads(
    head: bytes, fields: list[bytes], body: bytes, places: list[int]
) -> None:
    """The other is laxer in places: what it reads and ours refuses is no answer, never another."""
    data = head + b"".join(fields) + b"\r\n" + body
    ours, _ = by_line(list(cuts(data, places)))
    assert ours == by_line([data])[0]
    theirs = by_h11(data)
    if ours.complete and theirs.complete:
        assert ours == theirs
    elif ours.complete:
        # Ours takes versions and repeated codings that theirs does not.
        assert not strictly_valid(head, fields)


def strictly_valid(head: bytes, fields: list[bytes]) -> bool:
    """Tell whether nothing about the head is a matter of taste."""
    lengths = [each for each in fields if each.lower().startswith(b"content-length")]
    codings = [each for each in fields if each.startswith(b"transfer-encoding")]
    return len(lengths) <= 1 and len(codings) <= 1 and head.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("extra", [b"H", b"HTTP/1.1 200 OK\r\n\r\n", b"\0", b"junk"])
def test_bytes_after_a_complete_answer_end_the_connection(extra: bytes) -> None:
    data = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"
    for pieces in ([data + extra], [data, extra], [data[:-1], b"a" + extra]):
        line = Line(LOOP)
        line.connection_made(Transport())
        line.begin(0.0, 100)
        for piece in pieces:
            line.data_received(piece)
        assert (line.complete, line.fault, line.pieces) == (True, None, [b"a"])
        assert line.should_close


def test_a_kept_connection_reads_one_answer_after_another() -> None:
    line = Line(LOOP)
    line.connection_made(Transport())
    for number in range(5):
        line.begin(0.0, 100)
        line.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number)
        assert (line.complete, line.take(), line.should_close) == (True, [b"%d" % number], False)
