"""Group commit over real sockets: who goes together, and what each caller is told."""

import asyncio
import contextlib
import gzip
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.fakes.client import AUTH, Reply, request_bytes
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.upstream import Request, Step, Upstream, Wire, answer, cut_short, head

OTHER = (b"Authorization", b"Bearer key-2")
WAIT_S = 10.0


@pytest.fixture(scope="module")
def gateway_settings() -> dict[str, str]:
    return {"HEVFAST_COALESCE": "on"}


class Held:
    """A write in flight, held by upstream until `go`, and those that wait behind it."""

    def __init__(self, gateway: RunningGateway, upstream: Upstream, *then: Step) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self._may_go = threading.Event()
        self._pool = ThreadPoolExecutor(32)
        self._waiting = 0
        upstream.script(Step(self._hold), *then)
        self.first = self._pool.submit(gateway.write, upsert("first"))
        upstream.wait(1)

    async def _hold(self, wire: Wire) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._may_go.wait, WAIT_S)
        await wire.send(told(1))

    def add(self, body: bytes, key: Any = AUTH, *more: Any) -> "Future[Reply]":
        """Send a write and wait until it waits."""
        reply = self._pool.submit(self.gateway.write, body, (key, *more))
        self._waiting += 1
        wait_until(lambda: waiting(self.gateway) == self._waiting)
        return reply

    def go(self) -> None:
        self._may_go.set()
        assert self.first.result(WAIT_S).status == 200

    def close(self) -> None:
        self._may_go.set()
        self._pool.shutdown()


@contextlib.contextmanager
def held(gateway: RunningGateway, upstream: Upstream, *then: Step) -> Iterator[Held]:
    holding = Held(gateway, upstream, *then)
    try:
        yield holding
    finally:
        holding.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def waiting(gateway: RunningGateway) -> int:
    for line in gateway.ask("GET", "/metrics", headers=()).body.splitlines():
        if line.startswith(b"hevfast_writes_waiting "):
            return int(float(line.split()[1]))
    raise AssertionError("no such metric")


def upsert(*ids: str, **more: Any) -> bytes:
    return json.dumps({"upsert_rows": [{"id": each, "a": each} for each in ids], **more}).encode()


def told(rows: int) -> bytes:
    body = b'{"status":"OK","rows_affected":%d,"rows_upserted":%d,"billing":{"x":7.50}}' % (
        rows,
        rows,
    )
    length = b"%d" % len(body)
    return head(200, [(b"Content-Type", b"application/json"), (b"Content-Length", length)]) + body


def applied(rows: int) -> Step:
    async def act(wire: Wire) -> None:
        await wire.send(told(rows))

    return Step(act)


def ids(request: Request) -> list[str]:
    return [row["id"] for row in json.loads(request.body)["upsert_rows"]]


def test_writes_behind_one_in_flight_go_as_one_and_each_is_told_its_own(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    with held(gateway, upstream, applied(4)) as line:
        replies = [line.add(upsert("a")), line.add(upsert("b", "c")), line.add(upsert("d"))]
        line.go()
        bodies = [reply.result(WAIT_S).body for reply in replies]
    assert [ids(request) for request in upstream.requests] == [["first"], ["a", "b", "c", "d"]]
    assert bodies == [
        b'{"status":"OK","rows_affected":1,"rows_upserted":1,"billing":{"x":7.50}}',
        b'{"status":"OK","rows_affected":2,"rows_upserted":2,'
        b'"billing":{"billable_logical_bytes_written":0}}',
        b'{"status":"OK","rows_affected":1,"rows_upserted":1,'
        b'"billing":{"billable_logical_bytes_written":0}}',
    ]


def test_rows_of_a_group_keep_their_bytes_and_each_write_its_own_stamp(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    with held(gateway, upstream) as line:
        line.add(b'{"upsert_rows": [ {"id":1,"n":1.0E+2} ], "schema":{}}')
        line.add(b'{"upsert_rows": [{"id":2,"t":"\\u00e9"},{ "id":3 }], "schema":{}}')
        line.go()
        group = upstream.wait(2)[1].body
    rows = json.loads(group)["upsert_rows"]
    stamps = [row["_hevlayer_upserted_at"] for row in rows]
    assert stamps[0] < stamps[1] == stamps[2]
    times = [b'"_hevlayer_upserted_at":%d,"_hevlayer_shard":' % each for each in stamps]
    first, second, third = (
        before + (b"%2d," % row["_hevlayer_shard"]) for before, row in zip(times, rows, strict=True)
    )
    assert group == (
        b'{"upsert_rows": [ {' + first + b'"id":1,"n":1.0E+2} ,'
        b"{" + second + b'"id":2,"t":"\\u00e9"},{' + third + b' "id":3 }], "schema":{}}'
    )


def test_writes_of_different_keys_headers_or_frames_never_go_together(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    with held(gateway, upstream) as line:
        line.add(upsert("a"))
        line.add(upsert("b"), OTHER)
        line.add(upsert("c", distance_metric="cosine_distance"))
        line.add(upsert("d"), AUTH, (b"X-Tenant", b"t"))
        line.add(upsert("e"), OTHER)
        line.add(upsert("f"), AUTH, (b"X-Request-Id", b"7"))
        line.go()
        requests = upstream.wait(5)[1:]
    assert [ids(request) for request in requests] == [["a", "f"], ["b", "e"], ["c"], ["d"]]
    assert [request.values(b"authorization") for request in requests] == [
        [AUTH[1]],
        [OTHER[1]],
        [AUTH[1]],
        [AUTH[1]],
    ]
    assert requests[0].values(b"x-request-id") == []
    assert requests[3].values(b"x-tenant") == [b"t"]


@pytest.mark.parametrize(
    ("body", "headers", "suffix"),
    [
        (b'{"deletes":["a"]}', (), ""),
        (b'{"patch_rows":[{"id":"a"}]}', (), ""),
        (b'{"upsert_columns":{"id":["a"]}}', (), ""),
        (b'{"upsert_rows":[{"id":"a"}],"deletes":["b"]}', (), ""),
        (b'{"upsert_rows":[]}', (), ""),
        (upsert("a", upsert_condition=["id", "Eq", None]), (), ""),
        (upsert("a", return_affected_ids=True), (), ""),
        (upsert("a", brand_new=1), (), ""),
        (upsert("a", schema={"b": {"drop": True}}), (), ""),
        (upsert("a", "a"), (), ""),
        (upsert("a", schema={"b": {"type": "s" * 5_000}}), (), ""),
        (json.dumps({"upsert_rows": [{"id": "a", "t": "x" * 70_000}]}).encode(), (), ""),
        (gzip.compress(upsert("a")), ((b"Content-Encoding", b"gzip"),), ""),
        (upsert("a"), (), "/async"),
    ],
)
def test_other_writes_wait_for_nobody(
    gateway: RunningGateway, upstream: Upstream, body: bytes, headers: Any, suffix: str
) -> None:
    with held(gateway, upstream) as line:
        target = f"/v2/namespaces/ns{suffix}"
        assert gateway.ask("POST", target, body, (AUTH, *headers)).status == 200
        assert not line.first.done()
        line.go()


def test_other_namespaces_wait_for_nobody(gateway: RunningGateway, upstream: Upstream) -> None:
    with held(gateway, upstream) as line:
        assert gateway.write(upsert("a"), namespace="other").status == 200
        assert not line.first.done()


def test_a_group_ends_before_an_id_that_is_in_it(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    with held(gateway, upstream) as line:
        for each in ("a", "b", "a", "c", "a"):
            line.add(upsert(each))
        line.go()
        requests = upstream.wait(4)[1:]
    assert [ids(request) for request in requests] == [["a", "b"], ["a", "c"], ["a"]]


def test_a_bad_row_is_refused_to_its_own_caller_alone(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    no = b'{"status":"error","error":"\\u0062ad row"}'
    refuse = answer(400, no)
    with held(gateway, upstream, refuse, applied(2), refuse, refuse, applied(1)) as line:
        replies = [line.add(upsert(each)) for each in ("a", "b", "bad", "d")]
        line.go()
        told_each = [(r.result(WAIT_S).status, r.result(WAIT_S).body) for r in replies]
    sent = [ids(request) for request in upstream.requests[1:]]
    assert sent == [["a", "b", "bad", "d"], ["a", "b"], ["bad", "d"], ["bad"], ["d"]]
    assert [status for status, _ in told_each] == [200, 200, 400, 200]
    assert told_each[2][1] == no
    fetched = gateway.ask("GET", "/v2/namespaces/ns/documents/a")
    assert fetched.value(b"x-layer-cache") == b"hit"
    assert fetched.json["attributes"]["a"] == "a"
    upstream.script(answer(200, b'{"rows":[]}'))
    assert gateway.ask("GET", "/v2/namespaces/ns/documents/bad").status == 404


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_is_said_of_all_is_told_to_all_and_nothing_is_sent_again(
    gateway: RunningGateway, upstream: Upstream, status: int
) -> None:
    body = b'{"status":"error","error":"all of you"}'
    with held(gateway, upstream, answer(status, body)) as line:
        replies = [line.add(upsert(each)) for each in ("a", "b", "c")]
        line.go()
        got = [reply.result(WAIT_S) for reply in replies]
    assert [(reply.status, reply.body) for reply in got] == [(status, body)] * 3
    assert len(upstream.requests) == 2
    retry_after = b"1" if status in (429, 503) else None
    assert [reply.value(b"retry-after") for reply in got] == [retry_after] * 3


def test_upstreams_own_retry_after_is_passed_on(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    busy = answer(429, b"{}", [(b"Retry-After", b"17")])
    with held(gateway, upstream, busy) as line:
        replies = [line.add(upsert(each)) for each in ("a", "b")]
        line.go()
        assert [reply.result(WAIT_S).value(b"retry-after") for reply in replies] == [b"17"] * 2


def test_a_lost_answer_is_502_to_each_and_nothing_is_sent_again(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    with held(gateway, upstream, cut_short(b"{", 100)) as line:
        replies = [line.add(upsert(each)) for each in ("a", "b", "c")]
        line.go()
        got = [reply.result(WAIT_S) for reply in replies]
    assert [reply.status for reply in got] == [502] * 3
    assert {reply.json["error"] for reply in got} == {"upstream_error"}
    assert len(upstream.requests) == 2


def test_callers_that_leave_harm_nobody(gateway: RunningGateway, upstream: Upstream) -> None:
    with held(gateway, upstream) as line:
        with gateway.connect() as leaver:
            leaver.send(request_bytes("POST", "/v2/namespaces/ns", upsert("gone")))
            wait_until(lambda: waiting(gateway) == 1)
        line._waiting = 1
        replies = [line.add(upsert(each)) for each in ("a", "b")]
        line.go()
        assert [reply.result(WAIT_S).status for reply in replies] == [200, 200]
    wait_until(lambda: waiting(gateway) == 0)
    # Whether the leaver's rows went along is the server's to say; those of the others did.
    assert ids(upstream.wait(2)[1])[-2:] == ["a", "b"]


def test_too_much_that_waits_is_429_and_was_not_sent(upstream: Upstream) -> None:
    settings = {"HEVFAST_COALESCE": "on", "HEVFAST_COALESCE_BYTES_MAX": "65536"}
    with running_gateway(upstream.url, **settings) as small, held(small, upstream) as line:
        large = json.dumps({"upsert_rows": [{"id": "a", "t": "x" * 40_000}]}).encode()
        waits = line.add(large)
        refused = small.write(large.replace(b'"a"', b'"b"'))
        assert (refused.status, refused.json["error"]) == (429, "too_many_requests")
        assert refused.value(b"retry-after") == b"1"
        line.go()
        assert waits.result(WAIT_S).status == 200
        assert [ids(request) for request in upstream.requests] == [["first"], ["a"]]
        # The room is free again.
        assert small.write(large).status == 200


def test_who_waits_too_long_is_429_and_is_not_sent(upstream: Upstream) -> None:
    settings = {"HEVFAST_COALESCE": "on", "HEVFAST_COALESCE_WAIT_MS": "200"}
    with running_gateway(upstream.url, **settings) as hasty, held(hasty, upstream) as line:
        reply = hasty.write(upsert("late"))
        assert (reply.status, reply.json["error"]) == (429, "too_many_requests")
        line.go()
        assert hasty.write(upsert("next")).status == 200
        assert [ids(request) for request in upstream.requests] == [["first"], ["next"]]


def test_what_waits_when_the_gateway_stops_is_sent_and_answered(upstream: Upstream) -> None:
    with running_gateway(upstream.url, HEVFAST_COALESCE="on") as gateway:
        with held(gateway, upstream, applied(2)) as line:
            replies = [line.add(upsert(each)) for each in ("a", "b")]
            gateway.process.send_signal(signal.SIGTERM)
            line.go()
            assert [reply.result(WAIT_S).status for reply in replies] == [200, 200]
        assert gateway.process.wait(WAIT_S) == 0


def test_without_the_setting_nothing_waits(upstream: Upstream) -> None:
    with running_gateway(upstream.url) as plain, held(plain, upstream) as line:
        assert plain.write(upsert("a")).status == 200
        assert not line.first.done()
        assert waiting(plain) == 0
