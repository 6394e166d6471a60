"""Where a run takes place: the machine, the versions, the commit, what the target says it is."""

import os
import platform
import subprocess
from pathlib import Path

from hevfast import __version__

from .result import Environment

GIT_WAIT_S = 5.0


def environment(target: dict[str, str | int | float] | None) -> Environment:
    return Environment(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        hevfast=__version__,
        commit=_commit(),
        target=target,
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str | None:
    """Give the commit that this program was checked out from, with a plus if it was changed."""
    words = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+")
    try:
        done = subprocess.run(  # noqa: S603
            [*words, "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=GIT_WAIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


class Processors:
    """How busy all processors of the machine are, between two looks."""

    def __init__(self) -> None:
        self._last = _jiffies()

    def busy_share(self) -> float | None:
        """Give the share since the last call, or since the beginning; None if it is unknown."""
        last, self._last = self._last, _jiffies()
        if last is None or self._last is None:
            return None
        idle, total = (now - then for now, then in zip(self._last, last, strict=True))
        return round(1 - idle / total, 3) if total > 0 else None


def _jiffies() -> tuple[int, int] | None:
    """Give the idle and all of the clock ticks of the processors so far."""
    try:
        words = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    except OSError:
        return None
    ticks = [int(word) for word in words]
    return ticks[3] + ticks[4], sum(ticks)
