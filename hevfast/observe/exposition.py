"""What `/metrics` answers: the counts of all workers, added up and written by Prometheus's library.

On the event loop, a fraction of a millisecond at a time. Its own format, escapes and all, is the
library's; it is given a few series at a time, as one call for all would hold up the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from hevfast.observe.catalogue import CATALOGUE, METRICS_DAMAGED, Combined, Kind, Metric
from hevfast.observe.cells import Series, series_of
from hevfast.observe.folder import Counts
from hevfast.observe.tally import Tally

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4.encode()

# Series read, and lines written, between two turns of the loop.
_READ_A_TURN: Final = 200
_LINES_A_TURN: Final = 150

# Label values and cells.
Sample = tuple[tuple[str, ...], list[float]]
# Values that are not counted by workers but read when they are asked for.
Asked = Callable[[], Awaitable[list[tuple[Metric, tuple[str, ...], float]]]]
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Exposition:
    """Answers scrapes, one after the other: each holds what it has added up."""

    def __init__(self, tally: Tally, asked: Asked | None = None) -> None:
        self._tally = tally
        self._asked = asked
        self._alone = asyncio.Lock()

    async def pieces(self) -> list[bytes]:
        """Give the text in pieces.

        Raises: OSError if other workers' counts cannot be read.
        """
        async with self._alone:
            sums = await _summed(self._tally.counts())
            samples: dict[int, list[Sample]] = {}
            for series, values in sums.items():
                samples.setdefault(series.place, []).append((series.labels, values))
            for metric, labels, value in await self._asked() if self._asked else []:
                samples.setdefault(CATALOGUE.index(metric), []).append((labels, [value]))
            written = []
            for place, metric in enumerate(CATALOGUE):
                for piece in _written(metric, samples.get(place, [])):
                    written.append(piece)
                    await asyncio.sleep(0)
            return written


async def _summed(counts: list[Counts]) -> dict[Series, list[float]]:
    """Add up the workers' counts. The gauges of one that is gone went with it."""
    sums: dict[Series, list[float]] = {}
    damaged = 0
    try:
        for reading, alive in counts:
            for number, (series, values) in enumerate(reading):
                if number % _READ_A_TURN == 0:
                    await asyncio.sleep(0)
                metric = CATALOGUE[series.place]
                if metric.kind is Kind.GAUGE and not alive:
                    continue
                had = sums.get(series)
                if had is None:
                    sums[series] = values
                elif metric.combined is Combined.MAX:
                    sums[series] = [max(had[0], values[0])]
                else:
                    sums[series] = [sum(pair) for pair in zip(had, values, strict=True)]
            damaged += reading.damaged
    finally:
        for reading, _ in counts:
            reading.close()
    sums.setdefault(series_of(METRICS_DAMAGED), [0.0])[0] += damaged
    return sums


class _Slice(Collector):
    """Some series of one metric, as the library collects them."""

    def __init__(self, metric: Metric, samples: Iterable[Sample]) -> None:
        self._metric = metric
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        metric = self._metric
        if metric.kind is Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
            for labels, values in self._samples:
                histogram.add_metric(labels, _cumulated(bounds, values), values[-1])
            yield histogram
            return
        make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        family = make(metric.name, metric.help, labels=metric.labels)
        for labels, values in self._samples:
            family.add_metric(labels, values[0])
        yield family


def _cumulated(bounds: list[str], values: list[float]) -> list[tuple[str, float]]:
    total = 0.0
    buckets = []
    for bound, value in zip(bounds, values[:-1], strict=True):
        total += value
        buckets.append((bound, total))
    return buckets


def _written(metric: Metric, samples: list[Sample]) -> Iterator[bytes]:
    """Write one metric in pieces, its help and type once."""
    head = generate_latest(_Slice(metric, ()))
    yield head
    many = max(1, _LINES_A_TURN // (metric.cells + 1))
    for start in range(0, len(samples), many):
        yield generate_latest(_Slice(metric, samples[start : start + many]))[len(head) :]
