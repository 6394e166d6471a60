"""`GET /openapi.json`: the table of routes as OpenAPI 3.1, bodies as the program reads them."""

from typing import Any, Final

import msgspec

from hevfast import __version__
from hevfast.batch.faults import Key
from hevfast.core.routes import ANY, ROUTES, How, Row
from hevfast.edge.reply import reply_bytes
from hevfast.namespaces.federation import FederatedRequest
from hevfast.namespaces.scan import ScanRequest
from hevfast.observe.catalogue import CATALOGUE
from hevfast.pipelines import requests
from hevfast.pipelines.staging import Chunk
from hevfast.routes.call import Visit
from hevfast.routes.documents import BatchFetch
from hevfast.routes.init import InitRequest
from hevfast.routes.inventory import FAMILIES

Schema = dict[str, Any]

_TYPES: Final[dict[str, Any]] = {
    "fetch_documents": BatchFetch,
    "init_namespace": InitRequest,
    "create_scan": ScanRequest,
    "query": FederatedRequest,
    **requests.FORMS,
}

_WRITE: Final[Schema] = {
    "type": "object",
    "properties": {key.name.lower(): {} for key in Key},
    "minProperties": 1,
}
_REF: Final = "#/components/schemas/{name}"
_CHUNKS: Final[Schema] = {"type": "array", "items": {"$ref": _REF.format(name="Chunk")}}


def _listed(name: str, items: Schema) -> Schema:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": items}},
    }


_STAGED: Final[Schema] = {
    "type": "object",
    "required": ["id", "chunks"],
    "properties": {"id": {"type": "string"}, "chunks": _CHUNKS},
}
_VECTOR: Final[Schema] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": ["string", "integer"]},
        "vector": {"type": "array", "items": {"type": "number"}},
        "vectors": {"type": "array"},
        "attributes": {"type": "object"},
    },
}

# Bodies that are read a part at a time, so that no one type stands for the whole.
_BODIES: Final[dict[str, Schema]] = {
    "write_namespace": _WRITE,
    "start_copy": _WRITE,
    "query_namespace": {"type": "object"},
    "query_turbopuffer_namespace": {"type": "object"},
    "put_pipeline_document_chunks": _listed("chunks", _CHUNKS["items"]),
    "put_pipeline_documents": _listed("documents", _STAGED),
    "put_pipeline_document_vectors": _listed("vectors", _VECTOR),
}
_OPTIONAL: Final = frozenset({"init_namespace"})

_INTEGER: Final[Schema] = {"type": "integer"}
_TEXT: Final[Schema] = {"type": "string"}
_FLAG: Final[Schema] = {"type": "boolean"}
_PAGE: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000}

_QUERIES: Final[dict[str, dict[str, Schema]]] = {
    "fetch_document": {"include_attributes": _TEXT},
    "list_namespaces": {"prefix": _TEXT, "cursor": _TEXT, "page_size": _INTEGER},
    "warm_cache": {"page_size": _PAGE},
    "hint_cache_warm": {
        **dict.fromkeys(("turbopuffer", "documents", "snapshots", "blobs"), _FLAG),
        "blob_budget_bytes": {"type": "integer", "minimum": 0},
        "page_size": _PAGE,
    },
    "get_scan_results": {"limit": _PAGE, "offset": {"type": "integer", "minimum": 0}},
    "list_metrics_catalog": {"family": {"type": "string", "enum": list(FAMILIES)}},
    "put_pipeline_document_vectors": {"worker_id": _TEXT, "replace": _FLAG},
}

# Statuses of success that are not just 200.
_STATUSES: Final = {
    "write_namespace": ("200", "202"),
    "start_copy": ("200", "202"),
    "create_pipeline": ("201",),
    "warm_cache": ("202",),
    "create_scan": ("200", "202"),
    "hint_cache_warm": ("200", "202"),
}

_JOB: Final = ("id", "namespace", "status", "progress", "documents_scanned", "created_at")
_PIPELINE: Final = ("id", "target_namespace", "distance_metric", "created_at")
_CHANGED: Final = ("pipeline_id", "stage", "updated")

# Members that an answer of success has at least; of routes that are not here nothing is said.
_MEMBERS: Final = {
    "write_namespace": ("status", "rows_affected"),
    "fetch_document": ("id", "attributes"),
    "fetch_documents": ("documents", "missing"),
    "list_namespaces": ("namespaces",),
    "get_namespace_metadata": ("id", "layer", "schema"),
    "delete_namespace": ("status", "message"),
    "init_namespace": ("namespace", "layer"),
    "warm_cache": _JOB,
    "list_warm_jobs": ("warm_jobs",),
    "get_warm_job": _JOB,
    "list_scans": ("scans",),
    "get_scan": (*_JOB, "mode", "source"),
    "delete_scan": ("status",),
    "get_scan_results": ("total",),
    "query": ("rows", "merge", "namespaces"),
    "create_pipeline": _PIPELINE,
    "list_pipelines": ("pipelines",),
    "get_pipeline": (*_PIPELINE, "paused"),
    "delete_pipeline": ("status",),
    "get_pipeline_status": ("pipeline_id", "status", "counts"),
    "pause_pipeline": (*_PIPELINE, "paused"),
    "resume_pipeline": (*_PIPELINE, "paused"),
    "claim_documents": ("pipeline_id", "stage", "claim_stage", "worker_id", "documents"),
    "heartbeat_documents": _CHANGED,
    "set_documents_stage": _CHANGED,
    "put_pipeline_document_chunks": ("pipeline_id", "document_id", "stage", "chunk_count"),
    "put_pipeline_documents": ("pipeline_id", "staged", "documents", "failed"),
    "get_pipeline_documents_chunks": ("documents", "missing"),
    "put_pipeline_document_vectors": ("status",),
    "health": ("status", "version", "cache"),
    "ready": ("status", "version"),
    "openapi": ("openapi", "paths"),
    "get_license": ("valid", "state", "reason", "gateway"),
    "list_vectorstores": ("vectorstores",),
    "get_vectorstore": ("name", "kind", "endpoint"),
    "get_vector_store_capabilities": ("store", "features"),
    "get_namespace_capabilities": ("store", "features"),
    "list_metrics_catalog": ("version", "entries"),
    "get_metric_catalog_entry": ("name", "kind", "family", "labels"),
    "list_snapshot_jobs": ("snapshot_jobs",),
}

_NAMES: Final[dict[str, Schema]] = {
    "namespace": {"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$"},
    "pipeline": {"type": "string", "minLength": 1, "maxLength": 64},
    "document": {"type": "string", "minLength": 1, "maxLength": 64},
}
_METRIC_NAME: Final[Schema] = {"type": "string", "enum": [metric.name for metric in CATALOGUE]}

_ERROR: Final[Schema] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
}


class OpenApi:
    """Serves the description."""

    __slots__ = ("_body",)

    def __init__(self) -> None:
        self._body = msgspec.json.encode(document())

    async def __call__(self, visit: Visit) -> None:
        await reply_bytes(visit.send, 200, self._body)


def document() -> Schema:
    """Describe every route but those that are refused."""
    types = sorted({*_TYPES.values(), Chunk}, key=lambda each: str(each.__name__))
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    paths: Schema = {}
    for row in ROUTES:
        if row.how is not How.REFUSED and row.method != ANY:
            paths.setdefault(row.template, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "hevfast", "version": __version__},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(row: Row) -> Schema:
    operation: Schema = {
        "operationId": row.name,
        "summary": row.purpose,
        "tags": [row.how.name.lower()],
        "parameters": _parameters(row),
        "responses": _responses(row),
    }
    if row.open:
        operation["security"] = []
    body = _body(row)
    if body is not None:
        operation["requestBody"] = {
            "required": row.name not in _OPTIONAL,
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _body(row: Row) -> Schema | None:
    if row.name in _BODIES:
        return _BODIES[row.name]
    if row.name in _TYPES:
        return {"$ref": _REF.format(name=_TYPES[row.name].__name__)}
    if row.how is How.RELAYED and row.method != "GET":
        return {"type": "object"}
    return None


def _parameters(row: Row) -> list[Schema]:
    words = [word[1:-1] for word in row.template.split("/") if word.startswith("{")]
    found = []
    for name in words:
        schema = _NAMES.get(name, {"type": "string", "minLength": 1})
        if row.name == "get_metric_catalog_entry":
            schema = _METRIC_NAME
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    for name, schema in _QUERIES.get(row.name, {}).items():
        found.append({"name": name, "in": "query", "schema": schema})
    return found


def _responses(row: Row) -> Schema:
    if row.how is How.RELAYED:
        return {"default": {"description": "What Turbopuffer says, unchanged."}}
    if row.name == "metrics":
        return {"200": {"description": row.purpose, "content": {"text/plain": {"schema": _TEXT}}}}
    members = list(_MEMBERS.get(row.name, ()))
    schema: Schema = {"type": "object", "required": members}
    if row.name == "get_pipeline_document_chunks":
        schema = _CHUNKS
    done = {status: _json(row.purpose, schema) for status in _STATUSES.get(row.name, ("200",))}
    error = {"$ref": _REF.format(name="Error")}
    for status, why in (
        ("4XX", "The request is at fault, or Turbopuffer refuses it."),
        ("502", "Turbopuffer cannot be reached, or its answer cannot be used."),
        ("503", "Something that is needed cannot be used now."),
        ("504", "It took too long."),
    ):
        done[status] = _json(why, error)
    return done


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
