"""The vector in the middle of some documents' vectors, which upstream is asked for."""

import asyncio
from collections.abc import Sequence
from operator import add
from typing import TYPE_CHECKING, Final

import msgspec

from hevfast.core.errors import GatewayError
from hevfast.upstream.exchange import Answer

if TYPE_CHECKING:
    from hevfast.core.headers import Headers
    from hevfast.upstream.exchange import Exchange

# Bytes: sixteen vectors of 10,752 dimensions, each of up to 22 characters.
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024

_encode = msgspec.json.Encoder().encode
_decode_vector = msgspec.json.Decoder(list[float]).decode


class _Row(msgspec.Struct):
    id: int | str
    vector: msgspec.Raw = msgspec.Raw(b"")


class _Rows(msgspec.Struct):
    rows: list[_Row]


_decode_rows = msgspec.json.Decoder(_Rows).decode


async def centroid(
    exchange: "Exchange", authorization: bytes, namespace: bytes, ids: Sequence[int | str]
) -> bytes | Answer:
    """Give the vector as JSON: of one document as upstream spelled it. Or the answer that refused.

    Raises: GatewayError `not_found` with the ids that have no vector.
    """
    answer = await _asked(exchange, authorization, namespace, ids)
    if answer.status == 400 and (other := _retyped(ids)) is not None:
        # Upstream refuses ids of another type than the namespace's.
        answer = await _asked(exchange, authorization, namespace, other)
    if answer.status == 404:
        return await _middle([], ids)
    if answer.status != 200:
        return answer
    try:
        rows = _decode_rows(answer.body if isinstance(answer.body, bytes) else b"").rows
    except msgspec.DecodeError as error:
        if not isinstance(answer.body, bytes):
            await answer.body.aclose()
        raise GatewayError(
            "upstream_error", "Turbopuffer query failed: its answer cannot be read."
        ) from error
    return await _middle(rows, ids)


async def _middle(rows: Sequence[_Row], ids: Sequence[int | str]) -> bytes:
    vectors = {str(row.id): bytes(row.vector) for row in rows if bytes(row.vector)[:1] == b"["}
    absent = [str(name) for name in ids if str(name) not in vectors]
    if absent:
        raise GatewayError(
            "not_found", f"nearest_to_id: no document with a vector has the id {', '.join(absent)}."
        )
    spelled = list(vectors.values())
    if len(spelled) == 1:
        return spelled[0]
    total: list[float] = []
    for raw in spelled:
        try:
            vector = _decode_vector(raw)
        except msgspec.DecodeError as error:
            raise GatewayError(
                "validation_error", "nearest_to_id: a document's vector is not a row of numbers."
            ) from error
        if total and len(vector) != len(total):
            raise GatewayError("validation_error", "nearest_to_id: the vectors differ in length.")
        total = list(map(add, total, vector)) if total else vector
        # Ten thousand dimensions take some hundred microseconds each time.
        await asyncio.sleep(0)
    return _encode([sum_ / len(spelled) for sum_ in total])


async def _asked(
    exchange: "Exchange", authorization: bytes, namespace: bytes, ids: Sequence[int | str]
) -> Answer:
    body = (
        b'{"rank_by":["id","asc"],"top_k":%d,"filters":["id","In",%b],'
        b'"include_attributes":["vector"]}' % (len(ids), _encode(ids))
    )
    headers: Headers = [
        (b"authorization", authorization),
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"identity"),
    ]
    return await exchange.send(
        "POST",
        f"/v2/namespaces/{namespace.decode()}/query",
        headers,
        body,
        len(body),
        deed="query",
        whole_bytes_max=_ANSWER_BYTES_MAX,
    )


def _retyped(ids: Sequence[int | str]) -> list[int | str] | None:
    """Give ids as the other type, numbers as text and the other way round; None: they cannot be."""
    if all(isinstance(name, int) for name in ids):
        return [str(name) for name in ids]
    texts = [str(name) for name in ids]
    if all(text.isascii() and text.isdigit() and text == str(int(text)) for text in texts):
        return [int(text) for text in texts]
    return None
