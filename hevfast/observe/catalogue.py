"""Every metric, in one table: name, type, labels, buckets, help.

Names, labels and buckets that begin with `layer_` or `hevlayer_` are Layer's (layer-api 7), so that
its dashboards and autoscalers work; those that begin with `hevfast_` are our own.
"""

import enum
from typing import Final, NamedTuple


class Kind(enum.Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Combined(enum.Enum):
    """How the values that workers have of a gauge become one."""

    SUM = "sum over live workers"
    MAX = "largest of live workers"
    # In no worker's cells: the same whoever is asked.
    ASKED = "read at the scrape"


# Label values that come from outside, and how many of each get a name of their own; the rest share
# `OTHER`. A `set` is named after its namespace and goes by that.
ADMITTED_MAX: Final = {"pipeline_id": 50, "namespace": 5000, "stage": 64, "reason": 64}
OTHER: Final = "other"

# Seconds.
DURATIONS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
COLD_STARTS: Final = (1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600)
# Rows, documents.
WRITE_ROWS: Final = (1, 10, 100, 1000, 10_000)
FETCH_IDS: Final = (1, 10, 100, 1000)
# Bytes.
PAYLOADS: Final = (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)


class Metric(NamedTuple):
    """One row of the table.

    A histogram's cells are its buckets one by one, the one beyond the last, and the sum; the others
    have one cell.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    combined: Combined = Combined.SUM

    @property
    def cells(self) -> int:
        return len(self.buckets) + 2 if self.kind is Kind.HISTOGRAM else 1


def _counter(name: str, labels: tuple[str, ...], help: str) -> Metric:
    return Metric(name, Kind.COUNTER, labels, help)


def _gauge(
    name: str, labels: tuple[str, ...], help: str, combined: Combined = Combined.SUM
) -> Metric:
    return Metric(name, Kind.GAUGE, labels, help, (), combined)


def _histogram(
    name: str, labels: tuple[str, ...], help: str, buckets: tuple[float, ...] = DURATIONS
) -> Metric:
    return Metric(name, Kind.HISTOGRAM, labels, help, buckets)


_WRITE: Final = ("pipeline_id", "namespace", "status")

UPSERT_DURATION: Final = _histogram(
    "layer_upsert_duration_seconds", _WRITE, "A write, from its head to its answer."
)
UPSERT_TPUF: Final = _histogram(
    "layer_upsert_tpuf_seconds", _WRITE, "The part of it spent waiting for Turbopuffer."
)
UPSERT_OVERHEAD: Final = _histogram(
    "layer_upsert_overhead_seconds",
    _WRITE,
    "The rest: the gateway's own part, cache and reading the body included.",
)
UPSERT_BATCH: Final = _histogram(
    "layer_upsert_batch_size",
    ("pipeline_id", "namespace"),
    "Rows upserted and patched, and one for each filter operation; deletes do not count.",
    WRITE_ROWS,
)
WRITES_REJECTED: Final = _counter(
    "hevfast_writes_rejected_total", ("reason",), "Writes refused by the gateway, by error code."
)
TPUF_INFLIGHT: Final = _gauge(
    "layer_tpuf_inflight", (), "Writes and lookups that wait for Turbopuffer."
)
GROUPS: Final = _counter(
    "hevfast_write_groups_total", (), "Writes sent for several callers (HEVFAST_COALESCE)."
)
GROUPED: Final = _counter(
    "hevfast_writes_grouped_total", (), "Writes of callers that were sent in them."
)
GROUPS_WAITING: Final = _gauge(
    "hevfast_writes_waiting", (), "Writes that wait to be sent with others."
)

FETCH_DURATION: Final = _histogram(
    "layer_fetch_duration_seconds",
    ("operation", "namespace", "cache_result"),
    "A fetch that could be answered, by 200 or 404; if the cache could not be asked, as a miss.",
)
FETCH_BATCH: Final = _histogram(
    "layer_fetch_batch_size", ("operation",), "Documents asked for at once.", FETCH_IDS
)
LOOKUPS: Final = _counter(
    "layer_cache_lookups_total",
    ("set", "namespace", "result"),
    "Documents the cache was asked for; bypass: it was not, as upstream had not let the key in.",
)
LOOKUP_DURATION: Final = _histogram(
    "layer_cache_lookup_duration_seconds",
    ("set", "result"),
    "Asking the cache; of a hit that needs no waiting, the whole fetch.",
)
BACKFILLS: Final = _counter(
    "layer_cache_backfills_total", ("set", "status"), "Documents read upstream and then kept."
)
BACKFILL_DURATION: Final = _histogram(
    "layer_cache_backfill_duration_seconds", ("set", "status"), "Keeping those of one fetch."
)
PAYLOAD: Final = _histogram(
    "layer_cache_payload_bytes", ("set", "result"), "Bytes of a document served.", PAYLOADS
)
DEMAND: Final = _counter(
    "hevlayer_cache_demand_total", ("namespace", "store_kind"), "Fetches that the cache is for."
)
COLD_RESPONSES: Final = _counter(
    "hevlayer_cache_cold_responses_total",
    ("namespace", "store_kind"),
    "Fetches answered while the cache could not be asked.",
)
COLD_STARTS_TOTAL: Final = _counter(
    "hevlayer_document_cache_cold_starts_total", (), "Times a fetch found the cache out of reach."
)
COLD_START: Final = _histogram(
    "hevlayer_document_cache_cold_start_seconds",
    (),
    "From such a fetch to the first one that the cache answers.",
    COLD_STARTS,
)
COLD_START_ACTIVE: Final = _gauge(
    "hevlayer_document_cache_cold_start_active",
    (),
    "1 from a fetch that found the cache out of reach until it answers one.",
    Combined.MAX,
)

AEROSPIKE_OPS: Final = _histogram(
    "layer_aerospike_op_duration_seconds",
    ("operation", "set", "status"),
    "A call of the cluster: get, put, delete, and those on fences by name.",
)
AEROSPIKE_INFLIGHT: Final = _gauge("layer_aerospike_inflight", (), "Calls of the cluster.")
AEROSPIKE_STATE: Final = _gauge(
    "layer_aerospike_connection_state",
    ("state",),
    "Workers whose connection is open, or failed; stop-writes does not flip it.",
)
CACHE_FAILURES: Final = _counter(
    "hevfast_cache_failures_total", ("reason",), "Calls of the cache's store that failed."
)
FILES_REPLACED: Final = _counter(
    "hevfast_cache_files_replaced_total", ("reason",), "New files in place of the one in use."
)
UNANNOUNCED: Final = _counter(
    "hevfast_cache_writes_unannounced_total", (), "Writes sent that the store could not be told of."
)
MIRRORS_FAILED: Final = _counter(
    "hevfast_cache_mirrors_failed_total", (), "Applied writes whose rows could not all be kept."
)
IN_DOUBT: Final = _counter(
    "hevfast_cache_writes_in_doubt_total", (), "Writes whose outcome upstream did not tell."
)
DOUBTFUL: Final = _gauge(
    "hevfast_cache_writes_doubtful", (), "Writes that upstream may still apply."
)
OWED: Final = _counter(
    "hevfast_cache_invalidations_owed_total", (), "Invalidations put off, the store out of reach."
)
PENDING: Final = _gauge(
    "hevfast_cache_invalidations_pending", (), "Namespaces without hits until theirs are made."
)
VOIDED: Final = _counter(
    "hevfast_cache_voided_total", (), "Times a namespace, or all that is cached, was given up."
)
BREAKER_OPENED: Final = _counter(
    "hevfast_cache_breaker_opened_total", (), "Times a store that failed began to be left alone."
)
BREAKER_OPEN: Final = _gauge(
    "hevfast_cache_breaker_open", (), "Workers that leave the store alone just now."
)

QUERY_DURATION: Final = _histogram(
    "layer_query_duration_seconds", _WRITE, "A query, from its head to its answer."
)
QUERY_TPUF: Final = _histogram(
    "layer_query_tpuf_seconds", _WRITE, "The part of it spent waiting for Turbopuffer."
)
QUERY_OVERHEAD: Final = _histogram(
    "layer_query_overhead_seconds", _WRITE, "The rest: reading it, its vectors, its answer."
)
QUERY_SHAPE: Final = _counter(
    "layer_query_shape_total",
    ("pipeline_id", "namespace", "has_filter", "has_rank_by", "status"),
    "Queries by what they have; `false` for both where they were not read.",
)
QUERY_CUTS: Final = _counter(
    "hevfast_query_cuts_total", (), "Queries sent with a cut at the watermark."
)

STAGE_TRANSITIONS: Final = _counter(
    "layer_stage_transitions_total",
    ("pipeline_id", "from_stage", "to_stage", "status"),
    "Changes of documents' stages; from `none` when they are staged or created first.",
)
STAGE_DURATION: Final = _histogram(
    "layer_stage_duration_seconds",
    ("pipeline_id", "from_stage", "to_stage"),
    "What they had spent in the stage they left.",
)
STAGE_COUNT: Final = _gauge(
    "layer_pipeline_stage_count",
    ("pipeline_id", "stage"),
    "Documents in a stage; of the four that every pipeline has, zeros too. For autoscalers.",
    Combined.ASKED,
)
PIPELINE_INDEXED: Final = _counter(
    "layer_pipeline_indexed_total", ("pipeline_id",), "Documents that became `indexed`."
)
PIPELINE_FAILED: Final = _counter(
    "layer_pipeline_failed_total",
    ("pipeline_id", "reason"),
    "Documents that became `failed`, by the reason that their worker gave.",
)

WORKERS: Final = _gauge("hevfast_workers", (), "Workers alive.")
WORKER_STARTS: Final = _counter("hevfast_worker_starts_total", (), "Workers started.")
METRICS_DROPPED: Final = _counter(
    "hevfast_metrics_dropped_total", (), "Series that found no room, and are not counted."
)
METRICS_DAMAGED: Final = _counter(
    "hevfast_metrics_damaged_total", (), "Workers' files of counts that could not all be read."
)

CATALOGUE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


def markdown() -> str:
    """Give the table for the README."""
    lines = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        kind = metric.kind.value
        if metric.kind is Kind.GAUGE:
            kind += f", {metric.combined.value}"
        elif metric.kind is Kind.HISTOGRAM and metric.buckets is not DURATIONS:
            kind += f" {metric.buckets[0]:,}..{metric.buckets[-1]:,}"
        lines.append(f"| `{metric.name}` | {kind} | {labels} | {metric.help} |")
    return "\n".join(lines)
