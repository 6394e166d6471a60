"""The README's table of cache failures, row by row: what callers see, and which metric moves."""

import contextlib
import os
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from tests.contract.test_fetch import Caller, rows
from tests.contract.test_metrics import scraped, wait_for_worker, workers_of
from tests.fakes.aerospike import FakeAerospike
from tests.fakes.client import Reply
from tests.fakes.gateway import RunningGateway, running_gateway
from tests.fakes.scrape import Scrape
from tests.fakes.upstream import Upstream, raw

README = (Path(__file__).parents[2] / "README.md").read_text()

# Seconds. The longest wait for something that should happen soon.
WAIT_S = 20.0

ROW = {"upsert_rows": [{"id": 1, "n": 1}]}
NEWER = {"upsert_rows": [{"id": 1, "n": 2}]}
TOLD = {"id": 1, "n": 2}

# Rows that a test has shown, and the metrics that it saw move.
_SHOWN: dict[str, set[str]] = {}


def shows(row: str, *metrics: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    _SHOWN[row] = set(metrics)
    return lambda test: test


def moved(before: Scrape, after: Scrape, row: str) -> None:
    """Check that all metrics of a row have moved."""
    for metric in _SHOWN[row]:
        name, _, pair = metric.removesuffix("}").partition("{")
        labels = dict([pair.replace('"', "").split("=")]) if pair else {}
        assert after.total(name, **labels) > before.total(name, **labels), metric


def test_table_names_the_metrics_that_were_seen_to_move() -> None:
    table = README[README.index("| what happens to the cache |") :].split("\n\n")[0]
    listed = {}
    for line in table.splitlines()[2:]:
        row, _, metrics = (cell.strip() for cell in line.strip("|").split("|"))
        listed[row] = set(re.findall(r"`([^`]+)`", metrics))
    assert listed == _SHOWN


def cached(reply: Reply) -> tuple[int, bytes | None]:
    return reply.status, reply.value(b"x-layer-cache")


def n_of(reply: Reply) -> object:
    return reply.json["attributes"]["n"]


def until_hit(caller: Caller, body: object) -> None:
    """Wait until the cache keeps what is written again."""
    deadline = time.monotonic() + WAIT_S
    while cached_fetch(caller, body) != b"hit":
        assert time.monotonic() < deadline, caller.gateway.log[-2000:]


def cached_fetch(caller: Caller, body: object) -> bytes | None:
    assert caller.write(body).status == 200
    return caller.fetch(1, rows(TOLD)).value(b"x-layer-cache")


@contextlib.contextmanager
def on_lmdb(upstream: Upstream, folder: Path, **settings: str) -> Iterator[Caller]:
    # An announcement that comes too late is made all the same, and keeps its rows out of the cache
    # until it must have ended: by these bounds, some two seconds later.
    bounds = {"HEVFAST_DOUBT_MS": "100", "HEVFAST_UPSTREAM_TOTAL_TIMEOUT_MS": "1000"}
    with running_gateway(
        upstream.url, HEVFAST_DATA_DIR=str(folder), HEVFAST_CACHE="lmdb", **(bounds | settings)
    ) as gateway:
        yield Caller(gateway, upstream, "ns")


def file_of(folder: Path) -> Path:
    return max(folder.glob("cache-*.lmdb"), key=lambda path: path.stat().st_mtime)


def health(gateway: RunningGateway) -> str:
    return str(gateway.ask("GET", "/health", headers=[]).json["cache"]["state"])


DAMAGED = "the file is damaged or cut short"


@shows(DAMAGED, 'hevfast_cache_files_replaced_total{reason="damaged"}')
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_damaged_file(upstream: Upstream, tmp_path: Path, damage: str) -> None:
    with on_lmdb(upstream, tmp_path) as caller:
        until_hit(caller, ROW)
        before = scraped(caller.gateway)
    path = file_of(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"x" * len(content))
    with on_lmdb(upstream, tmp_path) as caller:
        caller.write({"upsert_rows": [{"id": 5}]})
        assert cached(caller.fetch(1, rows(TOLD))) == (200, b"miss")
        assert cached(caller.fetch(1)) == (200, b"hit")
        assert list(tmp_path.glob("cache-*.damaged"))
        moved(before, scraped(caller.gateway), DAMAGED)


OUTLIVED = "the machine was started anew"


@shows(OUTLIVED, 'hevfast_cache_files_replaced_total{reason="outlived"}')
def test_machine_started_anew(upstream: Upstream, tmp_path: Path) -> None:
    with on_lmdb(upstream, tmp_path) as caller:
        until_hit(caller, ROW)
        before = scraped(caller.gateway)
    file = lmdb.open(str(file_of(tmp_path)), subdir=False, max_dbs=4)
    with file.begin(write=True, db=file.open_db(b"namespaces")) as transaction:
        transaction.put(b"boot", b"another")
    file.close()
    with on_lmdb(upstream, tmp_path) as caller:
        caller.write({"upsert_rows": [{"id": 5}]})
        assert cached(caller.fetch(1, rows(TOLD))) == (200, b"miss")
        moved(before, scraped(caller.gateway), OUTLIVED)


FULL = "the disk is full"


@shows(
    FULL,
    # With no reason: a disk that cuts a write short looks to LMDB like one that fails.
    "hevfast_cache_failures_total",
    "hevfast_cache_writes_unannounced_total",
)
def test_full_disk(upstream: Upstream, tmp_path: Path) -> None:
    """The limit on file sizes stands for the disk: LMDB gets an error from its writes alike."""
    with on_lmdb(upstream, tmp_path) as caller:
        until_hit(caller, ROW)
        before = scraped(caller.gateway)
        (worker,) = workers_of(caller.gateway)
        unlimited = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        limit = file_of(tmp_path).stat().st_size
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (limit, unlimited[1]))
        for _ in range(20):
            wide = [{"id": n, "n": 2, "t": "x" * 1000} for n in range(1, 100)]
            assert caller.write({"upsert_rows": wide}).status == 200
        reply = caller.fetch(1, rows(TOLD))
        assert reply.status == 200
        assert n_of(reply) == 2
        moved(before, scraped(caller.gateway), FULL)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, unlimited)
        until_hit(caller, NEWER)


HELD = "another process holds the file's lock, or the disk hangs"


@shows(
    HELD,
    'hevfast_cache_failures_total{reason="late"}',
    "hevfast_cache_voided_total",
)
def test_held_lock(upstream: Upstream, tmp_path: Path) -> None:
    with on_lmdb(upstream, tmp_path) as caller:
        until_hit(caller, ROW)
        before = scraped(caller.gateway)
        file = lmdb.open(str(file_of(tmp_path)), subdir=False, max_dbs=4)
        with file.begin(write=True):
            begun = time.monotonic()
            assert caller.write(NEWER).status == 200
            # Announcing, taking out, and what a busy machine adds.
            assert time.monotonic() - begun < 3
            reply = caller.fetch(1, rows(TOLD))
            assert reply.status == 200
            assert n_of(reply) == 2
        file.close()
        moved(before, scraped(caller.gateway), HELD)
        until_hit(caller, NEWER)


OPEN = "five failures in a row"


@shows(
    OPEN,
    "hevfast_cache_breaker_opened_total",
    'hevfast_cache_failures_total{reason="not_tried"}',
    "hevfast_cache_breaker_open",
)
def test_open_breaker(upstream: Upstream, tmp_path: Path) -> None:
    with on_lmdb(upstream, tmp_path) as caller:
        until_hit(caller, ROW)
        before = scraped(caller.gateway)
        assert health(caller.gateway) == "ok"
        file = lmdb.open(str(file_of(tmp_path)), subdir=False, max_dbs=4)
        with file.begin(write=True):
            for _ in range(3):
                assert caller.write(NEWER).status == 200
            assert cached(caller.fetch(1, rows(TOLD))) == (200, b"miss-on-error")
            assert health(caller.gateway) == "degraded"
            moved(before, scraped(caller.gateway), OPEN)
        file.close()
        until_hit(caller, NEWER)
        assert health(caller.gateway) == "ok"


KILLED = "a worker is killed"


@shows(KILLED, "hevfast_worker_starts_total")
def test_killed_worker(upstream: Upstream, tmp_path: Path) -> None:
    with on_lmdb(upstream, tmp_path) as caller:
        until_hit(caller, ROW)
        before = scraped(caller.gateway)
        os.kill(workers_of(caller.gateway)[0], signal.SIGKILL)
        wait_for_worker(caller.gateway, 2)
        assert caller.write(NEWER).status == 200
        assert n_of(caller.fetch(1, rows(TOLD))) == 2
        moved(before, scraped(caller.gateway), KILLED)


DOUBT = "the outcome of a write is unknown (5xx, connection lost)"


@shows(DOUBT, "hevfast_cache_writes_in_doubt_total")
def test_write_in_doubt(upstream: Upstream, tmp_path: Path) -> None:
    with on_lmdb(upstream, tmp_path) as caller:
        until_hit(caller, ROW)
        before = scraped(caller.gateway)
        assert caller.write(NEWER, raw(b"", close=True)).status == 502
        assert cached(caller.fetch(1, rows(TOLD))) == (200, b"miss")
        moved(before, scraped(caller.gateway), DOUBT)


# Aerospike


@pytest.fixture
def node() -> Iterator[FakeAerospike]:
    with FakeAerospike() as running:
        yield running


@pytest.fixture
def caller(upstream: Upstream, node: FakeAerospike) -> Iterator[Caller]:
    hosts = ",".join(f"{host}:{port}" for host, port in node.hosts)
    with running_gateway(
        upstream.url,
        AEROSPIKE_HOSTS=hosts,
        HEVFAST_AEROSPIKE_REGISTRY_NAMESPACE="hevlayer_registry",
        HEVFAST_UPSTREAM_READ_TIMEOUT_MS="500",
    ) as gateway:
        caller = Caller(gateway, upstream, "ns")
        until_hit(caller, ROW)
        yield caller


AWAY = "Aerospike is down or hangs"


@shows(
    AWAY,
    "hevfast_cache_failures_total",
    "hevfast_cache_invalidations_owed_total",
    'layer_cache_lookups_total{result="error"}',
    "hevlayer_document_cache_cold_starts_total",
)
@pytest.mark.parametrize("how", ["down", "hangs"])
def test_aerospike_away(caller: Caller, node: FakeAerospike, how: str) -> None:
    before = scraped(caller.gateway)
    node.kill() if how == "down" else node.freeze()
    assert caller.write(NEWER).status == 200
    reply = caller.fetch(1, rows(TOLD))
    assert cached(reply) == (200, b"miss-on-error")
    assert n_of(reply) == 2
    assert health(caller.gateway) == "degraded"
    moved(before, scraped(caller.gateway), AWAY)
    node.restart(keep_data=True) if how == "down" else node.thaw()
    until_hit(caller, NEWER)
    assert n_of(caller.fetch(1)) == 2
    scrape = scraped(caller.gateway)
    assert scrape.value("hevfast_cache_invalidations_pending") == 0
    assert scrape.value("hevlayer_document_cache_cold_start_active") == 0
    assert scrape.value("layer_aerospike_connection_state", state="open") == 1


LOST = "Aerospike was restarted with its data lost"


@shows(LOST, 'layer_cache_lookups_total{result="miss"}')
def test_aerospike_data_lost(caller: Caller, node: FakeAerospike) -> None:
    before = scraped(caller.gateway)
    node.restart()
    deadline = time.monotonic() + WAIT_S
    while (reply := caller.fetch(1, rows(TOLD))).value(b"x-layer-cache") != b"miss":
        # Never the lost row: it is upstream's word, whether the cache answers yet or not.
        assert cached(reply) == (200, b"miss-on-error")
        assert time.monotonic() < deadline
    moved(before, scraped(caller.gateway), LOST)
    until_hit(caller, NEWER)


STOPPED = "Aerospike is full (stop-writes)"


@shows(
    STOPPED,
    'hevfast_cache_failures_total{reason="full"}',
    "hevfast_cache_mirrors_failed_total",
)
def test_aerospike_full(caller: Caller, node: FakeAerospike) -> None:
    other = {"upsert_rows": [{"id": 2, "n": 1}]}
    assert caller.write(other).status == 200
    before = scraped(caller.gateway)
    node.fill("hevlayer")
    assert cached(caller.fetch(2)) == (200, b"hit")
    assert caller.write(NEWER).status == 200
    reply = caller.fetch(1, rows(TOLD))
    assert reply.value(b"x-layer-cache") != b"hit"
    assert n_of(reply) == 2
    # Stop-writes is no lost connection.
    after = scraped(caller.gateway)
    assert after.value("layer_aerospike_connection_state", state="open") == 1
    moved(before, after, STOPPED)
    node.make_room("hevlayer")
    until_hit(caller, NEWER)


SHARED = "Aerospike is full, and the registry has no namespace of its own"


@shows(SHARED, "hevfast_cache_voided_total")
def test_aerospike_full_with_its_registry(caller: Caller, node: FakeAerospike) -> None:
    before = scraped(caller.gateway)
    node.fill("hevlayer")
    node.fill("hevlayer_registry")
    assert caller.write(NEWER).status == 200
    reply = caller.fetch(1, rows(TOLD))
    assert reply.value(b"x-layer-cache") != b"hit"
    assert n_of(reply) == 2
    moved(before, scraped(caller.gateway), SHARED)


BOTH = "upstream cannot be reached"


@shows(BOTH, 'layer_cache_lookups_total{result="error"}')
def test_upstream_away(caller: Caller, node: FakeAerospike) -> None:
    """What is cached is served; beyond it there is nobody to ask."""
    assert cached(caller.fetch(1)) == (200, b"hit")
    before = scraped(caller.gateway)
    reply = caller.fetch(9, raw(b"", close=True), raw(b"", close=True))
    assert (reply.status, reply.json["error"]) == (502, "upstream_error")
    node.kill()
    reply = caller.fetch(1, raw(b"", close=True), raw(b"", close=True))
    assert (reply.status, reply.json["error"]) == (502, "upstream_error")
    moved(before, scraped(caller.gateway), BOTH)
