"""Answers that are the same as long as the settings are: licence, store, capabilities, metrics."""

from typing import TYPE_CHECKING, Any, Final

from hevfast import __version__
from hevfast.core.errors import GatewayError
from hevfast.edge.reply import reply_json
from hevfast.observe.catalogue import CATALOGUE, Kind, Metric
from hevfast.routes.call import Visit

if TYPE_CHECKING:
    from hevfast.gateway import Gateway
    from hevfast.routes.surface import Handler

STORE: Final = "turbopuffer"

_SURFACE: Final = {"state": "floor", "seconds_to_deadline": 0, "grace_seconds_remaining": 0}
_LICENSE: Final = {
    "valid": False,
    "state": "floor",
    "reason": "open_gateway",
    "gateway": _SURFACE,
}

# Feature, whether Turbopuffer or the gateway has it, and where it is described.
_FEATURES: Final = (
    ("write", "Stamped writes", "What it does to a request", "supported", ""),
    ("document_cache", "Document cache", "The document cache", "supported", ""),
    ("pipelines", "Two-stage pipelines", "Pipelines", "supported", ""),
    ("namespaces", "Lists and metadata", "Namespaces", "supported", ""),
    ("scans", "Scans", "Namespaces", "supported", "ann scans are bounded to 10,000 rows"),
    ("warm", "Warming the cache", "Namespaces", "supported", ""),
    ("federated_query", "Federated queries", "Namespaces", "supported", ""),
    ("snapshots", "Facet snapshots", "Routes", "unsupported", "there is no object store"),
    ("udfs", "UDFs", "Routes", "unsupported", "part of Layer's closed edition"),
    ("keys", "Minted keys", "Routes", "unsupported", "part of Layer's closed edition"),
    ("object_attributes", "Nested objects", "Routes", "unsupported", "Turbopuffer has none"),
    ("import", "Bulk import", "Routes", "unsupported", "Turbopuffer has none"),
)

_CAPABILITIES: Final = {
    "store": {"name": STORE, "kind": STORE},
    "declared": True,
    "features": [
        dict(zip(("id", "label", "page", "support", "note"), row, strict=True)) for row in _FEATURES
    ],
    "hybrid_routes": [],
    "schema_limits": {
        "embed": {"support": "supported", "note": "by Turbopuffer itself, not by the gateway"},
        "max_gateway_embed_attributes": 0,
        "max_full_text_search_fields": None,
        # turbopuffer-wire 2.
        "max_vector_fields": 8,
    },
}

# Layer's families by the beginnings of names; the first that fits counts.
_FAMILIES: Final = (
    ("layer_upsert_", "upsert"),
    ("layer_query_", "query"),
    ("layer_fetch_", "fetch"),
    ("layer_stage_", "pipeline"),
    ("layer_pipeline_", "pipeline"),
    ("hevfast_writes_", "upsert"),
    ("layer_cache_", "cache"),
    ("hevlayer_cache_", "cache"),
    ("hevlayer_document_cache_", "cache"),
    ("layer_aerospike_", "cache"),
    ("hevfast_cache_", "cache"),
    ("hevlayer_tpuf_", "storage"),
    ("", "saturation"),
)
FAMILIES: Final = ("query", "upsert", "fetch", "cache", "pipeline", "storage", "saturation")

# Seconds. The catalogue changes with the program alone.
_A_DAY: Final = ((b"cache-control", b"public, max-age=86400"),)


class Inventory:
    """Serves them."""

    __slots__ = ("_entries", "_store")

    def __init__(self, gateway: "Gateway") -> None:
        settings = gateway.settings
        self._entries = {metric.name: _entry(metric) for metric in CATALOGUE}
        self._store = {
            "name": STORE,
            "kind": STORE,
            "default": True,
            "endpoint": {"url": settings.upstream_url, "region": settings.region or ""},
            "credential": {"secretRef": {"name": "", "key": ""}},
            "inboundAuth": {"mode": "deriveFromStore"},
            "status": {"conditions": []},
        }

    def handlers(self) -> "dict[str, Handler]":
        return {
            "get_license": _fixed(_LICENSE),
            "list_vectorstores": _fixed({"vectorstores": [self._store]}),
            "get_vectorstore": _of_store(self._store),
            "get_vector_store_capabilities": _of_store(_CAPABILITIES),
            "get_namespace_capabilities": _fixed(_CAPABILITIES),
            "list_snapshot_jobs": _fixed({"snapshot_jobs": []}),
            "list_metrics_catalog": self._catalog,
            "get_metric_catalog_entry": self._catalog_entry,
        }

    async def _catalog(self, visit: Visit) -> None:
        entries = list(self._entries.values())
        family = visit.query().get("family")
        if family is not None:
            if family not in FAMILIES:
                raise GatewayError(
                    "validation_error", f"`family` is none of: {', '.join(FAMILIES)}."
                )
            entries = [entry for entry in entries if entry["family"] == family]
        await reply_json(visit.send, 200, {"version": __version__, "entries": entries}, _A_DAY)

    async def _catalog_entry(self, visit: Visit) -> None:
        entry = self._entries.get(visit.names[0].decode("ascii", "replace"))
        if entry is None:
            raise GatewayError("not_found", "There is no metric with this name.")
        await reply_json(visit.send, 200, entry, _A_DAY)


def _fixed(value: Any) -> "Handler":
    async def answer(visit: Visit) -> None:
        await reply_json(visit.send, 200, value)

    return answer


def _of_store(value: Any) -> "Handler":
    async def answer(visit: Visit) -> None:
        if visit.names[0] != STORE.encode():
            raise GatewayError("not_found", f"There is one store, and it is `{STORE}`.")
        await reply_json(visit.send, 200, value)

    return answer


def _entry(metric: Metric) -> dict[str, Any]:
    name = metric.name
    if metric.kind is Kind.HISTOGRAM:
        example = f"histogram_quantile(0.99, sum(rate({name}_bucket[5m])) by (le))"
    elif metric.kind is Kind.COUNTER:
        example = f"sum(rate({name}[5m]))"
    else:
        example = f"sum({name})"
    family = next(family for begins, family in _FAMILIES if name.startswith(begins))
    return {
        "name": name,
        "kind": metric.kind.value,
        "family": family,
        "labels": list(metric.labels),
        "description": metric.help,
        "example_promql": example,
    }
