"""Every route, in one table: who answers it, and which test shows that.

The dispatcher, the table in the README and `/openapi.json` all come from it. A segment in braces is
a parameter; `...` at the end stands for any path below, or none.
"""

import enum
from typing import Final, NamedTuple


class How(enum.StrEnum):
    """Who answers a route."""

    SERVED = "the gateway"
    # Always the same answer, as long as the settings are.
    FIXED = "the gateway, fixed"
    RELAYED = "upstream, relayed"
    # What Layer's closed part has, or what needs something that the gateway has not.
    REFUSED = "refused"


class Row(NamedTuple):
    """One row of the table. `name` is the operation's, that of Layer's clients if they have it."""

    method: str
    template: str
    name: str
    how: How
    purpose: str
    test: str
    # Whether it is answered without a key.
    open: bool = False


_NS: Final = "/v2/namespaces/{namespace}"
_V1: Final = "/v1/namespaces/{namespace}"
_PIPE: Final = "/v2/pipelines/{pipeline}"
_DOC: Final = _PIPE + "/documents/{document}"

_WRITES: Final = "contract/test_write.py"
_FETCH: Final = "contract/test_fetch.py"
_OPS: Final = "contract/test_ops.py"
_RELAY: Final = "contract/namespaces/test_routes.py::test_relayed_route_reaches_upstream"
_REFUSAL: Final = "contract/namespaces/test_routes.py::test_refused_route_says_so"
_FIXED: Final = "contract/namespaces/test_inventory.py"
_NAMES: Final = "contract/namespaces/test_namespaces.py"
_INIT: Final = "contract/namespaces/test_init.py"
_WARM: Final = "contract/namespaces/test_warm.py"
_SCAN: Final = "contract/namespaces/test_scans.py"
_QUERY: Final = "contract/query/test_shapes.py"
_PIPELINES: Final = "contract/pipelines/test_pipelines.py"
_STAGING: Final = "contract/pipelines/test_staging.py"
_CLAIMS: Final = "contract/pipelines/test_claims.py"
_VECTORS: Final = "contract/pipelines/test_vectors.py"

_PRO: Final = "404: part of Layer's closed edition"

S, F, R, X = How.SERVED, How.FIXED, How.RELAYED, How.REFUSED

ROUTES: Final = (
    Row("POST", _NS, "write_namespace", S, "write, stamped and mirrored", _WRITES),
    Row("POST", _NS + "/async", "start_copy", S, "write, answered later", _WRITES),
    Row("GET", _NS + "/documents/{id}", "fetch_document", S, "one document", _FETCH),
    Row("POST", _NS + "/documents", "fetch_documents", S, "documents by id", _FETCH),
    Row("GET", "/v2/namespaces", "list_namespaces", S, "namespaces and how each is", _NAMES),
    Row("GET", _NS + "/metadata", "get_namespace_metadata", S, "metadata with `layer`", _NAMES),
    Row("DELETE", _NS, "delete_namespace", S, "namespace gone, cache voided", _NAMES),
    Row("POST", _NS + "/init", "init_namespace", S, "shard marker and backfill", _INIT),
    Row("POST", _NS + "/warm", "warm_cache", S, "job that fills the cache", _WARM),
    Row("GET", _NS + "/warm-jobs", "list_warm_jobs", S, "such jobs", _WARM),
    Row("GET", _NS + "/warm-jobs/{job}", "get_warm_job", S, "one of them", _WARM),
    Row("GET", _V1 + "/hint_cache_warm", "hint_cache_warm", S, "relayed; or warms here", _WARM),
    Row("POST", _NS + "/scans", "create_scan", S, "count, or job for ids or values", _SCAN),
    Row("GET", _NS + "/scans", "list_scans", S, "such jobs", _SCAN),
    Row("GET", _NS + "/scans/{scan}", "get_scan", S, "one of them", _SCAN),
    Row("DELETE", _NS + "/scans/{scan}", "delete_scan", S, "job and results gone", _SCAN),
    Row("GET", _NS + "/scans/{scan}/results", "get_scan_results", S, "results by page", _SCAN),
    Row("POST", "/v2/query", "query", S, "one query of many namespaces",
        "contract/namespaces/test_federated.py"),
    Row("POST", _NS + "/query", "query_namespace", S, "query, cut at the watermark", _QUERY),
    Row("POST", _NS + "/explain_query", "explain_turbopuffer_query", R, "query plan", _RELAY),
    Row("GET", "/v1/namespaces", "list_turbopuffer_namespaces", R, "names alone", _RELAY),
    Row("GET", _V1 + "/metadata", "get_turbopuffer_v1_namespace_metadata", R, "metadata", _RELAY),
    Row("PATCH", _V1 + "/metadata", "update_turbopuffer_namespace_metadata", R,
        "pinning, read-only", _RELAY),
    Row("GET", _V1 + "/schema", "get_turbopuffer_namespace_schema", R, "schema", _RELAY),
    Row("POST", _V1 + "/schema", "update_turbopuffer_namespace_schema", R, "schema change", _RELAY),
    Row("POST", _V1 + "/query", "query_turbopuffer_namespace", S, "the same", _QUERY),
    Row("POST", _V1 + "/_debug/recall", "evaluate_turbopuffer_recall", R, "recall", _RELAY),
    Row("POST", _NS + "/search", "search_namespace", R, "search of later versions", _RELAY),
    Row("GET", _V1 + "/operations/{token}", "poll_operation", R, "an answer given later", _RELAY),
    Row("POST", "/v2/pipelines", "create_pipeline", S, "new pipeline", _PIPELINES),
    Row("GET", "/v2/pipelines", "list_pipelines", S, "all pipelines", _PIPELINES),
    Row("GET", _PIPE, "get_pipeline", S, "one pipeline", _PIPELINES),
    Row("DELETE", _PIPE, "delete_pipeline", S, "pipeline gone", _PIPELINES),
    Row("GET", _PIPE + "/status", "get_pipeline_status", S, "documents by stage", _PIPELINES),
    Row("POST", _PIPE + "/pause", "pause_pipeline", S, "no claims", _PIPELINES),
    Row("POST", _PIPE + "/resume", "resume_pipeline", S, "claims again", _PIPELINES),
    Row("POST", _PIPE + "/claim", "claim_documents", S, "documents for a worker", _CLAIMS),
    Row("POST", _PIPE + "/documents/heartbeat", "heartbeat_documents", S, "leases anew", _CLAIMS),
    Row("POST", _PIPE + "/documents/stage", "set_documents_stage", S, "stage change", _CLAIMS),
    Row("PUT", _DOC, "put_pipeline_document_chunks", S, "one document staged", _STAGING),
    Row("POST", _PIPE + "/documents", "put_pipeline_documents", S, "many staged", _STAGING),
    Row("GET", _DOC + "/chunks", "get_pipeline_document_chunks", S, "its chunks", _STAGING),
    Row("POST", _PIPE + "/documents/chunks", "get_pipeline_documents_chunks", S, "chunks of many",
        _STAGING),
    Row("PUT", _DOC + "/vectors", "put_pipeline_document_vectors", S, "its rows written", _VECTORS),
    Row("GET", "/health", "health", S, "alive, and how the cache is", _OPS, open=True),
    Row("GET", "/ready", "ready", S, "503 while draining", _OPS, open=True),
    Row("GET", "/metrics", "metrics", S, "Prometheus text", "contract/test_metrics.py", open=True),
    Row("GET", "/openapi.json", "openapi", F, "these routes as OpenAPI 3.1",
        "contract/namespaces/test_openapi.py", open=True),
    Row("GET", "/v2/license", "get_license", F, "an open gateway has none", _FIXED),
    Row("GET", "/v2/vectorstores", "list_vectorstores", F, "the one store", _FIXED),
    Row("GET", "/v2/vectorstores/{name}", "get_vectorstore", F, "the same", _FIXED),
    Row("GET", "/v2/vectorstores/{name}/capabilities", "get_vector_store_capabilities", F,
        "what is supported", _FIXED),
    Row("GET", _NS + "/capabilities", "get_namespace_capabilities", F, "the same", _FIXED),
    Row("GET", "/v2/metrics/catalog", "list_metrics_catalog", F, "metrics described", _FIXED,
        open=True),
    Row("GET", "/v2/metrics/catalog/{name}", "get_metric_catalog_entry", F, "one of them", _FIXED,
        open=True),
    Row("GET", "/v2/metrics/query", "query_metrics", X, "503: no metrics backend", _REFUSAL),
    Row("POST", "/v2/metrics/query", "post_query_metrics", X, "the same", _REFUSAL),
    Row("GET", "/v2/metrics/query_range", "query_metrics_range", X, "the same", _REFUSAL),
    Row("POST", "/v2/metrics/query_range", "post_query_metrics_range", X, "the same", _REFUSAL),
    Row("*", "/v2/metrics/api/v1/...", "query_metrics_api_v1", X, "the same", _REFUSAL),
    Row("POST", _NS + "/snapshots", "create_snapshot", X, "422: no object store", _REFUSAL),
    Row("GET", _NS + "/snapshot-jobs", "list_snapshot_jobs", F, "none", _FIXED),
    Row("GET", _NS + "/snapshot-jobs/{job}", "get_snapshot_job", X, "404: none", _REFUSAL),
    Row("GET", _NS + "/snapshot-policy", "get_snapshot_policy", X, "422: no object store",
        _REFUSAL),
    Row("PUT", _NS + "/snapshot-policy", "put_snapshot_policy", X, "the same", _REFUSAL),
    Row("POST", _NS + "/import", "import_namespace", X, "422: another store's", _REFUSAL),
    Row("POST", "/v2/keys/authenticate", "authenticate_key", X, "404: no minted keys", _REFUSAL,
        open=True),
    Row("*", "/v2/keys/...", "keys", X, _PRO, _REFUSAL),
    Row("*", "/v2/udfs/...", "udfs", X, _PRO, _REFUSAL),
    Row("POST", "/v2/agents/{name}/query", "query_agent", X, _PRO, _REFUSAL),
    Row("*", "/v2/warehouses/...", "warehouses", X, _PRO, _REFUSAL),
    Row("*", "/v2/cost/...", "cost", X, _PRO, _REFUSAL),
    Row("GET", "/v2/activity/snapshots", "list_snapshot_activity", X, _PRO, _REFUSAL),
    Row("*", _V1 + "/blobs/...", "blobs", X, _PRO, _REFUSAL),
    Row("*", "/v1/control/restores/...", "restores", X, _PRO, _REFUSAL),
    Row("GET", _NS + "/search-history", "list_search_history", X, _PRO, _REFUSAL),
    Row("GET", _NS + "/clickstream", "list_clickstream", X, _PRO, _REFUSAL),
    Row("*", _NS + "/checkpoints/...", "checkpoints", X, _PRO, _REFUSAL),
    Row("GET", _NS + "/history", "list_namespace_history", X, _PRO, _REFUSAL),
    Row("GET", _NS + "/snapshots/{sha}", "get_namespace_snapshot", X, _PRO, _REFUSAL),
    Row("*", _NS + "/shard/migrate", "migrate_shards", X, _PRO, _REFUSAL),
)  # fmt: skip

ANY: Final = "*"
_BELOW: Final = "..."


class _Node:
    """What may follow in a path: words, and a parameter."""

    __slots__ = ("below", "parameter", "rows", "words")

    def __init__(self) -> None:
        self.words: dict[bytes, _Node] = {}
        self.parameter: _Node | None = None
        self.rows: dict[str, Row] = {}
        # The row of every path from here on.
        self.below: dict[str, Row] = {}


def _planted() -> _Node:
    root = _Node()
    for row in ROUTES:
        node = root
        for word in row.template.split("/")[1:]:
            if word == _BELOW:
                node.below = {ANY: row}
                break
            if "{" in word:
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.words.setdefault(word.encode(), _Node())
        else:
            node.rows[row.method] = row
    return root


_ROOT: Final = _planted()


def methods(path: bytes) -> dict[str, Row]:
    """Give the rows of a raw path by their methods; none if no template fits it.

    A word counts more than a parameter in its place.
    """
    return _found(_ROOT, path.split(b"/"), 1)


def _found(node: _Node, segments: list[bytes], at: int) -> dict[str, Row]:
    if at == len(segments):
        return node.rows or node.below
    segment = segments[at]
    word = node.words.get(segment)
    if word is not None and (rows := _found(word, segments, at + 1)):
        return rows
    if (
        node.parameter is not None
        and segment
        and (rows := _found(node.parameter, segments, at + 1))
    ):
        return rows
    return node.below


def names_in(path: bytes, template: str) -> tuple[bytes, ...]:
    """Give what stands in a raw path in place of a template's parameters."""
    parts = zip(path.split(b"/"), template.split("/"), strict=False)
    return tuple(segment for segment, word in parts if "{" in word)


def markdown() -> str:
    """Give the table for the README."""
    lines = ["| route | answered by | what | test |", "| --- | --- | --- | --- |"]
    for row in ROUTES:
        method = "any" if row.method == ANY else row.method
        key = ", no key" if row.open else ""
        route = f"`{method} {row.template}`"
        lines.append(f"| {route} | {row.how}{key} | {row.purpose} | `{row.test}` |")
    return "\n".join(lines)
