"""Faults on real sockets: connections that end without an answer, or in the middle of one."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Wire, free_port, running

BOOKS = "/v2/namespaces/books"
ONE_ROW = {"upsert_rows": [{"id": 1, "text": "x" * 3000}]}


@pytest.fixture
def faulty() -> Iterator[Wire]:
    port = free_port()
    with running(port, "--control"):
        yield Wire(port)


def inject(wire: Wire, **fault: Any) -> None:
    status, _, _ = wire.call("PATCH", "/_simulator", {"faults": [{"times": 1, **fault}]})
    assert status == 200


def ids(wire: Wire) -> list[int]:
    status, _, body = wire.call("POST", f"{BOOKS}/query", {"rank_by": ["id", "asc"]})
    return [row["id"] for row in json.loads(body)["rows"]] if status == 200 else []


def test_reset_is_no_answer_and_nothing_was_applied(faulty: Wire) -> None:
    inject(faulty, effect="reset")
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        faulty.call("POST", BOOKS, ONE_ROW)
    assert ids(faulty) == []
    assert faulty.call("POST", BOOKS, ONE_ROW)[0] == 200


def test_lost_is_no_answer_to_a_write_that_was_applied(faulty: Wire) -> None:
    inject(faulty, effect="lost")
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        faulty.call("POST", BOOKS, ONE_ROW)
    assert ids(faulty) == [1]


def test_cut_is_half_an_answer(faulty: Wire) -> None:
    assert faulty.call("POST", BOOKS, ONE_ROW)[0] == 200
    inject(faulty, effect="cut", on="query")
    with pytest.raises(http.client.IncompleteRead) as cut:
        faulty.call("POST", f"{BOOKS}/query", {"rank_by": ["id", "asc"]})
    assert cut.value.partial.startswith(b'{"rows":[{"id":1')
    assert ids(faulty) == [1]


def test_one_connection_s_reset_leaves_the_others_alone(faulty: Wire) -> None:
    other = http.client.HTTPConnection("127.0.0.1", faulty.port, timeout=10)
    headers = {"Authorization": "Bearer any"}
    other.request("GET", "/v1/namespaces", headers=headers)
    assert other.getresponse().read() == b'{"namespaces":[]}'
    inject(faulty, effect="reset")
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        faulty.call("POST", BOOKS, ONE_ROW)
    other.request("GET", "/v1/namespaces", headers=headers)
    assert other.getresponse().read() == b'{"namespaces":[]}'
    other.close()
