"""Answers that come compressed: passed on as they come, and read all the same for their end."""

import gzip
import json
from typing import Any

import pytest

from tests.fakes.client import AUTH, Reply
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream, answer

PATH = "/v2/namespaces/ns/query"
JSON = (b"Content-Type", b"application/json")
GZIP = (b"Content-Encoding", b"gzip")


def ask(gateway: RunningGateway, body: Any) -> Reply:
    accepts = (b"Accept-Encoding", b"gzip")
    return gateway.ask("POST", PATH, json.dumps(body).encode(), [AUTH, accepts])


def rows(*pairs: tuple[int, float], text: str = "") -> bytes:
    each = [{"$dist": distance, "id": name, "t": text} for name, distance in pairs]
    return json.dumps({"rows": each, "billing": {}, "performance": {}}).encode()


def test_a_compressed_answer_stays_as_it_came_and_has_a_cursor(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    packed = gzip.compress(rows((1, 0.5), (2, 0.7)))
    upstream.script(answer(200, packed, [JSON, GZIP]))
    reply = ask(gateway, {"vector": [1], "top_k": 2})
    assert (reply.body, reply.value(b"content-encoding")) == (packed, b"gzip")
    assert reply.value(b"x-layer-next-cursor")
    assert upstream.only.values(b"accept-encoding") == [b"gzip"]


def test_rows_out_of_order_are_given_in_order_and_not_compressed(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(200, gzip.compress(rows((2, 0.5), (1, 0.5))), [JSON, GZIP]))
    reply = ask(gateway, {"vector": [1], "top_k": 2})
    assert reply.value(b"content-encoding") is None
    assert [row["id"] for row in reply.json["rows"]] == [1, 2]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"br", b"whatever it is"),
        (b"gzip", b"no gzip"),
        (b"gzip", gzip.compress(rows((1, 0.5)))[:-9]),
        (b"gzip", gzip.compress(rows((1, 0.5), text="x" * 300_000))),
    ],
    ids=["unknown", "broken", "cut", "too large"],
)
def test_what_cannot_be_read_is_passed_on_without_a_cursor(
    gateway: RunningGateway, upstream: Upstream, coding: bytes, body: bytes
) -> None:
    upstream.script(answer(200, body, [(b"Content-Encoding", coding)]))
    reply = ask(gateway, {"vector": [1], "top_k": 1})
    assert (reply.body, reply.value(b"content-encoding")) == (body, coding)
    assert reply.value(b"x-layer-warning") == b"cursor_unavailable"
    assert reply.value(b"x-layer-next-cursor") is None


def test_a_later_page_is_asked_for_uncompressed(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script(answer(200, rows((1, 0.5), (2, 0.7))))
    cursor = ask(gateway, {"vector": [1], "top_k": 2}).value(b"x-layer-next-cursor")
    assert cursor is not None
    upstream.script(answer(200, rows((1, 0.5), (2, 0.7), (3, 0.9))))
    reply = ask(gateway, {"vector": [1], "top_k": 2, "cursor": cursor.decode()})
    assert [row["id"] for row in reply.json["rows"]] == [3]
    assert upstream.only.values(b"accept-encoding") == [b"identity"]
