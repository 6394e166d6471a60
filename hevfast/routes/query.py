"""The query route: `POST /v2/namespaces/{namespace}/query`, and that of v1, which goes to v2.

Queries in Layer's form are cut at the namespace's watermark while its index lags behind: one cut
for all legs of a request. Those in Turbopuffer's own form go on as they came.
"""

import os
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from hevfast.batch.query_cursor import paged, spelled_cursor
from hevfast.batch.query_hybrid import (
    Hybrid,
    fused,
    hybrid_of,
    may_be_hybrid,
    spelled_hybrid,
)
from hevfast.batch.query_plan import Query as Asked
from hevfast.batch.query_plan import Shape, ranked_by, read_query, spelled
from hevfast.core.clock import monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.core.headers import Headers
from hevfast.core.limits import ANSWER_WHOLE_BYTES_MAX, QUERY_READ_BYTES_MAX, QUERY_ROWS_BYTES_MAX
from hevfast.edge.auth import authorize
from hevfast.edge.body import check_length, inflated, plain_of, read_body
from hevfast.edge.head import Head
from hevfast.edge.reply import relay
from hevfast.edge.target import target_of
from hevfast.observe.queries import Queries
from hevfast.reads.mark import Mark, Standing
from hevfast.routes.nearest import centroid
from hevfast.upstream.exchange import Answer

if TYPE_CHECKING:
    from hevfast.gateway import Gateway

App = Callable[[Any, Any, Any], Awaitable[None]]

# Bytes. A compressed answer is read up to this size, decoded: a millisecond.
_INFLATED_BYTES_MAX: Final = 256 * 1024

# Bytes. A body that does not say how long it is, or is compressed, is held up to this size.
_HELD_BYTES_MAX: Final = 4 * 1024 * 1024

_TOO_MANY: Final = 429
_BAD_REQUEST: Final = 400

_NATIVE: Final = Asked(Shape.NATIVE, {})

_TOO_LARGE: Final = (
    f"query: the answer has more than {QUERY_ROWS_BYTES_MAX} bytes, too many to be put in order "
    "here; ask for fewer attributes, and fetch the documents by their ids"
)

_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_STABLE_AS_OF: Final = b"x-layer-stable-as-of"
_WARNING: Final = b"x-layer-warning"


class Query:
    """Reads a query, cuts it if it must be, sends it, and says as of when it is."""

    __slots__ = ("_cuts_native", "_gateway", "_passthrough", "_queries")

    def __init__(self, gateway: "Gateway", passthrough: App, queries: Queries) -> None:
        self._gateway = gateway
        self._queries = queries
        self._passthrough = passthrough
        self._cuts_native = gateway.settings.native_query_cut == "on"

    async def __call__(self, scope: Any, receive: Any, send: Any, namespace: bytes) -> None:
        begun_s = monotonic_s()
        gateway = self._gateway
        if scope["raw_path"].startswith(b"/v1"):
            scope = {**scope, "raw_path": b"/v2" + scope["raw_path"][3:]}
        head = Head(scope["headers"])
        authorization = authorize(head.authorization, gateway.api_key)
        if head.length is not None and head.length > QUERY_READ_BYTES_MAX and not head.encoding:
            # No query of Layer's is so large.
            await self._passthrough(scope, receive, send)
            return
        target = target_of(scope)
        bytes_max = min(_HELD_BYTES_MAX, gateway.settings.body_bytes_max)
        check_length(head.length, bytes_max)
        body = await read_body(receive, head.length, bytes_max, gateway.silence)
        head.forward.append((b"authorization", authorization))

        query = await _read(body, head, natives_too=self._cuts_native)
        if query.shape is Shape.NATIVE and head.encoding and not self._cuts(query):
            head.forward.append((b"content-encoding", head.encoding))
        elif query.after is not None or may_be_hybrid(query):
            # Its answer is not passed on as it comes.
            head.want_identity()
        call = _Call(gateway, namespace, target, head.forward, authorization)
        try:
            answer = await self._answered(call, query, body)
        except BaseException as error:
            self._queries.failed(namespace, monotonic_s() - begun_s, error)
            raise
        members = query.members
        self._queries.answered(
            namespace,
            answer.status,
            monotonic_s() - begun_s,
            call.upstream_s,
            has_filter="filters" in members,
            has_rank_by="rank_by" in members,
        )
        if query.shape is not Shape.NATIVE:
            answer.headers.append((b"traceparent", _traceparent(scope["headers"])))
        if answer.status < 300:
            gateway.watermark.watch(namespace, authorization)
        await relay(send, answer)

    def _cuts(self, query: Asked) -> bool:
        """Tell whether a query may be cut; one in Turbopuffer's form only if that is asked for."""
        return query.shape is not Shape.NATIVE or (self._cuts_native and bool(query.members))

    async def _answered(self, call: "_Call", query: Asked, body: bytes | bytearray) -> Answer:
        if query.shape is not Shape.NATIVE:
            return await self._layers(call, query)
        if self._cuts(query):
            return await self._cut(call, query, None)
        return await call.send(bytes(body))

    async def _layers(self, call: "_Call", query: Asked) -> Answer:
        """Answer a query in Layer's form."""
        if query.nearest_to:
            vector = await centroid(
                call.gateway.exchange, call.authorization, call.namespace, query.nearest_to
            )
            if isinstance(vector, Answer):
                return vector
            members = {"rank_by": ranked_by(vector), **query.members}
            query = query._replace(members=members)
        hybrid = hybrid_of(query) if query.shape is Shape.SINGLE else None
        answer = await self._cut(call, query, hybrid)
        if answer.status != 200 or query.shape is not Shape.SINGLE:
            return answer
        if not isinstance(answer.body, bytes) or len(answer.body) > QUERY_ROWS_BYTES_MAX:
            if hybrid is not None or query.after is not None:
                await _left(answer)
                raise GatewayError("validation_error", _TOO_LARGE)
            answer.headers.append((_WARNING, b"cursor_unavailable"))
        elif hybrid is not None:
            answer.replace_body(fused(answer.body, query, hybrid))
            if hybrid.dropped:
                answer.headers.append((_WARNING, b"tokens_dropped"))
        else:
            _page(answer, query)
        return answer

    async def _cut(self, call: "_Call", query: Asked, hybrid: Hybrid | None) -> Answer:
        """Send a query: cut if the index lags behind, or if upstream refuses it for that."""
        mark = call.gateway.watermark.of(call.namespace)
        moment = mark.stable_as_of
        cut_ms = moment if mark.standing is Standing.UPDATING else None
        whole = _whole_bytes_max(query)
        answer = await call.send(_spelled(query, hybrid, cut_ms), whole)
        if cut_ms is not None:
            self._queries.cut()
        if answer.status == _TOO_MANY and cut_ms is None and moment is not None:
            # It refuses when too much is not indexed; what is cut off need not be looked at.
            await _left(answer)
            answer = await call.send(_spelled(query, hybrid, moment), whole)
            self._queries.cut()
        elif answer.status == _BAD_REQUEST and cut_ms is not None and not query.window:
            # A namespace that was never written here does not know the stamp.
            await _left(answer)
            answer = await call.send(_spelled(query, hybrid, None), whole)
            if answer.status < 300:
                answer.headers.append((_WARNING, b"not_cut"))
        _tell(answer, mark)
        return answer


class _Call:
    """Where a query goes, and with which headers."""

    __slots__ = ("_headers", "_target", "authorization", "gateway", "namespace", "upstream_s")

    def __init__(self, gateway: "Gateway", namespace: bytes, target: str, headers: Headers,
                 authorization: bytes) -> None:  # fmt: skip
        self.gateway = gateway
        self.authorization = authorization
        # Seconds that upstream took, all of its answers together.
        self.upstream_s = 0.0
        self.namespace = namespace
        self._target = target
        self._headers = headers

    async def send(self, body: bytes, whole_bytes_max: int = ANSWER_WHOLE_BYTES_MAX) -> Answer:
        answer = await self.gateway.exchange.send(
            "POST",
            self._target,
            self._headers,
            body,
            len(body),
            deed="query",
            whole_bytes_max=whole_bytes_max,
        )
        self.upstream_s += answer.upstream_s
        return answer


async def _read(body: bytes | bytearray, head: Head, *, natives_too: bool) -> Asked:
    """Read a query. One that is too large to be Layer's, or coded in an unknown way, is native."""
    if head.encoding:
        try:
            body = await plain_of(body, head, QUERY_READ_BYTES_MAX)
        except GatewayError:
            return _NATIVE
    return (
        _NATIVE if len(body) > QUERY_READ_BYTES_MAX else read_query(body, natives_too=natives_too)
    )


def _spelled(query: Asked, hybrid: Hybrid | None, cut_ms: int | None) -> bytes:
    if hybrid is not None:
        return spelled_hybrid(query, hybrid, cut_ms)
    return spelled(query, cut_ms)


def _whole_bytes_max(query: Asked) -> int:
    """Give up to which size an answer is held and read; larger ones are streamed."""
    return QUERY_ROWS_BYTES_MAX if query.shape is Shape.SINGLE else ANSWER_WHOLE_BYTES_MAX


def _page(answer: Answer, query: Asked) -> None:
    """Say where the page ends; the body stays as it came, coded or not, if rows are in order."""
    assert isinstance(answer.body, bytes)
    plain: bytes | None = answer.body
    coding = next((value for name, value in answer.headers if name == b"content-encoding"), None)
    if coding is not None:
        plain = inflated(answer.body, _INFLATED_BYTES_MAX) if coding.lower() == b"gzip" else None
    if plain is None:
        answer.headers.append((_WARNING, b"cursor_unavailable"))
        return
    page = paged(plain, query.top_k, query.after, ascending=query.ascending)
    if page.body is not plain:
        answer.headers = [pair for pair in answer.headers if pair[0] != b"content-encoding"]
        answer.replace_body(page.body)
    if page.end is not None:
        answer.headers.append((b"x-layer-next-cursor", spelled_cursor(page.end)))


def _tell(answer: Answer, mark: Mark) -> None:
    if mark.stable_as_of is not None:
        answer.headers.append((_STABLE_AS_OF, b"%d" % mark.stable_as_of))


async def _left(answer: Answer) -> None:
    if not isinstance(answer.body, bytes):
        await answer.body.aclose()


def _traceparent(headers: Headers) -> bytes:
    """Give the trace that the caller goes by, or a new one, sampled."""
    for name, value in headers:
        if name == b"traceparent" and _TRACEPARENT.fullmatch(value):
            return value
    return b"00-%b-%b-01" % (os.urandom(16).hex().encode(), os.urandom(8).hex().encode())
