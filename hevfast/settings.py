"""Every setting, in one table: the fields of `Settings`.

The class body below is the table. The frozen object the program runs on, the output of
`hevfast settings` and the table in the README all come from it. This is the only module that
reads the environment.
"""

import dataclasses
import difflib
import os
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from hevfast.setting import (
    Row,
    base_url,
    choice,
    choice_setting,
    number_setting,
    pattern,
    text_setting,
)

STARS = "********"


class SettingsError(Exception):
    """The environment does not make sense; holds one sentence per fault found."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


# Longest time a deadline may be set to, in milliseconds: one hour.
_HOUR_MS = 3_600_000

DRAIN_MARKER_NAME = "layer-gateway-draining"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the gateway runs on. Each field is one setting."""

    port: int = number_setting("PORT", 8080, 1, 65535, "", "Port the gateway listens on.")
    host: str = text_setting(
        "HOST", "text", "127.0.0.1",
        pattern(r"[0-9A-Za-z.:\-]{1,253}", "an address or a host name"),
        "Address the gateway listens on; 0.0.0.0 for all.",
    )  # fmt: skip
    tpuf_url: str | None = text_setting(
        "TPUF_URL", "url", None, base_url,
        "Base URL of Turbopuffer, may carry a path prefix. Unset: built from TURBOPUFFER_REGION, "
        "else https://api.turbopuffer.com.", bounds="http or https, no query, no user",
    )  # fmt: skip
    region: str | None = text_setting(
        "TURBOPUFFER_REGION", "text", None,
        pattern(r"[a-z0-9][a-z0-9\-]{0,62}", "a region name such as aws-us-east-1"),
        "Region whose host is used when TPUF_URL is unset.", bounds="such as aws-us-east-1",
    )  # fmt: skip
    api_key: str | None = text_setting(
        "TURBOPUFFER_API_KEY", "secret", None,
        pattern(r"[\x21-\x7e]+", "printable ASCII without spaces"),
        "The gateway's own Turbopuffer key. Set: callers must present this same key. Unset: the "
        "caller's key is passed on and Turbopuffer judges it.", secret=True,
    )  # fmt: skip
    workers: int = number_setting("HEVFAST_WORKERS", 1, 1, 256, "processes", "Worker processes.")
    body_bytes_max: int = number_setting(
        "HEVFAST_BODY_BYTES_MAX", 536_870_912, 1, 4_294_967_295, "bytes",
        "Largest request body, after decompression too; beyond it 413.",
    )  # fmt: skip
    body_silence_ms: int = number_setting(
        "HEVFAST_BODY_SILENCE_MS", 30_000, 10, _HOUR_MS, "ms",
        "How long a client may pause while sending its body; beyond it 408.",
    )  # fmt: skip
    reserved_stamps: str = choice_setting(
        "HEVFAST_RESERVED_STAMPS", ("reject", "overwrite"),
        "What happens to a client's own values of the two stamps: refused, or replaced.",
    )  # fmt: skip
    shard_count: int = number_setting(
        "LAYER_SHARD_COUNT", 16, 1, 65536, "shards", "Shards the ids are spread over."
    )
    shard_stamp: str = choice_setting(
        "HEVFAST_SHARD_STAMP", ("always", "initialised", "never"),
        "Whether rows get _hevlayer_shard; initialised: in namespaces that have a marker, which "
        "is asked for once a minute.",
    )  # fmt: skip
    backfill_rows: int = number_setting(
        "LAYER_INIT_BACKFILL_BATCH_SIZE", 1000, 1, 10_000, "rows",
        "Rows that get their shard in one write after an init.",
    )  # fmt: skip
    backfill_rps: int = number_setting(
        "LAYER_INIT_BACKFILL_RPS", 5, 1, 1000, "writes/s", "Such writes a second, at most."
    )
    namespace_list_cache_ttl_ms: int = number_setting(
        "NAMESPACE_LIST_CACHE_TTL_MS", 10_000, 0, _HOUR_MS, "ms",
        "How long a page of GET /v2/namespaces is served again to the same key.",
    )  # fmt: skip
    federated_namespaces_max: int = number_setting(
        "LAYER_FEDERATED_QUERY_MAX_NAMESPACES", 512, 1, 4096, "namespaces",
        "Namespaces in one POST /v2/query.",
    )  # fmt: skip
    federated_namespaces_parallel: int = number_setting(
        "LAYER_FEDERATED_QUERY_NAMESPACE_THREADS", 16, 1, 512, "namespaces",
        "Namespaces that a worker asks at once for such queries.",
    )  # fmt: skip
    cache: str | None = text_setting(
        "HEVFAST_CACHE", "choice", None, choice(("aerospike", "lmdb", "memory", "off")),
        "Where documents are cached: in a cluster shared by many gateways, in a file shared by the "
        "workers of this host, in the memory of the only worker, or nowhere. Unset: aerospike if "
        "AEROSPIKE_HOSTS is set, else lmdb.", bounds="aerospike | lmdb | memory | off",
    )  # fmt: skip
    aerospike_hosts: str | None = text_setting(
        "AEROSPIKE_HOSTS", "hosts", None,
        pattern(r"[^\s,:]+:[0-9]{1,5}(,[^\s,:]+:[0-9]{1,5})*", "a list of host:port"),
        "Nodes of the Aerospike cluster, separated by commas.", bounds="host:port,...",
    )  # fmt: skip
    aerospike_namespace: str = text_setting(
        "AEROSPIKE_NAMESPACE", "text", "hevlayer", pattern(r"[A-Za-z0-9_\-]{1,31}", "a namespace"),
        "Its namespace for documents.",
    )  # fmt: skip
    aerospike_registry_namespace: str | None = text_setting(
        "HEVFAST_AEROSPIKE_REGISTRY_NAMESPACE", "text", None,
        pattern(r"[A-Za-z0-9_\-]{1,31}", "a namespace"),
        "Its namespace for fences and pipelines, whose records never expire: one of its own goes "
        "on when the documents' is full. Unset: that of the documents.",
    )  # fmt: skip
    aerospike_set_prefix: str = text_setting(
        "AEROSPIKE_SET_PREFIX", "text", "tpuf_", pattern(r"[A-Za-z0-9_\-]{0,32}", "a prefix"),
        "Prefix of the sets; gateways that share a cache share it.",
    )  # fmt: skip
    aerospike_cluster_name: str | None = text_setting(
        "AEROSPIKE_CLUSTER_NAME", "text", None, pattern(r"[\x21-\x7e]{1,64}", "a name"),
        "Name the cluster must have.",
    )  # fmt: skip
    cache_unreachable: str = choice_setting(
        "HEVFAST_CACHE_UNREACHABLE", ("open", "refuse"),
        "Writes while the Aerospike cluster cannot be reached: open lets them go on, and other "
        "gateways may serve older rows until it is back; refuse answers 503 and sends nothing. "
        "The other caches never refuse: what they could not be told, they void.",
    )  # fmt: skip
    data_dir: str = text_setting(
        "HEVFAST_DATA_DIR", "path", ".hevfast", pattern(r"[^\x00]+", "a path"),
        "Folder of the embedded stores' files: the cache (lmdb) and the pipelines.",
    )  # fmt: skip
    cache_bytes_max: int = number_setting(
        "HEVFAST_CACHE_BYTES_MAX", 1_073_741_824, 8_388_608, 1_099_511_627_776, "bytes",
        "Size of the cache (lmdb, memory); of the file, documents are evicted from three fifths of "
        "it on.",
    )  # fmt: skip
    pipelines_bytes_max: int = number_setting(
        "HEVFAST_PIPELINES_BYTES_MAX", 17_179_869_184, 8_388_608, 17_592_186_044_416, "bytes",
        "Size of the embedded pipelines' file, which takes only what is used of it. From seven "
        "eighths on nothing is staged until documents are indexed.",
    )  # fmt: skip
    doubt_ms: int = number_setting(
        "HEVFAST_DOUBT_MS", 60_000, 10, _HOUR_MS, "ms",
        "How long Turbopuffer may still apply a write whose answer was lost.",
    )  # fmt: skip
    upstream_connect_timeout_ms: int = number_setting(
        "HEVFAST_UPSTREAM_CONNECT_TIMEOUT_MS", 5_000, 10, _HOUR_MS, "ms",
        "Longest wait for a connection to Turbopuffer, waiting for a free one included.",
    )  # fmt: skip
    upstream_read_timeout_ms: int = number_setting(
        "HEVFAST_UPSTREAM_READ_TIMEOUT_MS", 60_000, 10, _HOUR_MS, "ms",
        "Longest silence of Turbopuffer, before its answer or within it.",
    )  # fmt: skip
    upstream_total_timeout_ms: int = number_setting(
        "HEVFAST_UPSTREAM_TOTAL_TIMEOUT_MS", 300_000, 10, _HOUR_MS, "ms",
        "Longest time one exchange with Turbopuffer may take, sending included.",
    )  # fmt: skip
    upstream_connections_max: int = number_setting(
        "HEVFAST_UPSTREAM_CONNECTIONS_MAX", 512, 1, 65535, "connections",
        "Connections to Turbopuffer, per worker.",
    )  # fmt: skip
    upstream_client: str = choice_setting(
        "HEVFAST_UPSTREAM_CLIENT", ("direct", "session"),
        "How Turbopuffer is talked to: the gateway's own reader, or aiohttp's, slower, to fall "
        "back on.",
    )  # fmt: skip
    poll_interval_ms: int = number_setting(
        "CONSISTENCY_POLL_INTERVAL_MS", 1_000, 10, _HOUR_MS, "ms",
        "Time between questions to Turbopuffer about an index that is not up to date.",
    )  # fmt: skip
    stable_poll_interval_ms: int = number_setting(
        "CONSISTENCY_STABLE_POLL_INTERVAL_MS", 60_000, 10, _HOUR_MS, "ms",
        "The same for one that is and was not written since.",
    )  # fmt: skip
    safety_margin_ms: int = number_setting(
        "CONSISTENCY_SAFETY_MARGIN_MS", 500, 1, _HOUR_MS, "ms",
        "How far a watermark stays behind the time at which the index was seen up to date.",
    )  # fmt: skip
    native_query_cut: str = choice_setting(
        "HEVFAST_NATIVE_QUERY_CUT", ("off", "on"),
        "Whether queries in Turbopuffer's own form are cut at the watermark, too, while the index "
        "lags behind.",
    )  # fmt: skip
    coalesce: str = choice_setting(
        "HEVFAST_COALESCE", ("off", "on"),
        "Group commit: small plain upserts that come while one of their namespace is in flight go "
        "together as one write.",
    )  # fmt: skip
    coalesce_inflight: int = number_setting(
        "HEVFAST_COALESCE_INFLIGHT", 1, 1, 64, "writes",
        "Of these, in flight at once for one namespace, per worker. All workers together must not "
        "have more than Turbopuffer takes: beyond that it gets slower.",
    )  # fmt: skip
    coalesce_bytes_max: int = number_setting(
        "HEVFAST_COALESCE_BYTES_MAX", 67_108_864, 65_536, 17_179_869_184, "bytes",
        "Bodies that wait to go together, per worker; beyond it 429.",
    )  # fmt: skip
    coalesce_wait_ms: int = number_setting(
        "HEVFAST_COALESCE_WAIT_MS", 30_000, 10, _HOUR_MS, "ms",
        "How long a write may wait to be sent; beyond it 429.",
    )  # fmt: skip
    drain_marker_path: str = text_setting(
        "LAYER_DRAIN_MARKER_PATH", "path",
        os.path.join(tempfile.gettempdir(), DRAIN_MARKER_NAME),
        pattern(r"[^\x00]+", "a path"),
        "While this file exists, /ready answers 503 draining.",
    )  # fmt: skip

    @property
    def cache_in_force(self) -> str:
        """Give the document cache that is used."""
        if self.cache is not None:
            return self.cache
        return "lmdb" if self.aerospike_hosts is None else "aerospike"

    @property
    def upstream_url(self) -> str:
        """Give the base URL in force, without a trailing slash."""
        if self.tpuf_url is not None:
            return self.tpuf_url
        if self.region is not None:
            return f"https://{self.region}.turbopuffer.com"
        return "https://api.turbopuffer.com"


TABLE: dict[str, Row] = {
    field.name: field.metadata["row"] for field in dataclasses.fields(Settings)
}

# Names the build and the tests use; they configure nothing that serves requests.
_SWITCHES = re.compile(r"HEVFAST_(TEST_.*|DEBUG|TRACE|SANITIZE)")

# Known names whose function this version does not have.
_UNSUPPORTED = frozenset(
    {
        "HEVFAST_API_KEYS",
        # These hold rules about who may call; ignoring them would open the door.
        "LAYER_STORES_JSON",
        "LAYER_STORE_FILE",
        "LAYER_STORE_JSON",
    }
)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises: SettingsError with all faults at once.
    """
    given = os.environ if environ is None else environ
    faults = _strangers(given)
    values: dict[str, Any] = {}
    for name, row in TABLE.items():
        text = given.get(row.variable)
        if text is None:
            continue
        try:
            values[name] = _parsed(row, text)
        except ValueError as error:
            shown = STARS if row.secret else repr(text)
            faults.append(f"{row.variable}={shown} {error}")
    if not faults:
        faults = _contradictions(Settings(**values))
    if faults:
        raise SettingsError(faults)
    return Settings(**values)


def _contradictions(settings: Settings) -> list[str]:
    """Name settings that make sense one by one and not together."""
    faults = []
    if settings.cache_in_force == "aerospike" and settings.aerospike_hosts is None:
        faults.append("HEVFAST_CACHE=aerospike needs AEROSPIKE_HOSTS")
    if settings.cache_in_force == "memory" and settings.workers > 1:
        faults.append("HEVFAST_CACHE=memory works with HEVFAST_WORKERS=1 only; use lmdb")
    return faults


# Set by `serve` for its workers, and by nobody else.
_METRICS_FOLDER = "_HEVFAST_METRICS_FOLDER"


def hand_down_metrics_folder(folder: str) -> None:
    """Tell the workers that this process will start where they keep their counts; "": nowhere."""
    os.environ[_METRICS_FOLDER] = folder


def metrics_folder() -> str:
    """Give the folder that was handed down, or ""."""
    return os.environ.get(_METRICS_FOLDER, "")


def child_environment(**changed: str) -> dict[str, str]:
    """Give the environment for a child process: this one's with some variables changed."""
    return {**os.environ, **changed}


def _parsed(row: Row, text: str) -> Any:
    if not text:
        raise ValueError("is empty; unset it to use the default")
    return row.parse(text)


def _strangers(given: Mapping[str, str]) -> list[str]:
    """Name the variables that are ours by name but that no setting reads."""
    known = {row.variable for row in TABLE.values()}
    faults = []
    for name in sorted(given):
        if name in _UNSUPPORTED:
            faults.append(f"{name} is not supported by this version")
        elif name.startswith("HEVFAST_") and name not in known and not _SWITCHES.fullmatch(name):
            near = difflib.get_close_matches(name, known | _UNSUPPORTED, n=1, cutoff=0.75)
            hint = f"; did you mean {near[0]}?" if near else ""
            faults.append(f"{name} is not a setting{hint}")
    return faults


def shown(settings: Settings, name: str) -> str:
    """Give the value of a setting as text fit for a screen: secrets as stars."""
    value = getattr(settings, name)
    if value is None:
        return "(unset)"
    return STARS if TABLE[name].secret else str(value)


def default_of(name: str) -> str:
    """Give the default of a setting as text; the drain marker's depends on the machine."""
    return shown(Settings(), name)


def describe(settings: Settings) -> str:
    """Give the whole table as text: name, value, default, unit, bounds, meaning."""
    lines = []
    for name, row in TABLE.items():
        facts = [f"default {default_of(name)}"]
        if row.unit:
            facts.append(row.unit)
        if row.bounds:
            facts.append(row.bounds)
        lines.append(f"{row.variable} = {shown(settings, name)}")
        lines.append(f"    {'; '.join(facts)}")
        lines.append(f"    {row.help}")
    lines.append("")
    lines.append(f"Turbopuffer is at {settings.upstream_url}")
    return "\n".join(lines)


def markdown() -> str:
    """Give the table for the README: what is true on every machine."""
    lines = ["| variable | default | unit and bounds | meaning |", "| --- | --- | --- | --- |"]
    for name, row in TABLE.items():
        default = default_of(name).replace(tempfile.gettempdir(), "(temporary folder)")
        facts = " ".join(part for part in (row.unit, row.bounds) if part).replace("|", "\\|")
        lines.append(f"| `{row.variable}` | {default} | {facts} | {row.help} |")
    return "\n".join(lines)
