"""Fetches: documents by id, from the cache where it has them, else from upstream.

`GET /v2/namespaces/{ns}/documents/{id}` and `POST /v2/namespaces/{ns}/documents`.
"""

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from hevfast.cache.store import Found, Lease
from hevfast.core.clock import monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.core.names import Fetched, Looked, Served, Status
from hevfast.core.paths import Document
from hevfast.edge.auth import authorize
from hevfast.edge.body import read_plain
from hevfast.edge.head import Head, authorization_of
from hevfast.edge.reply import relay, reply_bytes
from hevfast.namespaces.marker import RESERVED_IDS
from hevfast.routes.lookup import Lookup

if TYPE_CHECKING:
    from hevfast.gateway import Gateway

# Ids in one batch fetch: as many rows as upstream gives in one answer.
FETCH_IDS_MAX: Final = 10_000

# Bytes of a batch fetch's body: ids of 64 bytes, and as much again for JSON.
_FETCH_BODY_BYTES_MAX: Final = 2 * 1024 * 1024

_CACHE: Final = {
    served: (b"x-layer-cache", served.encode())
    for served in ("hit", "miss", "partial", "miss-on-error")
}

_COUNTED: Final = {
    "hit": Served.HIT,
    "miss": Served.MISS,
    "partial": Served.PARTIAL,
    "miss-on-error": Served.MISS,
}

_VECTORS: Final = frozenset({"vector", "vectors"})

_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class BatchFetch(msgspec.Struct):
    """The body of a batch fetch."""

    ids: list[str | int]
    include_attributes: list[str] | None = None


_decode_batch = msgspec.json.Decoder(BatchFetch).decode


class Documents:
    """Serves both routes."""

    __slots__ = ("_gateway", "_lookup")

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._lookup = Lookup(gateway.exchange)

    def __call__(self, scope: Any, receive: Any, send: Any, document: Document) -> Awaitable[None]:
        """Give what answers the fetch: of one cached document, no more than two sends."""
        begun_s = monotonic_s()
        namespace, identifier = document
        if identifier is None:
            return self._several(scope, receive, send, namespace, begun_s)
        gateway = self._gateway
        authorization = authorize(authorization_of(scope["headers"]), gateway.api_key)
        if identifier.startswith(RESERVED_IDS):
            raise _no_document()
        query = scope["query_string"]
        wanted = _wanted(query) if query else None
        cache = gateway.cache
        if cache is not None and self._may_hit(authorization, namespace):
            row = cache.hit(namespace, identifier)
            if row is not None:
                body = _document(identifier, row, wanted)
                gateway.fetches.hit(namespace, len(row), monotonic_s() - begun_s)
                return reply_bytes(send, 200, body, _headers("hit", wanted))
        return self._one(send, authorization, namespace, identifier, wanted, begun_s)

    async def _one(
        self,
        send: Any,
        authorization: bytes,
        namespace: bytes,
        identifier: bytes,
        wanted: frozenset[str] | None,
        begun_s: float,
    ) -> None:
        reading = await self._read(authorization, namespace, [identifier])
        if reading.refused is not None:
            await relay(send, reading.refused)
            return
        row = reading.rows[0]
        self._count(Fetched.ONE, namespace, reading, begun_s)
        if row is None:
            raise _no_document()
        body = _document(identifier, row, wanted)
        await reply_bytes(send, 200, body, _headers(reading.served, wanted))

    async def _several(
        self, scope: Any, receive: Any, send: Any, namespace: bytes, begun_s: float
    ) -> None:
        gateway = self._gateway
        head = Head(scope["headers"])
        authorization = authorize(head.authorization, gateway.api_key)
        body = await read_plain(receive, head, _FETCH_BODY_BYTES_MAX, gateway.silence)
        await self._batch(send, authorization, namespace, _batch_of(body), begun_s)

    async def _batch(
        self,
        send: Any,
        authorization: bytes,
        namespace: bytes,
        batch: BatchFetch,
        begun_s: float,
    ) -> None:
        texts = [str(each).encode("utf-8", "surrogatepass") for each in batch.ids]
        wanted = None if batch.include_attributes is None else frozenset(batch.include_attributes)
        # The gateway's own rows are nobody's documents.
        own = {text for text in texts if text.startswith(RESERVED_IDS)}
        once = [text for text in dict.fromkeys(texts) if text not in own]
        reading = await self._read(authorization, namespace, once)
        if reading.refused is not None:
            await relay(send, reading.refused)
            return
        self._count(Fetched.BATCH, namespace, reading, begun_s)
        rows = dict.fromkeys(own) | dict(zip(once, reading.rows, strict=True))
        documents = [
            _document(text, row, wanted) for text in texts if (row := rows[text]) is not None
        ]
        missing = [text.decode("utf-8", "replace") for text in rows if rows[text] is None]
        body = b'{"documents":[%b],"missing":%b}' % (b",".join(documents), _encode(missing))
        await reply_bytes(send, 200, body, _headers(reading.served, wanted))

    async def _read(self, authorization: bytes, namespace: bytes, ids: list[bytes]) -> "Reading":
        """Read documents from the cache, and what it lacks from upstream."""
        gateway = self._gateway
        cache = gateway.cache
        begun_s = monotonic_s()
        looked = Looked.BYPASS
        found = Found([None] * len(ids), [None] * len(ids), True)
        if cache is not None:
            found = await cache.read(namespace, ids)
            looked = Looked.ERROR if found.broken else Looked.MISS
        if not self._may_hit(authorization, namespace):
            # Nobody has asked upstream about this key: it must not see what is cached.
            found = Found([None] * len(ids), found.leases, found.broken)
            looked = Looked.ERROR if looked is Looked.ERROR else Looked.BYPASS
        looked_s = monotonic_s() - begun_s
        missing = [n for n, row in enumerate(found.rows) if row is None]
        if not missing:
            gateway.fetches.looked(namespace, found.rows, looked, looked_s, known=True)
            return Reading(found.rows, "hit", None)
        known = len(missing) < len(ids)
        try:
            answer = await self._lookup.rows(authorization, namespace, [ids[n] for n in missing])
            known = known or any(row is not None for row in answer.rows)
        finally:
            gateway.fetches.looked(namespace, found.rows, looked, looked_s, known=known)
        if answer.refused is not None:
            return Reading([], "", answer.refused)
        gateway.verdicts.passed(authorization, namespace)
        await self._fill(namespace, found.leases, missing, answer.rows)
        rows = list(found.rows)
        for n, row in zip(missing, answer.rows, strict=True):
            rows[n] = row
        served = "miss-on-error" if found.broken else "partial"
        if not found.broken and len(missing) == len(ids):
            served = "miss"
        return Reading(rows, served, None)

    def _may_hit(self, authorization: bytes, namespace: bytes) -> bool:
        """Tell whether this key may see what is cached."""
        gateway = self._gateway
        return gateway.api_key is not None or gateway.verdicts.holds(authorization, namespace)

    def _count(
        self, operation: Fetched, namespace: bytes, reading: "Reading", begun_s: float
    ) -> None:
        served = _COUNTED[reading.served]
        seconds = monotonic_s() - begun_s
        self._gateway.fetches.fetched(operation, namespace, served, len(reading.rows), seconds)

    async def _fill(
        self,
        namespace: bytes,
        leases: Sequence[Lease | None],
        missing: list[int],
        rows: Sequence[bytes | None],
    ) -> None:
        cache = self._gateway.cache
        if cache is None:
            return
        begun_s, filled, failed = monotonic_s(), 0, 0
        for n, row in zip(missing, rows, strict=True):
            lease = leases[n]
            if row is not None and lease is not None:
                if await cache.fill(lease, row):
                    filled += 1
                else:
                    failed += 1
        seconds = monotonic_s() - begun_s
        for status, count in ((Status.OK, filled), (Status.AEROSPIKE_ERROR, failed)):
            if count:
                self._gateway.fetches.filled(namespace, count, status, seconds)


class Reading(msgspec.Struct):
    """What a fetch came to: rows, and from where; or an answer of upstream to be passed on."""

    rows: list[bytes | None]
    served: str
    refused: Any


def _no_document() -> GatewayError:
    return GatewayError("not_found", "There is no document with this id.")


def _batch_of(body: bytes | bytearray) -> BatchFetch:
    try:
        batch = _decode_batch(body)
    except msgspec.ValidationError as error:
        raise GatewayError("validation_error", str(error)) from error
    except msgspec.DecodeError as error:
        raise GatewayError("bad_request", f"The body is not valid JSON: {error}") from error
    if not batch.ids:
        raise GatewayError("validation_error", "`ids` is empty; name at least one document.")
    if len(batch.ids) > FETCH_IDS_MAX:
        raise GatewayError(
            "validation_error", f"`ids` names more than {FETCH_IDS_MAX} documents; split it."
        )
    return batch


def _wanted(query: bytes) -> frozenset[str] | None:
    """Give the attributes asked for; None for all of them, an empty set for none."""
    named = parse_qs(query.decode("ascii", "replace"), keep_blank_values=True)
    if "include_attributes" not in named:
        return None
    names = [name.strip() for text in named["include_attributes"] for name in text.split(",")]
    return frozenset(name for name in names if name)


def _document(identifier: bytes, row: bytes, wanted: frozenset[str] | None) -> bytes:
    text = _encode(identifier.decode("utf-8", "replace"))
    if wanted is not None:
        kept = {name: raw for name, raw in _decode_row(row).items() if name in wanted}
        row = _encode(kept)
    return b'{"id":%b,"attributes":%b}' % (text, row)


def _headers(served: str, wanted: frozenset[str] | None) -> tuple[tuple[bytes, bytes], ...]:
    cache = _CACHE[served]
    if wanted is not None and wanted & _VECTORS:
        return cache, (b"x-layer-warning", b"vector_attribute_dropped")
    return (cache,)
