"""One connection: what it sends, and what it makes of the bytes that come."""

from typing import TYPE_CHECKING, Any, cast

import pytest

from hevfast.load.exchange import Answer, Course, Request, Steps
from hevfast.load.lane import Lane

if TYPE_CHECKING:
    import asyncio

GOOD = b"HTTP/1.1 200 OK\r\nX-Layer-Cache: hit\r\ncontent-length: 2\r\n\r\nok"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


class Book:
    """A crew that keeps what it is told; a microsecond passes with every look at the clock."""

    def __init__(self) -> None:
        self.now = 1_000
        self.told: list[tuple[Any, ...]] = []

    def now_us(self) -> int:
        self.now += 1
        return self.now

    def free(self, lane: Lane) -> None:
        self.told.append(("free",))

    def gone(self, lane: Lane) -> None:
        self.told.append(("gone",))

    def answered(self, *what: object) -> None:
        self.told.append(("answered", *what))

    def wrong(self, *what: object) -> None:
        self.told.append(("wrong", *what))

    def lost(self, *what: object) -> None:
        self.told.append(("lost", *what))


def check(answer: Answer) -> str:
    return "" if answer.body == b"ok" else f"body of {len(answer.body)}"


def one() -> Steps:
    yield Request("fetch", b"GET 1", check)


def two() -> Steps:
    answer = yield Request("claim/stage", b"PUT", check)
    assert answer.body == b"ok"
    yield Request("claim/claim", b"POST", check)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def lane(book: Book, wire: Wire) -> Lane:
    made = Lane(book)
    made.connection_made(cast("asyncio.Transport", wire))
    book.told.clear()
    return made


def test_latency_counts_from_when_the_arrival_was_due(lane: Lane, book: Book, wire: Wire) -> None:
    lane.begin(Course("fetch", one()), 5)
    assert wire.written == [b"GET 1"]
    assert lane.due_us == 5
    lane.data_received(GOOD)
    assert book.told == [("answered", "fetch", 5, 1_001, "hit"), ("free",)]
    assert lane.due_us is None


@pytest.mark.parametrize("size", [1, 7, 40])
def test_answers_may_come_in_any_pieces(lane: Lane, book: Book, size: int) -> None:
    lane.begin(Course("fetch", one()), 5)
    for place in range(0, len(GOOD), size):
        assert book.told == []
        lane.data_received(GOOD[place : place + size])
    assert book.told[0] == ("answered", "fetch", 5, 1_001, "hit")


def test_a_course_goes_on_from_answer_to_answer(lane: Lane, book: Book, wire: Wire) -> None:
    lane.begin(Course("claim", two()), 5)
    lane.data_received(GOOD)
    assert wire.written == [b"PUT", b"POST"]
    lane.data_received(GOOD)
    assert book.told == [
        ("answered", "claim/stage", 5, 1_001, "hit"),
        ("answered", "claim/claim", 1_001, 1_002, "hit"),
        ("answered", "claim", 5, 1_002, "hit"),
        ("free",),
    ]


def test_a_wrong_answer_ends_the_course(lane: Lane, book: Book, wire: Wire) -> None:
    lane.begin(Course("claim", two()), 5)
    lane.data_received(GOOD.replace(b"ok", b"no"))
    assert wire.written == [b"PUT"]
    assert book.told == [
        ("wrong", "claim/stage", "body of 2", 5, 1_001),
        ("wrong", "claim", "body of 2", 5, 1_001),
        ("free",),
    ]


def test_a_lost_connection_loses_what_was_under_way(lane: Lane, book: Book) -> None:
    lane.begin(Course("fetch", one()), 5)
    lane.connection_lost(None)
    assert book.told == [("lost", "fetch", "connection lost", 5, 1_001), ("gone",)]


def test_a_lane_given_up_says_why(lane: Lane, book: Book, wire: Wire) -> None:
    lane.begin(Course("fetch", one()), 5)
    lane.fail("timeout")
    assert wire.aborted
    lane.connection_lost(None)
    assert book.told[0] == ("lost", "fetch", "timeout", 5, 1_001)


def test_what_is_forgotten_is_not_told(lane: Lane, book: Book) -> None:
    lane.begin(Course("fetch", one()), 5)
    lane.forget()
    lane.connection_lost(None)
    assert book.told == [("gone",)]


def test_bytes_that_are_no_http_end_the_connection(lane: Lane, wire: Wire) -> None:
    lane.begin(Course("fetch", one()), 5)
    lane.data_received(b"SSH-2.0-x\r\n\r\n")
    assert wire.aborted


def test_a_server_that_closes_after_its_answer_is_obeyed(
    lane: Lane, book: Book, wire: Wire
) -> None:
    lane.begin(Course("fetch", one()), 5)
    lane.data_received(GOOD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert book.told == [("answered", "fetch", 5, 1_001, "hit")]
    assert wire.aborted


def test_an_interim_answer_is_not_the_answer(lane: Lane, book: Book) -> None:
    lane.begin(Course("fetch", one()), 5)
    lane.data_received(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert book.told == []
    lane.data_received(GOOD)
    assert book.told[0] == ("answered", "fetch", 5, 1_001, "hit")
