"""The null mode: every write is answered at once, in order, whatever is in it."""

import asyncio

import msgspec
import pytest

from hevfast.simulator.null import CONTINUE, MALFORMED, REFUSED, NullProtocol, accepted

ACCEPTED = accepted(7)
WRITE = b"POST /v2/namespaces/books?a=b HTTP/1.1\r\ncontent-length: 9\r\n\r\nnot JSON!"
CHUNKED = (
    b"POST /v2/namespaces/books HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
)
QUERY = b"POST /v2/namespaces/books/query HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"
LOOK = b"GET /v2/namespaces/books/metadata HTTP/1.1\r\n\r\n"
LAST = b"POST /v2/namespaces/books HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.paused = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written += data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def connection(wire: Wire) -> NullProtocol:
    protocol = NullProtocol(ACCEPTED, set())
    protocol.connection_made(wire)
    return protocol


def test_writes_are_accepted_and_everything_else_is_refused_in_order(
    connection: NullProtocol, wire: Wire
) -> None:
    connection.data_received(WRITE + QUERY + CHUNKED + LOOK)
    assert wire.written == ACCEPTED + REFUSED + ACCEPTED + REFUSED
    assert not wire.closed


def test_answer_is_that_of_a_write(connection: NullProtocol) -> None:
    answer = msgspec.json.decode(ACCEPTED.partition(b"\r\n\r\n")[2])
    assert (answer["status"], answer["rows_affected"]) == ("OK", 7)
    assert set(answer) >= {"message", "rows_affected", "billing"}


def test_request_in_single_bytes_is_answered_at_its_end(
    connection: NullProtocol, wire: Wire
) -> None:
    for byte in WRITE[:-1]:
        connection.data_received(bytes([byte]))
    assert wire.written == b""
    connection.data_received(WRITE[-1:])
    assert wire.written == ACCEPTED


def test_expectation_of_a_hundred_is_met(connection: NullProtocol, wire: Wire) -> None:
    head = b"POST /v2/namespaces/a HTTP/1.1\r\nExpect: 100-continue\r\ncontent-length: 1\r\n\r\n"
    connection.data_received(head)
    assert wire.written == CONTINUE
    connection.data_received(b"x")
    assert wire.written == CONTINUE + ACCEPTED


def test_last_request_and_malformed_ones_end_the_connection(wire: Wire) -> None:
    connection = NullProtocol(ACCEPTED, set())
    connection.connection_made(wire)
    connection.data_received(LAST)
    assert (wire.written, wire.closed) == (ACCEPTED, True)
    other = Wire()
    connection = NullProtocol(ACCEPTED, set())
    connection.connection_made(other)
    connection.data_received(b"hello\r\n\r\n")
    assert (other.written, other.closed) == (MALFORMED, True)


def test_client_that_does_not_read_is_not_read_from(connection: NullProtocol, wire: Wire) -> None:
    connection.pause_writing()
    assert wire.paused
    connection.resume_writing()
    assert not wire.paused
