"""What of writes, fetches and the cache's troubles is counted, and under which names."""

import sys
import threading
from collections.abc import Iterator

import pytest

from hevfast.core.errors import GatewayError
from hevfast.core.names import Failure, Fetched, Incident, Looked, Replaced, Served, Status
from hevfast.observe.fetches import Fetches
from hevfast.observe.incidents import Incidents
from hevfast.observe.tally import Tally
from hevfast.observe.writes import DIRECT, Writes, status_of
from tests.fakes.scrape import Scrape, scraped

pytestmark = pytest.mark.anyio


def caused(code: str, cause: Exception | None) -> GatewayError:
    error = GatewayError(code, "")
    error.__cause__ = cause
    return error


STATUSES = [
    (caused("upstream_error", ConnectionRefusedError()), Status.TPUF_ERROR),
    (caused("upstream_error", TimeoutError()), Status.TIMEOUT),
    (caused("upstream_error", None), Status.AEROSPIKE_ERROR),
    (caused("service_unavailable", None), Status.AEROSPIKE_ERROR),
    (caused("validation_error", None), Status.LAYER_ERROR),
    (RuntimeError(), Status.LAYER_ERROR),
    (KeyboardInterrupt(), Status.LAYER_ERROR),
]


@pytest.mark.parametrize(("error", "status"), STATUSES)
async def test_write_without_an_answer_has_the_status_of_its_cause(
    error: BaseException, status: Status
) -> None:
    tally = Tally()
    assert status_of(error) is status
    Writes(tally).failed(DIRECT, b"ns", 3.0, 2.0, error)
    scrape = await scraped(tally)
    labels = {"pipeline_id": "direct", "namespace": "other", "status": status.value}
    upstream_s = 2.0 if status in (Status.TPUF_ERROR, Status.TIMEOUT) else 0.0
    assert scrape.value("layer_upsert_duration_seconds_sum", **labels) == 3.0
    assert scrape.value("layer_upsert_tpuf_seconds_sum", **labels) == upstream_s
    assert scrape.value("layer_upsert_overhead_seconds_sum", **labels) == 3.0 - upstream_s
    assert scrape.total("layer_upsert_batch_size_count") == 0


async def test_overhead_is_what_is_not_upstreams(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    writes = Writes(tally)
    writes.applied(DIRECT, b"ns", 2500, 0.75, 0.25)
    writes.applied("images", b"ns", 1, 0.75, 0.25)
    scrape = await scraped(tally)
    for pipeline in ("direct", "images"):
        labels = {"pipeline_id": pipeline, "namespace": "ns"}
        assert scrape.value("layer_upsert_tpuf_seconds_sum", status="ok", **labels) == 0.25
        assert scrape.value("layer_upsert_overhead_seconds_sum", status="ok", **labels) == 0.5
    assert scrape.value("layer_upsert_batch_size_sum", pipeline_id="direct", namespace="ns") == 2500


async def test_only_names_that_upstream_knows_get_one_of_their_own() -> None:
    """Whoever makes up namespaces must not use up the names."""
    tally = Tally()
    writes, fetches = Writes(tally), Fetches(tally, "tpuf_")
    writes.refused(DIRECT, b"made-up", 1, 0.1, 0.1)
    writes.failed(DIRECT, b"made-up", 0.1, 0.1, GatewayError("validation_error", ""))
    fetches.looked(b"made-up", [None], Looked.MISS, 0.1, known=False)
    fetches.fetched(Fetched.ONE, b"made-up", Served.MISS, 1, 0.1)
    scrape = await scraped(tally)
    assert scrape.values_of("layer_upsert_duration_seconds_count", "namespace") == {"other"}
    assert scrape.values_of("layer_cache_lookups_total", "set") == {"other"}
    writes.applied(DIRECT, b"real", 1, 0.1, 0.1)
    writes.refused(DIRECT, b"real", 1, 0.1, 0.1)
    scrape = await scraped(tally)
    labels = {"pipeline_id": "direct", "namespace": "real", "status": "tpuf_error"}
    assert scrape.value("layer_upsert_duration_seconds_count", **labels) == 1


async def test_rejected_writes_are_counted_by_reason() -> None:
    tally = Tally()
    writes = Writes(tally)
    for code in ("validation_error", "validation_error", "forbidden", "internal_error"):
        writes.rejected(GatewayError(code, ""))
    scrape = await scraped(tally)
    name = "hevfast_writes_rejected_total"
    assert scrape.value(name, reason="validation_error") == 2
    assert scrape.value(name, reason="forbidden") == 1
    assert scrape.total(name) == 3


def hits(scrape: Scrape) -> list[float]:
    names = {"namespace": "ns", "set": "tpuf_ns"}
    one = {"operation": "get_doc", "namespace": "ns", "cache_result": "hit"}
    found = {"set": "tpuf_ns", "result": "hit"}
    return [
        scrape.value("layer_fetch_duration_seconds_count", **one),
        scrape.value("layer_cache_lookups_total", result="hit", **names),
        scrape.value("layer_cache_lookup_duration_seconds_count", **found),
        scrape.value("layer_cache_payload_bytes_sum", **found),
        scrape.value("layer_fetch_batch_size_sum", operation="get_doc"),
        scrape.value("hevlayer_cache_demand_total", namespace="ns", store_kind="turbopuffer"),
    ]


async def test_short_way_of_a_hit_counts_what_the_long_one_does() -> None:
    short, long = Tally(), Tally()
    for _ in range(3):
        Fetches(short, "tpuf_").hit(b"ns", 250, 0.002)
        fetches = Fetches(long, "tpuf_")
        fetches.looked(b"ns", [b"x" * 250], Looked.MISS, 0.002, known=True)
        fetches.fetched(Fetched.ONE, b"ns", Served.HIT, 1, 0.002)
    assert (await scraped(short)).samples == (await scraped(long)).samples
    assert hits(await scraped(short)) == [3, 3, 3, 750, 3, 3]


@pytest.mark.parametrize(
    ("rows", "missing", "lookups", "result"),
    [
        ([b"12", b"345"], Looked.MISS, {"hit": 2}, "hit"),
        ([b"12", None, None], Looked.MISS, {"hit": 1, "miss": 2}, "partial"),
        ([None], Looked.MISS, {"miss": 1}, "miss"),
        ([None, None], Looked.ERROR, {"error": 2}, "error"),
        ([None], Looked.BYPASS, {"bypass": 1}, None),
    ],
)
async def test_lookups_are_counted_by_document(
    rows: list[bytes | None], missing: Looked, lookups: dict[str, int], result: str | None
) -> None:
    tally = Tally()
    Fetches(tally, "tpuf_").looked(b"ns", rows, missing, 0.1, known=True)
    scrape = await scraped(tally)
    name = "layer_cache_lookups_total"
    found = {
        each: scrape.value(name, set="tpuf_ns", namespace="ns", result=each)
        for each in scrape.values_of(name, "result")
    }
    assert found == lookups
    timed = scrape.values_of("layer_cache_lookup_duration_seconds_count", "result")
    assert timed == ({result} if result else set())


async def test_cold_start_lasts_until_the_cache_answers() -> None:
    tally = Tally()
    fetches = Fetches(tally, "tpuf_")
    prefix = "hevlayer_document_cache_cold_start"
    for _ in range(2):
        fetches.looked(b"ns", [None], Looked.ERROR, 0.1, known=True)
    scrape = await scraped(tally)
    assert scrape.value(f"{prefix}s_total") == scrape.value(f"{prefix}_active") == 1
    assert scrape.total("hevlayer_cache_cold_responses_total") == 2
    fetches.looked(b"ns", [None], Looked.BYPASS, 0.1, known=True)
    assert (await scraped(tally)).value(f"{prefix}_active") == 1
    fetches.looked(b"ns", [None], Looked.MISS, 0.1, known=True)
    scrape = await scraped(tally)
    assert scrape.value(f"{prefix}_active") == 0
    assert scrape.value(f"{prefix}_seconds_count") == 1


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns all the time."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


@pytest.mark.usefixtures("restless")
async def test_troubles_are_counted_exactly_from_any_thread() -> None:
    tally = Tally()
    incidents = Incidents(tally)

    def trouble() -> None:
        for _ in range(5000):
            incidents.failed(Failure.FULL)
            incidents.saw(Incident.VOIDED)
            incidents.replaced(Replaced.FULL)

    threads = [threading.Thread(target=trouble) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scrape = await scraped(tally)
    assert scrape.value("hevfast_cache_failures_total", reason="full") == 20_000
    assert scrape.value("hevfast_cache_files_replaced_total", reason="full") == 20_000
    assert scrape.value("hevfast_cache_voided_total") == 20_000


async def test_count_that_fails_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    writes, fetches, incidents = Writes(tally), Fetches(tally, "tpuf_"), Incidents(tally)
    tally.values.release()
    for _ in range(2):
        writes.applied(DIRECT, b"ns", 1, 0.1, 0.1)
        writes.refused(DIRECT, b"ns", 1, 0.1, 0.1)
        writes.failed(DIRECT, b"ns", 0.1, 0.1, RuntimeError())
        writes.rejected(GatewayError("forbidden", ""))
        fetches.hit(b"ns", 1, 0.1)
        fetches.looked(b"ns", [None], Looked.MISS, 0.1, known=True)
        fetches.filled(b"ns", 1, Status.OK, 0.1)
        fetches.fetched(Fetched.ONE, b"ns", Served.MISS, 1, 0.1)
        incidents.saw(Incident.VOIDED)
        incidents.called("get", "documents", Status.OK, 0.1)
    assert len(caplog.records) == 1
