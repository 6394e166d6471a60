"""Questions to upstream whose answers are read here: small, with the caller's key, in JSON."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hevfast.core.errors import GatewayError

if TYPE_CHECKING:
    from hevfast.upstream.exchange import Answer, Exchange

# Bytes of an answer that is read here: a page of 10,000 rows of a few KiB.
_ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024

# Rows that are gone through before others have their turn: a third of a millisecond.
_ROWS_A_TURN: Final = 1000

Row = dict[str, msgspec.Raw]


class _Rows(msgspec.Struct):
    rows: list[Row] = []


_decode_rows = msgspec.json.Decoder(_Rows).decode


class RefusedError(Exception):
    """Upstream answered otherwise than 200; holds the answer, to be passed on."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(answer.status)
        self.answer = answer

    def text(self) -> str:
        """Say it in a line, for one who has no use for the answer itself."""
        body = self.answer.body
        said = body[:500].decode("utf-8", "replace") if isinstance(body, bytes) else ""
        return f"Turbopuffer answered {self.answer.status}: {said}"


class Asking:
    """Asks with one caller's key."""

    __slots__ = ("_authorization", "_exchange")

    def __init__(self, exchange: "Exchange", authorization: bytes) -> None:
        self._exchange = exchange
        self._authorization = authorization

    async def get(self, target: str, deed: str) -> bytes:
        """Give the body of a 200.

        Raises: RefusedError for any other status; GatewayError `upstream_error`.
        """
        return await self._asked("GET", target, None, deed)

    async def post(self, target: str, body: bytes, deed: str) -> bytes:
        return await self._asked("POST", target, body, deed)

    async def metadata(self, namespace: bytes) -> bytes:
        return await self.get(f"/v2/namespaces/{namespace.decode()}/metadata", "metadata")

    async def query(
        self, namespace: bytes, body: bytes, bytes_max: int = _ANSWER_BYTES_MAX
    ) -> bytes:
        target = f"/v2/namespaces/{namespace.decode()}/query"
        return await self._asked("POST", target, body, "query", bytes_max)

    async def rows(
        self, namespace: bytes, body: bytes, bytes_max: int = _ANSWER_BYTES_MAX
    ) -> list[Row]:
        """Give a query's rows, each value as upstream spelled it."""
        read: _Rows = read_as(_decode_rows, await self.query(namespace, body, bytes_max))
        if not all("id" in row for row in read.rows):
            raise GatewayError("upstream_error", "Turbopuffer query failed: a row has no id.")
        return read.rows

    async def pages(
        self,
        namespace: bytes,
        filters: Sequence[bytes],
        page_size: int,
        wanted: bytes = b'"include_attributes":false',
        rows_a_turn: int = _ROWS_A_TURN,
    ) -> AsyncIterator[list[Row]]:
        """Give all rows that pass the filters, in the order of their ids, some at a time.

        `wanted`: the member of the query that chooses attributes. Rows that are written meanwhile
        are met if their ids are still to come. Other requests have their turn after `rows_a_turn`.
        """
        last: list[bytes] = []
        while True:
            body = b'{"rank_by":["id","asc"],"top_k":%d,%b%b}' % (
                page_size,
                wanted,
                filters_member([*filters, *last]),
            )
            rows = await self.rows(namespace, body)
            for start in range(0, len(rows), rows_a_turn):
                yield rows[start : start + rows_a_turn]
                await asyncio.sleep(0)
            if len(rows) < page_size:
                return
            last = [b'["id","Gt",%b]' % bytes(rows[-1]["id"])]

    async def _asked(
        self,
        method: str,
        target: str,
        body: bytes | None,
        deed: str,
        bytes_max: int = _ANSWER_BYTES_MAX,
    ) -> bytes:
        headers = [
            (b"authorization", self._authorization),
            (b"accept-encoding", b"identity"),
        ]
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        answer = await self._exchange.send(
            method,
            target,
            headers,
            body,
            None if body is None else len(body),
            deed=deed,
            whole_bytes_max=bytes_max,
        )
        if answer.status != 200:
            raise RefusedError(answer)
        if not isinstance(answer.body, bytes):
            await answer.body.aclose()
            raise GatewayError(
                "upstream_error", f"Turbopuffer {deed} failed: its answer is too large."
            )
        return answer.body


def filters_member(filters: Sequence[bytes]) -> bytes:
    """Give the member `filters` of a query, with the comma before it; nothing for no filters."""
    if not filters:
        return b""
    if len(filters) == 1:
        return b',"filters":' + filters[0]
    return b',"filters":["And",[%b]]' % b",".join(filters)


def read_as(decode: Any, body: bytes) -> Any:
    """Decode an answer of upstream.

    Raises: GatewayError `upstream_error` if it is not what it should be.
    """
    try:
        return decode(body)
    except msgspec.DecodeError as error:
        raise GatewayError(
            "upstream_error", f"Turbopuffer's answer cannot be read: {error}"
        ) from error
