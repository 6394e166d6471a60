"""Every call of Layer's own client: how it is made, and how it ends."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

# What a call ends with: its answer, read into the client's own type; or status and code.
ANSWERED = "answered"
CLOSED = "404 not_found"
NO_STORE = "422 object_store_not_configured"
UNSUPPORTED = "422 UnsupportedByStore"
NO_BACKEND = "503 service_unavailable"
# The client's type wants an `id`, and Turbopuffer's v1 metadata are relayed as they are.
NO_ID = "answered; the client's type wants an `id` that Turbopuffer leaves out"


class World(NamedTuple):
    """A namespace with rows a, b and c; a pipeline with one document staged and claimed."""

    client: Any
    namespace: str
    pipeline: str


class Call(NamedTuple):
    name: str
    make: Callable[[World], Awaitable[Any]]
    end: str = ANSWERED


Q = {"rank_by": ["id", "asc"], "top_k": 2}
VECTOR = {"id": "v", "vector": [0.5, 0.5], "attributes": {"t": "x"}}
UDF = {"id": "u", "spec": {"worker": {}}}


async def _scan_results(w: World) -> Any:
    job = await w.client.scan(w.namespace, {"mode": "ids"})
    return await w.client.get_scan_results(w.namespace, job.id, limit=2, offset=1)


async def _waited(w: World) -> Any:
    job = await w.client.create_scan(w.namespace, {"mode": "values", "field": "t"})
    return await w.client.wait_for_scan(w.namespace, job.id)


async def _deleted_scan(w: World) -> Any:
    job = await w.client.scan(w.namespace, {"mode": "ids"})
    return await w.client.delete_scan(w.namespace, job.id)


async def _found_scan(w: World) -> Any:
    job = await w.client.scan(w.namespace, {})
    return await w.client.get_scan(w.namespace, job.id)


async def _warm_job(w: World) -> Any:
    job = await w.client.warm_cache(w.namespace, page_size=10)
    return await w.client.get_warm_job(w.namespace, job.id)


def _staged(w: World, name: str) -> Awaitable[Any]:
    body = {"chunks": [{"id": "c", "text": "t", "metadata": {"page": 2}}]}
    return w.client.put_pipeline_document_chunks(w.pipeline, name, body)  # type: ignore[no-any-return]


async def _vectors(w: World) -> Any:
    await _staged(w, "two")
    return await w.client.put_pipeline_document_vectors(w.pipeline, "two", {"vectors": [VECTOR]})


async def _single(w: World) -> Any:
    await _staged(w, "three")
    return await w.client.write_single_vector(w.pipeline, "three", VECTOR)


async def _multi(w: World) -> Any:
    """Write to a namespace whose schema has declared the column, as any write needs."""
    namespace, pipeline = w.namespace + "-multi", w.pipeline + "-multi"
    schema = {"vectors": {"type": "[][2]f32", "ann": {"late_interaction": True}}}
    rows = [{"id": "a", "vectors": [[0.5, 0.5], [1.0, 0.0]]}]
    body = {"upsert_rows": rows, "schema": schema, "distance_metric": "cosine_distance"}
    await w.client.write_namespace(namespace, body)
    await w.client.create_pipeline({"id": pipeline, "target_namespace": namespace})
    await _staged(w._replace(pipeline=pipeline), "four")
    return await w.client.write_single_multivector(pipeline, "four", "m", [[0.5, 0.5]])


async def _deleted(w: World) -> Any:
    await w.client.write_namespace(w.namespace + "-gone", {"upsert_rows": [{"id": "a"}]})
    return await w.client.delete_namespace(w.namespace + "-gone")


async def _deleted_pipeline(w: World) -> Any:
    body = {"id": w.pipeline + "-gone", "target_namespace": w.namespace}
    await w.client.ensure_pipeline(body)
    return await w.client.delete_pipeline(body["id"])


def _c(name: str, *arguments: Any, end: str = ANSWERED, **named: Any) -> Call:
    """A call with these arguments; NS and PIPE stand for the world's namespace and pipeline."""

    def make(w: World) -> Awaitable[Any]:
        stand = {"NS": w.namespace, "PIPE": w.pipeline}
        given = [stand.get(each, each) if isinstance(each, str) else each for each in arguments]
        return getattr(w.client, name)(*given, **named)  # type: ignore[no-any-return]

    return Call(name, make, end)


NS, PIPE = "NS", "PIPE"
DOCS = {"document_ids": ["one"], "worker_id": "w"}

CALLS = (
    _c("authenticate_key", {"token": "t"}, end=CLOSED),
    _c("batch_query_namespace", NS, {"queries": [Q, Q]}),
    Call("branch_namespace", lambda w: w.client.branch_namespace(
        w.namespace + "-branch", {"branch_from_namespace": w.namespace})),
    _c("claim_documents", PIPE, {"worker_id": "w", "limit": 1}),
    _c("claim_udf_items", "u", {"worker_id": "w"}, end=CLOSED),
    _c("complete_documents", PIPE, ["one"], worker_id="w"),
    _c("complete_udf_items", "u", {"worker_id": "w", "items": []}, end=CLOSED),
    Call("copy_namespace", lambda w: w.client.copy_namespace(
        w.namespace + "-copy", {"copy_from_namespace": w.namespace})),
    _c("create_checkpoint", NS, {"label": "l"}, end=CLOSED),
    Call("create_pipeline", lambda w: w.client.create_pipeline(
        {"id": w.pipeline + "-new", "target_namespace": w.namespace})),
    _c("create_scan", NS, {"mode": "count"}),
    _c("create_snapshot", NS, {"field": "t"}, end=NO_STORE),
    _c("create_udf", UDF, end=CLOSED),
    _c("delete_key", "k", end=CLOSED),
    Call("delete_namespace", _deleted),
    Call("delete_pipeline", _deleted_pipeline),
    Call("delete_scan", _deleted_scan),
    _c("delete_udf", "u", end=CLOSED),
    _c("discover_udf", "u", {}, end=CLOSED),
    Call("ensure_pipeline", lambda w: w.client.ensure_pipeline(
        {"id": w.pipeline, "target_namespace": w.namespace})),
    _c("evaluate_turbopuffer_recall", NS, {"num": 1, "top_k": 1}),
    _c("explain_turbopuffer_query", NS, Q),
    _c("fail_documents", PIPE, ["one"], from_stage="embedding", worker_id="w"),
    _c("fail_udf_items", "u", {"worker_id": "w", "items": []}, end=CLOSED),
    _c("fetch_document", NS, "a", include_attributes=["t"]),
    _c("fetch_documents", NS, {"ids": ["a", "nobody"]}),
    _c("get_blob", NS, "0" * 64, end=CLOSED),
    _c("get_checkpoint", NS, "l", end=CLOSED),
    _c("get_cost_rate_card", end=CLOSED),
    _c("get_cost_snapshot", window="1h", end=CLOSED),
    _c("get_cost_timeseries", window="1h", step="5m", end=CLOSED),
    _c("get_key", "k", end=CLOSED),
    _c("get_license"),
    _c("get_metric_catalog_entry", "layer_upsert_batch_size"),
    _c("get_namespace_capabilities", NS),
    _c("get_namespace_metadata", NS),
    _c("get_namespace_snapshot", NS, "0" * 64, end=CLOSED),
    _c("get_pipeline_document_chunks", PIPE, "one"),
    _c("get_pipeline_status", PIPE),
    Call("get_scan", _found_scan),
    Call("get_scan_results", _scan_results),
    _c("get_snapshot_job", NS, "j", end=CLOSED),
    _c("get_snapshot_policy", NS, end=NO_STORE),
    _c("get_turbopuffer_namespace_schema", NS),
    _c("get_turbopuffer_v1_namespace_metadata", NS, end=NO_ID),
    _c("get_udf", "u", end=CLOSED),
    _c("get_udf_status", "u", end=CLOSED),
    _c("get_vector_store_capabilities", "turbopuffer"),
    _c("get_vectorstore", "turbopuffer"),
    _c("get_warehouse", "x", end=CLOSED),
    Call("get_warm_job", _warm_job),
    _c("heartbeat_documents", PIPE, DOCS),
    _c("heartbeat_udf_items", "u", {"worker_id": "w", "items": []}, end=CLOSED),
    _c("hint_cache_warm", NS, documents=True, snapshots=False, page_size=5),
    _c("import_namespace", NS, b"arrow", end=UNSUPPORTED),
    _c("init_namespace", NS, {"schema_version": 1, "shard_count": 16}),
    _c("list_checkpoints", NS, limit=1, end=CLOSED),
    _c("list_clickstream", NS, tags=["a"], end=CLOSED),
    _c("list_keys", includeRevoked=True, end=CLOSED),
    _c("list_metrics_catalog", family="upsert"),
    _c("list_namespace_history", NS, end=CLOSED),
    Call("list_namespaces", lambda w: w.client.list_namespaces(prefix=w.namespace, page_size=1)),
    _c("list_pipelines"),
    _c("list_scans", NS),
    _c("list_search_history", NS, end=CLOSED),
    _c("list_snapshot_activity", since=1, end=CLOSED),
    _c("list_snapshot_jobs", NS),
    _c("list_turbopuffer_namespaces", page_size=1),
    _c("list_udfs", end=CLOSED),
    _c("list_vectorstores"),
    _c("list_warehouses", end=CLOSED),
    _c("list_warm_jobs", NS),
    _c("mint_key", {"name": "k"}, end=CLOSED),
    _c("patch_columns", NS, ["a", "b"], {"t": ["x", "y"]}),
    _c("pause_udf", "u", end=CLOSED),
    _c("put_blob", NS, b"blob", warm=True, end=CLOSED),
    Call("put_pipeline_document_chunks", lambda w: _staged(w, "five")),
    Call("put_pipeline_document_vectors", _vectors),
    _c("put_snapshot_policy", NS, {"facetFields": ["t"]}, end=NO_STORE),
    Call("query", lambda w: w.client.query({"namespaces": [w.namespace], "vector": [1.0, 0.0]})),
    _c("query_agent", "x", {"query": "q"}, end=CLOSED),
    _c("query_metrics", query="up", end=NO_BACKEND),
    _c("query_metrics_api_v1", query="up", end=NO_BACKEND),
    Call("query_metrics_range", lambda w: w.client.query_metrics_range(
        query="up", start="1", end="2", step="1"), NO_BACKEND),
    _c("query_metrics_range_api_v1", query="up", end=NO_BACKEND),
    _c("query_namespace", NS, {**Q, "include_attributes": ["t"]}, raw_query="kelp", tags=["a"]),
    _c("query_turbopuffer_namespace", NS, Q),
    _c("release_documents", PIPE, ["one"], worker_id="w"),
    _c("reset_failed_udf", "u", end=CLOSED),
    _c("resume_udf", "u", end=CLOSED),
    _c("revoke_key", "k", end=CLOSED),
    _c("scan", NS, {"mode": "ids", "filters": ["t", "Eq", "x"]}),
    _c("set_documents_stage", PIPE, {"document_ids": ["six"], "stage": "extracting",
                                     "create_missing": True}),
    _c("update_turbopuffer_namespace_metadata", NS, {"pinning": None}, end=NO_ID),
    _c("update_turbopuffer_namespace_schema", NS, {"t": {"type": "string", "filterable": True}}),
    _c("upsert_udf", "u", {"spec": {"worker": {}}}, end=CLOSED),
    Call("wait_for_scan", _waited),
    _c("warm_cache", NS, page_size=10),
    _c("warm_namespace", NS),
    _c("write_namespace", NS, {"upsert_rows": [{"id": "d", "vector": [1.0, 0.0]}]}),
    Call("write_single_multivector", _multi),
    Call("write_single_vector", _single),
)  # fmt: skip


def markdown() -> str:
    """Give the table for the README: how the calls end."""
    lines = ["| end | calls |", "| --- | --- |"]
    for end in (ANSWERED, NO_ID, CLOSED, NO_STORE, UNSUPPORTED, NO_BACKEND):
        names = ", ".join(f"`{call.name}`" for call in CALLS if call.end == end)
        lines.append(f"| {end} | {names} |")
    return "\n".join(lines)
