"""Documents by id from upstream: one strongly consistent query, whatever type the ids have."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hevfast.core.errors import GatewayError

if TYPE_CHECKING:
    from hevfast.upstream.exchange import Exchange

# Namespaces whose id type is remembered; the ones first seen are forgotten first.
_REMEMBERED_MAX: Final = 10_000

# Text that a number id has, so that it may be one; other ids are strings for sure.
_NUMBER: Final = re.compile(rb"0|[1-9][0-9]{0,19}")

_NOT_ATTRIBUTES: Final = frozenset({"id", "$dist", "vector", "vectors"})

# Bytes of an answer that are held: 10,000 documents of a few KiB.
_ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024

_encode = msgspec.json.Encoder().encode


class Rows(msgspec.Struct):
    """A query's answer, as far as it is read."""

    rows: list[dict[str, msgspec.Raw]] = []


_decode_rows = msgspec.json.Decoder(Rows).decode


class LookedUp(msgspec.Struct):
    """Rows in the order of the ids asked for, or the answer that refused them."""

    rows: list[bytes | None]
    refused: Any


class Lookup:
    """Knows, once it has met a namespace, whether its ids are numbers."""

    __slots__ = ("_exchange", "_numbers")

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._numbers: dict[bytes, bool] = {}

    async def rows(self, authorization: bytes, namespace: bytes, ids: Sequence[bytes]) -> LookedUp:
        """Ask for documents. A namespace that does not exist has none.

        Upstream refuses a filter whose ids are of the other type, so an id that looks like a number
        is tried as one first, and as a string if that is refused.
        """
        may_be_numbers = all(_NUMBER.fullmatch(text) for text in ids)
        as_numbers = may_be_numbers and self._numbers.get(namespace, True)
        answer = await self._ask(authorization, namespace, ids, as_numbers)
        if answer.status == 400 and may_be_numbers:
            as_numbers = not as_numbers
            answer = await self._ask(authorization, namespace, ids, as_numbers)
        if answer.status == 404:
            return LookedUp([None] * len(ids), None)
        if answer.status >= 500:
            raise GatewayError(
                "upstream_error", f"Turbopuffer query failed: it answered {answer.status}."
            )
        if answer.status != 200:
            return LookedUp([], answer)
        if may_be_numbers:
            self._learn(namespace, as_numbers)
        found = _rows_of(answer.body)
        return LookedUp([found.get(text) for text in ids], None)

    async def _ask(
        self, authorization: bytes, namespace: bytes, ids: Sequence[bytes], as_numbers: bool
    ) -> Any:
        texts = [text if as_numbers else _encode(_text_of(text)) for text in ids]
        body = (
            b'{"rank_by":["id","asc"],"top_k":%d,"filters":["id","In",[%b]],'
            b'"exclude_attributes":["vector","vectors"]}' % (len(ids), b",".join(texts))
        )
        return await self._exchange.send(
            "POST",
            f"/v2/namespaces/{namespace.decode()}/query",
            [
                (b"authorization", authorization),
                (b"content-type", b"application/json"),
                (b"accept-encoding", b"identity"),
            ],
            body,
            len(body),
            deed="query",
            whole_bytes_max=_ANSWER_BYTES_MAX,
        )

    def _learn(self, namespace: bytes, numbers: bool) -> None:
        self._numbers[namespace] = numbers
        if len(self._numbers) > _REMEMBERED_MAX:
            del self._numbers[next(iter(self._numbers))]


def _text_of(identifier: bytes) -> str:
    try:
        return identifier.decode()
    except UnicodeDecodeError as error:
        raise GatewayError("validation_error", "A document id is not valid UTF-8.") from error


def _rows_of(body: Any) -> dict[bytes, bytes]:
    """Read a query's rows: attributes by id text, each value as upstream spelled it."""
    if not isinstance(body, bytes):
        raise GatewayError("upstream_error", "Turbopuffer query failed: its answer is too large.")
    try:
        rows = _decode_rows(body).rows
    except msgspec.DecodeError as error:
        raise GatewayError(
            "upstream_error", "Turbopuffer query failed: its answer cannot be read."
        ) from error
    return {
        str(msgspec.json.decode(row["id"])).encode(): _encode(
            {name: raw for name, raw in row.items() if name not in _NOT_ATTRIBUTES}
        )
        for row in rows
        if "id" in row
    }
