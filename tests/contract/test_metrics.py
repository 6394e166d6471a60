"""`/metrics` of running gateways: no key, valid text, exact over workers and their deaths."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.fakes.client import AUTH
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.scrape import Scrape
from tests.fakes.upstream import Upstream, answer, raw

ROWS = b'{"upsert_rows":[{"id":1,"t":"x"},{"id":2}],"deletes":[3]}'
WRITES = "layer_upsert_duration_seconds"
NS = {"pipeline_id": "direct", "namespace": "ns"}


def scraped(gateway: RunningGateway) -> Scrape:
    reply = gateway.ask("GET", "/metrics", headers=[])
    assert reply.status == 200
    assert reply.value(b"content-type") == b"text/plain; version=0.0.4; charset=utf-8"
    assert reply.value(b"server") == b"hevfast"
    return Scrape(reply.body.decode())


def test_writes_are_counted_by_outcome(gateway: RunningGateway, upstream: Upstream) -> None:
    assert gateway.write(ROWS).status == 200
    assert gateway.write(b"{}").status == 422
    assert gateway.write(ROWS, headers=[]).status == 401
    upstream.script(answer(400, b"{}"))
    assert gateway.write(ROWS).status == 400
    upstream.script(raw(b"", close=True))
    assert gateway.write(ROWS).status == 502
    scrape = scraped(gateway)
    counts = {
        status: scrape.value(f"{WRITES}_count", status=status, **NS)
        for status in ("ok", "tpuf_error", "layer_error")
    }
    assert counts == {"ok": 1, "tpuf_error": 2, "layer_error": 1}
    assert scrape.value("layer_upsert_batch_size_sum", **NS) == 4
    name = "hevfast_writes_rejected_total"
    assert scrape.value(name, reason="validation_error") == 1
    assert scrape.value(name, reason="unauthorized") == 1
    parts = [
        scrape.value(f"layer_upsert_{part}_seconds_sum", status="ok", **NS)
        for part in ("duration", "tpuf", "overhead")
    ]
    assert parts[0] == pytest.approx(parts[1] + parts[2])
    assert min(parts) > 0
    assert scrape.value("layer_tpuf_inflight") == 0


def test_queries_are_counted_by_outcome_and_shape(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    path = "/v2/namespaces/q/query"
    body = b'{"rank_by":["id","asc"],"top_k":1,"filters":["a","Eq",1]}'
    upstream.script(answer(200, b'{"rows":[]}'), answer(400, b"{}"), raw(b"", close=True))
    assert [gateway.ask("POST", path, body).status for _ in range(3)] == [200, 400, 502]
    scrape, names = scraped(gateway), {"pipeline_id": "direct", "namespace": "q"}
    counts = {
        status: scrape.value("layer_query_duration_seconds_count", status=status, **names)
        for status in ("ok", "tpuf_error")
    }
    assert counts == {"ok": 1, "tpuf_error": 2}
    shape = {"has_filter": "true", "has_rank_by": "true", "status": "ok"}
    assert scrape.value("layer_query_shape_total", **shape, **names) == 1
    parts = [
        scrape.value(f"layer_query_{part}_seconds_sum", status="ok", **names)
        for part in ("duration", "tpuf", "overhead")
    ]
    assert parts[0] == pytest.approx(parts[1] + parts[2])
    assert min(parts) > 0


def test_fetches_are_counted_by_what_served_them(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    assert gateway.write(ROWS, namespace="f").status == 200
    path = "/v2/namespaces/f/documents"
    assert gateway.ask("GET", f"{path}/1").value(b"x-layer-cache") == b"hit"
    row = json.dumps({"rows": [{"id": 9, "t": "y"}]}).encode()
    upstream.script(answer(200, row))
    assert gateway.ask("GET", f"{path}/9").value(b"x-layer-cache") == b"miss"
    upstream.script(answer(200, b'{"rows":[]}'))
    batch = gateway.ask("POST", path, b'{"ids":[1,2,77]}')
    assert batch.value(b"x-layer-cache") == b"partial"
    scrape = scraped(gateway)
    fetched = "layer_fetch_duration_seconds_count"
    for operation, result in (("get_doc", "hit"), ("get_doc", "miss"), ("get_batch", "partial")):
        labels = {"operation": operation, "namespace": "f", "cache_result": result}
        assert scrape.value(fetched, **labels) == 1, labels
    names = {"set": "tpuf_f", "namespace": "f"}
    assert scrape.value("layer_cache_lookups_total", result="hit", **names) == 3
    assert scrape.value("layer_cache_lookups_total", result="miss", **names) == 2
    assert scrape.value("layer_cache_backfills_total", set="tpuf_f", status="ok") == 1
    demand = {"namespace": "f", "store_kind": "turbopuffer"}
    assert scrape.value("hevlayer_cache_demand_total", **demand) == 3


def test_head_has_no_body(gateway: RunningGateway) -> None:
    reply = gateway.ask("HEAD", "/metrics", headers=[])
    assert (reply.status, reply.body) == (200, b"")


def workers_of(gateway: RunningGateway) -> list[int]:
    parent = gateway.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children]


def folder_of(gateway: RunningGateway) -> Path:
    """Give the folder of counts, by what the worker has mapped."""
    maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in workers_of(gateway))
    line = next(line for line in maps.splitlines() if "hevfast-metrics-" in line)
    return Path(line.split()[-1]).parent


def write_some(gateway: RunningGateway, count: int) -> None:
    for _ in range(count):
        assert gateway.write(ROWS).status == 200


def test_counts_are_exact_over_workers_and_kills(upstream: Upstream) -> None:
    with running_gateway(upstream.url, HEVFAST_WORKERS="3") as gateway:
        wait_for_worker(gateway, 3)
        folder = folder_of(gateway)
        for killed in range(3):
            write_some(gateway, 20)
            before = 20 * (killed + 1)
            for _ in range(6):
                # Whichever worker answers.
                assert scraped(gateway).value(f"{WRITES}_count", status="ok", **NS) == before
            victim = workers_of(gateway)[0]
            os.kill(victim, signal.SIGKILL)
            wait_for_worker(gateway, 4 + killed)
            assert scraped(gateway).value(f"{WRITES}_count", status="ok", **NS) == before
        assert scraped(gateway).value("hevfast_workers") == 3
        assert len(list(folder.glob("*.cells"))) <= 3 + 1
        assert gateway.stop() == 0
    assert not folder.exists()


def wait_for_worker(gateway: RunningGateway, starts: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        # A connection may have waited for the worker that was killed.
        with contextlib.suppress(ConnectionError):
            scrape = scraped(gateway)
            if scrape.value("hevfast_worker_starts_total") == starts:
                return
    raise AssertionError("the worker was not replaced")


def test_scrapes_and_writes_beside_each_other_never_go_back(upstream: Upstream) -> None:
    with running_gateway(upstream.url, HEVFAST_WORKERS="2") as gateway:
        seen = []
        for _ in range(30):
            assert gateway.ask("POST", "/v2/namespaces/ns", ROWS, [AUTH]).status == 200
            seen.append(scraped(gateway).value(f"{WRITES}_count", status="ok", **NS))
        assert seen == [float(n) for n in range(1, 31)]
