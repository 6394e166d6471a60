"""What one worker counts with: a cell for each series, found once and then added to."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hevfast.observe.catalogue import (
    CATALOGUE,
    METRICS_DROPPED,
    OTHER,
    WORKER_STARTS,
    WORKERS,
    Metric,
)
from hevfast.observe.cells import Cells, Series, series_of
from hevfast.observe.folder import Counts, Folder
from hevfast.observe.names import Names

LOGGER = logging.getLogger("hevfast.metrics")

# Seconds between looks at what is shown as it is, not counted. Other workers show it this late.
_SAMPLE_S: Final = 1.0


class Tally:
    """The cells of a worker, in the folder of all workers or, without one, in its memory.

    Used on the event loop; `values[first] += 1` is all that counting costs. What finds no room is
    counted in cells that nobody reads.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._cells = _joined(folder)
        self.values = self._cells.values
        self._firsts: dict[Series, int] = {}
        self._names = self._folder.names if self._folder is not None else Names()
        self._gauges: list[tuple[int, Callable[[], float]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._faulty = False
        self._dropped = self._cells.take(METRICS_DROPPED, ())
        self._firsts[series_of(METRICS_DROPPED)] = self._dropped
        for metric in CATALOGUE:
            if not metric.labels:
                # So that it shows before it first happens.
                self.first(metric)
        self.values[self.first(WORKER_STARTS)] += 1
        self.values[self.first(WORKERS)] = 1

    def __repr__(self) -> str:
        return f"<Tally {self._cells!r} {self._folder!r}>"

    def first(self, metric: Metric, *labels: str) -> int:
        """Give the first cell of a series."""
        series = series_of(metric, *labels)
        first = self._firsts.get(series)
        if first is None:
            first = self._firsts[series] = self._cells.take(metric, labels)
            if not first:
                self.values[self._dropped] += 1
        return first

    def shown(self, label: str, value: str, *, known: bool) -> str:
        """Give the name to show for a label value from outside, so that there are not too many.

        `known`: upstream knows it, so it may get a name of its own. Whoever makes up names must
        not use them up.
        """
        names = self._names
        return value if names.has(label, value) or (known and names.admits(label, value)) else OTHER

    def fault(self) -> None:
        """Note that counting went wrong; called while that is handled, and heard of once."""
        if not self._faulty:
            self._faulty = True
            LOGGER.exception("metrics are not all counted")

    # What is shown as it is

    def watch(self, metric: Metric, look: Callable[[], float], *labels: str) -> None:
        """Show what `look` gives, from now on."""
        self._gauges.append((self.first(metric, *labels), look))

    def sample(self) -> None:
        for first, look in self._gauges:
            try:
                self.values[first] = look()
            except Exception:
                self.fault()

    def open(self) -> None:
        """Begin to sample, on the running event loop."""
        self.sample()
        self._timer = asyncio.get_running_loop().call_later(_SAMPLE_S, self.open)

    def close(self) -> None:
        """End sampling. What was counted stays, for the workers that go on."""
        if self._timer is not None:
            self._timer.cancel()

    # What all have counted

    def counts(self) -> list[Counts]:
        """Map the counts of all workers, to be read and closed.

        Raises: OSError.
        """
        self.sample()
        if self._folder is None:
            return [Counts(self._cells.read(), alive=True)]
        return self._folder.counts()


def _joined(path: Path | None) -> tuple[Folder | None, Cells]:
    if path is not None:
        try:
            folder = Folder(path)
            return folder, folder.join()
        except OSError as error:
            # This worker's counts are then not among those of the others, but it serves.
            LOGGER.warning("metrics are this worker's alone: %s", error)
    return None, Cells()
