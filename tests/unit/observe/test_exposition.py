"""What Prometheus reads of what was counted."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from hevfast.observe import exposition, names
from hevfast.observe.catalogue import (
    ADMITTED_MAX,
    BREAKER_OPEN,
    CATALOGUE,
    COLD_START_ACTIVE,
    DURATIONS,
    UPSERT_DURATION,
    Kind,
)
from hevfast.observe.exposition import Exposition
from hevfast.observe.tally import Tally
from hevfast.observe.writes import DIRECT, Writes
from tests.fakes.scrape import Scrape, scraped

pytestmark = pytest.mark.anyio

SECONDS = "layer_upsert_duration_seconds"
OK = {"pipeline_id": "direct", "namespace": "ns", "status": "ok"}


async def test_every_metric_of_the_catalogue_is_there_with_its_type_and_help() -> None:
    scrape = await scraped(Tally())
    assert len(CATALOGUE) == len({metric.name for metric in CATALOGUE})
    for metric in CATALOGUE:
        family = scrape.families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind.value, metric.help)
        if not metric.labels and metric.kind is Kind.COUNTER:
            assert (metric.name, frozenset()) in scrape.samples
    assert scrape.value("hevfast_workers") == scrape.value("hevfast_worker_starts_total") == 1


async def test_histogram_is_cumulated_and_bounds_belong_to_their_bucket() -> None:
    tally = Tally()
    writes = Writes(tally)
    for seconds in (0.0, 0.001, 0.0011, 10.0, 11.0):
        writes.applied(DIRECT, b"ns", 1, seconds, 0.0)
    scrape = await scraped(tally)
    expected = {"0.001": 2, "0.005": 3, "5": 3, "10": 4, "+Inf": 5}
    for bound, count in expected.items():
        assert scrape.value(f"{SECONDS}_bucket", le=bound, **OK) == count
    assert scrape.value(f"{SECONDS}_count", **OK) == 5
    assert scrape.value(f"{SECONDS}_sum", **OK) == pytest.approx(21.0021)
    bounds = scrape.values_of(f"{SECONDS}_bucket", "le")
    assert bounds == {*(f"{each:g}" for each in DURATIONS), "+Inf"}


async def test_label_values_survive_as_they_are(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    name = 'a"b\\c\nd,e}é'
    tally.values[tally.first(UPSERT_DURATION, name, "ns", "ok")] += 1
    scrape = await scraped(tally)
    assert scrape.value(f"{SECONDS}_count", **(OK | {"pipeline_id": name})) == 1


async def test_workers_add_up_and_the_gauges_of_the_dead_are_gone(tmp_path: Path) -> None:
    first, second = Tally(tmp_path), Tally(tmp_path)
    for tally, active, is_open in ((first, 1.0, 1), (second, 0.0, 1)):
        Writes(tally).applied(DIRECT, b"ns", 5, 0.5, 0.2)
        tally.values[tally.first(COLD_START_ACTIVE)] = active
        tally.watch(BREAKER_OPEN, lambda is_open=is_open: is_open)
        tally.sample()
    for tally in (first, second):
        scrape = await scraped(tally)
        assert scrape.value(f"{SECONDS}_count", **OK) == 2
        assert scrape.value("hevfast_cache_breaker_open") == 2
        assert scrape.value("hevlayer_document_cache_cold_start_active") == 1
        assert scrape.value("hevfast_workers") == 2
    assert first._folder is not None
    os.close(first._folder._mine)
    first.values.release()
    first._cells._map.close()
    scrape = await scraped(second)
    assert scrape.value(f"{SECONDS}_count", **OK) == 2
    assert scrape.value("hevfast_cache_breaker_open") == 1
    assert scrape.value("hevlayer_document_cache_cold_start_active") == 0
    assert scrape.value("hevfast_workers") == 1
    assert scrape.value("hevfast_worker_starts_total") == 2


async def test_damaged_file_is_told_and_the_others_count(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    (tmp_path / "worker-x.cells").write_bytes(b"")
    (tmp_path / "worker-y.cells").write_bytes(os.urandom(5000))
    for _ in range(2):
        scrape = await scraped(tally)
        assert scrape.value("hevfast_metrics_damaged_total") == 2
        assert scrape.value("hevfast_workers") == 1


async def test_gauge_that_cannot_be_looked_at_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tally = Tally()
    tally.watch(BREAKER_OPEN, lambda: 1 // 0)
    for _ in range(3):
        assert (await scraped(tally)).value("hevfast_workers") == 1
    assert len(caplog.records) == 1


async def test_large_answer_holds_the_loop_for_a_moment_only(tmp_path: Path) -> None:
    """A tenth of all that may be. Measured in the loop's own processor time."""
    tally = Tally(tmp_path)
    writes = Writes(tally)
    for number in range(ADMITTED_MAX["namespace"] // 10):
        writes.applied(DIRECT, b"ns-%d" % number, 1, 0.01, 0.005)
    turns: list[float] = []
    done = False

    async def watched() -> None:
        while not done:
            spent = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - spent)

    watch = asyncio.create_task(watched())
    pieces = await Exposition(tally).pieces()
    done = True
    await watch
    assert len(Scrape(b"".join(pieces).decode()).values_of(f"{SECONDS}_count", "namespace")) == 500
    # Most turns are far below; a collection of garbage may fall into one.
    assert sorted(turns)[int(len(turns) * 0.98)] < 0.003


async def test_pieces_are_the_whole_as_the_library_writes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tally = Tally()
    for number in range(50):
        Writes(tally).applied(DIRECT, b"ns-%d" % number, 1, 0.01, 0.005)
    small = b"".join(await Exposition(tally).pieces())
    monkeypatch.setattr(exposition, "_LINES_A_TURN", 10**9)
    assert b"".join(await Exposition(tally).pieces()) == small


async def test_names_beyond_the_bound_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(names.ADMITTED_MAX, "namespace", 3)
    tally = Tally()
    writes = Writes(tally)
    for number in range(10):
        writes.applied(DIRECT, b"ns-%d" % number, 1, 0.01, 0.005)
    scrape = await scraped(tally)
    assert scrape.values_of(f"{SECONDS}_count", "namespace") == {"ns-0", "ns-1", "ns-2", "other"}
    assert scrape.value(f"{SECONDS}_count", **(OK | {"namespace": "other"})) == 7
