"""What a run was asked to do: one frozen value that goes to every process and into the result."""

import msgspec

# Bounds of one run. It is a tool for measuring, not for keeping a server busy for days.
DURATION_S_MAX = 3_600
STEPS_MAX = 32
CONNECTIONS_MAX = 10_000
PROCESSES_MAX = 64
RATE_MAX = 1_000_000.0
KEYS_MAX = 1_000_000
ROWS_MAX = 10_000
DIM_MAX = 4_096
TEXT_BYTES_MAX = 1_048_576
BODY_BYTES_MAX = 67_108_864


class Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The scenario and the sizes of what it asks; see `hevfast load run --help`."""

    scenario: str
    namespace: str
    pipeline: str
    rows: int = 1
    dim: int = 96
    text_bytes: int = 400
    vectors: str = "float"
    keys: int = 10_000
    zipf: float = 0.0
    hit_ratio: float = 1.0
    batch: int = 10
    chunks: int = 4
    top_k: int = 10
    mix: dict[str, float] = {}
    seed: int = 1


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """One stretch of load; `rate` is arrivals per second of all processes, None for a closed loop.

    Units: seconds. `start_ns` is the monotonic clock's, which the processes of a host share.
    """

    rate: float | None
    warmup_s: float
    duration_s: float
    arrivals: str = "constant"
    start_ns: int = 0


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything asked for but the key, which goes into no result."""

    url: str
    workload: Workload
    steps: list[Step]
    connections: int = 64
    processes: int = 1
    timeout_s: float = 10.0
    late_ms: float = 5.0
    label: str = ""
