"""HDR histograms of microseconds: three digits, from 1 us to one hour."""

from array import array
from collections import Counter
from collections.abc import Iterable

# The library has no annotations; what is used of it is wrapped below, once.
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from .result import Latency

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
# Digits of a percentile in the result, and of one in the time line, of which there are hundreds.
DIGITS = 3
TIMELINE_DIGITS = 2

US_PER_MS = 1_000


class Histogram:
    """Counts of latencies; merging any number of processes' into one loses nothing."""

    def __init__(self, digits: int = DIGITS, encoded: str | None = None) -> None:
        if encoded is None:
            self._hdr = HdrHistogram(LOWEST_US, HIGHEST_US, digits)
        else:
            self._hdr = HdrHistogram.decode(encoded)

    @property
    def count(self) -> int:
        return int(self._hdr.get_total_count())

    def record(self, latencies_us: Iterable[int]) -> None:
        """Add values; recording equal ones at once saves most of the cost."""
        for value, count in Counter(latencies_us).items():
            self._hdr.record_value(min(max(value, LOWEST_US), HIGHEST_US), count)

    def percentile_ms(self, percentile: float) -> float:
        return float(self._hdr.get_value_at_percentile(percentile)) / US_PER_MS

    def max_ms(self) -> float:
        return float(self._hdr.get_max_value()) / US_PER_MS

    def latency(self) -> Latency | None:
        """Give the figures of the result; None if nothing was recorded."""
        if not self.count:
            return None
        return Latency(
            count=self.count,
            mean_ms=round(self._hdr.get_mean_value() / US_PER_MS, 4),
            min_ms=self._hdr.get_min_value() / US_PER_MS,
            p50_ms=self.percentile_ms(50),
            p75_ms=self.percentile_ms(75),
            p90_ms=self.percentile_ms(90),
            p95_ms=self.percentile_ms(95),
            p99_ms=self.percentile_ms(99),
            p99_9_ms=self.percentile_ms(99.9),
            p99_99_ms=self.percentile_ms(99.99),
            max_ms=self.max_ms(),
            histogram=self._hdr.encode().decode("ascii"),
        )


def decoded(latency: Latency) -> Histogram:
    """Give the histogram that a result holds."""
    return Histogram(encoded=latency.histogram)


def moments(data: bytes) -> "array[int]":
    """Read the microseconds of a message."""
    values = array("Q")
    values.frombytes(data)
    return values
