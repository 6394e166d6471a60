"""What callers ask of pipelines, read from their bodies and checked. Pure."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from hevfast.core.clock import MS_PER_S
from hevfast.core.errors import GatewayError
from hevfast.core.paths import is_namespace
from hevfast.pipelines.listing import Body, decoded
from hevfast.pipelines.model import EMBEDDING, PENDING
from hevfast.pipelines.store import (
    DOCUMENT_ID_BYTES_MAX,
    DOCUMENTS_MAX,
    PIPELINE_ID_BYTES_MAX,
    REASON_BYTES_MAX,
    STAGE_BYTES_MAX,
    WORKER_BYTES_MAX,
)

DISTANCE_METRIC: Final = "cosine_distance"
_METRIC_BYTES_MAX: Final = 64

# Documents in a claim that does not say how many.
_LIMIT: Final = 100

# Seconds. A lease that does not say how long, and the longest: a week.
_LEASE_S: Final = 900
_LEASE_S_MAX: Final = 7 * 24 * 3600

# Bytes that a character takes at most.
_CHARACTER_BYTES_MAX: Final = 4

T = TypeVar("T")


class _Create(msgspec.Struct):
    id: str
    target_namespace: str
    distance_metric: str | None = None


class _Claim(msgspec.Struct):
    worker_id: str
    stage: str | None = None
    claim_stage: str | None = None
    limit: int | None = None
    lease_seconds: int | float | None = None
    document_id_prefix: str | None = None
    include_chunks: bool | None = None


class _Heartbeat(msgspec.Struct):
    document_ids: list[str]
    worker_id: str
    stage: str | None = None


class _Change(msgspec.Struct):
    document_ids: list[str]
    stage: str
    from_stage: str | None = None
    worker_id: str | None = None
    create_missing: bool | None = None
    reason: str | None = None


class _Several(msgspec.Struct):
    document_ids: list[str]


# Bodies by the names of their routes.
FORMS: Final[dict[str, type[msgspec.Struct]]] = {
    "create_pipeline": _Create,
    "claim_documents": _Claim,
    "heartbeat_documents": _Heartbeat,
    "set_documents_stage": _Change,
    "get_pipeline_documents_chunks": _Several,
}


def _reader(kind: type[T]) -> Callable[[Body], T]:
    decode: Callable[[Any], T] = msgspec.json.Decoder(kind).decode
    return lambda body: decoded(decode, body)


_read_create = _reader(_Create)
_read_claim = _reader(_Claim)
_read_heartbeat = _reader(_Heartbeat)
_read_change = _reader(_Change)
_read_several = _reader(_Several)


class Create(NamedTuple):
    id: str
    target_namespace: str
    distance_metric: str


class Claim(NamedTuple):
    worker: str
    stage: str
    claim_stage: str
    limit: int
    lease_ms: int
    prefix: str
    include_chunks: bool


class Heartbeat(NamedTuple):
    documents: list[str]
    worker: str
    stage: str


class Change(NamedTuple):
    documents: list[str]
    stage: str
    from_stage: str | None
    worker: str | None
    create_missing: bool
    reason: str


def read_create(body: Body) -> Create:
    """Raises: GatewayError, as all functions here."""
    asked = _read_create(body)
    identifier = _filled("id", asked.id, PIPELINE_ID_BYTES_MAX)
    if not is_namespace(asked.target_namespace.encode()):
        raise _refused(
            "`target_namespace` is no name of a namespace: 1 to 128 letters, digits, '-', '_', '.'."
        )
    metric = asked.distance_metric
    if metric is None:
        metric = DISTANCE_METRIC
    return Create(
        identifier, asked.target_namespace, _filled("distance_metric", metric, _METRIC_BYTES_MAX)
    )


def read_claim(body: Body) -> Claim:
    asked = _read_claim(body)
    limit = _LIMIT if asked.limit is None else asked.limit
    if limit < 1:
        raise _refused("`limit` is below 1.")
    lease_s = _LEASE_S if asked.lease_seconds is None else asked.lease_seconds
    if not 0 < lease_s <= _LEASE_S_MAX:
        raise _refused(f"`lease_seconds` is not above 0 and at most {_LEASE_S_MAX}.")
    return Claim(
        worker=_worker(asked.worker_id),
        stage=_stage("stage", PENDING if asked.stage is None else asked.stage),
        claim_stage=_stage(
            "claim_stage", EMBEDDING if asked.claim_stage is None else asked.claim_stage
        ),
        limit=min(limit, DOCUMENTS_MAX),
        lease_ms=max(1, int(lease_s * MS_PER_S)),
        prefix=_short("document_id_prefix", asked.document_id_prefix or "", DOCUMENT_ID_BYTES_MAX),
        include_chunks=bool(asked.include_chunks),
    )


def read_heartbeat(body: Body) -> Heartbeat:
    asked = _read_heartbeat(body)
    stage = EMBEDDING if asked.stage is None else asked.stage
    return Heartbeat(
        _documents(asked.document_ids), _worker(asked.worker_id), _stage("stage", stage)
    )


def read_change(body: Body) -> Change:
    asked = _read_change(body)
    return Change(
        documents=_documents(asked.document_ids),
        stage=_stage("stage", asked.stage),
        from_stage=None if asked.from_stage is None else _stage("from_stage", asked.from_stage),
        worker=None if asked.worker_id is None else _worker(asked.worker_id),
        create_missing=bool(asked.create_missing),
        # Often the text of an exception: a document must not stay claimed because it is long.
        reason=_cut(asked.reason or "", REASON_BYTES_MAX),
    )


def read_several(body: Body) -> list[str]:
    """Give the ids of a batch chunk read, repeats included: they are answered as often."""
    asked = _read_several(body)
    _documents(asked.document_ids)
    return asked.document_ids


def read_worker(text: str) -> str:
    """Check a worker's name that came in the query string."""
    return _worker(text)


def check_document(identifier: str) -> None:
    """Check a document's id that came in a body."""
    _filled("document id", identifier, DOCUMENT_ID_BYTES_MAX)


def _documents(ids: list[str]) -> list[str]:
    """Give ids once each, in their order."""
    if len(ids) > DOCUMENTS_MAX:
        raise _refused(f"`document_ids` names more than {DOCUMENTS_MAX} documents; split it.")
    once = list(dict.fromkeys(ids))
    # Ten thousand at once are looked at one by one only if there is something to be found.
    suspect = not all(once) or any(map(str.isspace, once))
    if suspect or max(map(len, once), default=0) * _CHARACTER_BYTES_MAX > DOCUMENT_ID_BYTES_MAX:
        for each in once:
            check_document(each)
    return once


def _worker(text: str) -> str:
    return _filled("worker_id", text, WORKER_BYTES_MAX)


def _stage(name: str, text: str) -> str:
    return _filled(name, text, STAGE_BYTES_MAX)


def _filled(name: str, text: str, bytes_max: int) -> str:
    if not text or text.isspace():
        raise _refused(f"`{name}` is blank.")
    return _short(name, text, bytes_max)


def _short(name: str, text: str, bytes_max: int) -> str:
    if len(text) * _CHARACTER_BYTES_MAX > bytes_max and len(text.encode()) > bytes_max:
        raise _refused(f"`{name}` is longer than {bytes_max} bytes.")
    return text


def _cut(text: str, bytes_max: int) -> str:
    return text.encode()[:bytes_max].decode(errors="ignore")


def _refused(message: str) -> GatewayError:
    return GatewayError("validation_error", message)
