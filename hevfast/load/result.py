"""The result of a run: a versioned schema, written and read as JSON.

`hevfast load schema` prints it as JSON Schema. A reader may rely on every field of a version;
fields may be added to it, and whoever reads must ignore those it does not know.
"""

from typing import Final, Literal

import msgspec

from .options import Options

SCHEMA: Final = "hevfast-load/1"


class Latency(msgspec.Struct, frozen=True):
    """Of good answers, and of requests that never were answered at the time they were given up.

    Units: milliseconds; `histogram` is an HdrHistogram of microseconds in its V2 encoding, base64.
    """

    count: int
    mean_ms: float
    min_ms: float
    p50_ms: float
    p75_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p99_9_ms: float
    p99_99_ms: float
    max_ms: float
    histogram: str


class Operation(msgspec.Struct, frozen=True):
    """One kind of request, or a course of several; `cache` counts values of `x-layer-cache`.

    Those of fetches that bore none, of documents that do not exist, are counted as "none".
    """

    answered: int
    errors: dict[str, int]
    cache: dict[str, int]
    latency: Latency | None

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())

    @property
    def error_share(self) -> float:
        return self.error_count / max(1, self.answered + self.error_count)

    @property
    def hit_share(self) -> float:
        """The share of fetches' good answers that came from the cache."""
        return self.cache.get("hit", 0) / max(1, sum(self.cache.values()))


class Point(msgspec.Struct, frozen=True):
    """A stretch of the time line. Latencies are of what was due in it, counts of what came in it.

    Units: seconds since the warm-up ended; milliseconds, None if nothing was due.
    """

    start_s: float
    width_s: float
    answered: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class Generator(msgspec.Struct, frozen=True):
    """How well the load tool itself kept up.

    Units: milliseconds from due to looked at; share of one processor, a value for each process;
    `waited_share` of arrivals found all connections busy (their latency counts the wait).
    """

    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    cpu_shares: list[float]
    waited_share: float


class StepResult(msgspec.Struct, frozen=True):
    """One stretch of load without its warm-up.

    Units: good courses a second; those answered after the end do not count for `rate_answered`.
    """

    loop: Literal["open", "closed"]
    rate_asked: float | None
    rate_answered: float
    duration_s: float
    arrivals: int
    total: Operation
    operations: dict[str, Operation]
    timeline: list[Point]
    generator: Generator
    # Of all processors of the machine, other programs and the target included; None if unknown.
    machine_busy_share: float | None
    # Why the figures are not to be used; empty if they are.
    refused: list[str]

    @property
    def name(self) -> str:
        return "closed loop" if self.rate_asked is None else f"{self.rate_asked:.6g}/s"


class Environment(msgspec.Struct, frozen=True):
    """Where the load came from, and what the target says it is."""

    cpu: str
    cores: int
    kernel: str
    python: str
    hevfast: str
    commit: str | None
    target: dict[str, str | int | float] | None


class Verdict(msgspec.Struct, frozen=True):
    """A requirement, the value it was held against, and whether it is met in every step."""

    requirement: str
    value: str
    met: bool


class Result(msgspec.Struct, frozen=True):
    """A whole run. `interrupted` results end early and say less."""

    options: Options
    started_at: str
    environment: Environment
    steps: list[StepResult]
    interrupted: bool = False
    requirements: list[Verdict] = []
    schema: Literal["hevfast-load/1"] = SCHEMA

    @property
    def name(self) -> str:
        return self.options.label or self.options.workload.scenario

    @property
    def refused(self) -> list[str]:
        """Say which steps are refused, and why."""
        return [f"{step.name}: {reason}" for step in self.steps for reason in step.refused]


def write(result: Result) -> bytes:
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def read(text: bytes) -> Result:
    """Read a result. Raises: ValueError for anything that is not one of this version."""
    try:
        return msgspec.json.decode(text, type=Result)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a result of schema {SCHEMA}: {error}") from error


def json_schema() -> bytes:
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Result)), indent=1)
