"""`POST /v2/query`: one query of many namespaces."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from hevfast.core.errors import GatewayError
from hevfast.edge.reply import reply_json
from hevfast.namespaces.asking import Asking, RefusedError, Row
from hevfast.namespaces.federation import FederatedRequest, Merge, query_body, read_federated
from hevfast.reads.mark import Mark, Standing
from hevfast.routes.call import Visit

if TYPE_CHECKING:
    from hevfast.gateway import Gateway

_BODY_BYTES_MAX: Final = 4 * 1024 * 1024

# Bytes of one namespace's answer: sixteen are held at once, and of all the rows those that count.
_ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024

_TOO_MANY: Final = 429
_BAD_REQUEST: Final = 400

_PARTIAL: Final = (b"x-layer-partial", b"true")


class Federated:
    """Serves the route."""

    __slots__ = ("_gateway", "_namespaces_max", "_turns")

    def __init__(self, gateway: "Gateway") -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._namespaces_max = settings.federated_namespaces_max
        # Of all federated queries of this worker together.
        self._turns = asyncio.Semaphore(settings.federated_namespaces_parallel)

    async def __call__(self, visit: Visit) -> None:
        body = await visit.body(_BODY_BYTES_MAX, self._gateway)
        asked = read_federated(body, self._namespaces_max)
        asking = Asking(self._gateway.exchange, visit.authorization)
        names = asked.namespaces or []
        merge = Merge(asked)
        matched: dict[str, int] = {}
        faults: dict[str, RefusedError | GatewayError] = {}
        marks = {name: self._gateway.watermark.of(name.encode()) for name in names}

        async def one(place: int, name: str) -> None:
            try:
                async with self._turns:
                    rows = await _cut_rows(asking, asked, name.encode(), marks[name])
                    matched[name] = merge.take(place, name, rows)
            except (RefusedError, GatewayError) as fault:
                faults[name] = fault

        async with asyncio.TaskGroup() as group:
            for place, name in enumerate(names):
                group.create_task(one(place, name))
        if faults and (asked.strict or not matched):
            # In the order asked for, so that the same request gets the same answer.
            raise next(faults[name] for name in names if name in faults)
        answer: dict[str, Any] = {"rows": merge.rows(), "merge": merge.how}
        answer["namespaces"] = [
            {
                "namespace": name,
                "stable_as_of": marks[name].stable_as_of,
                "matched": matched[name],
            }
            for name in names
            if name in matched
        ]
        if faults:
            answer["errors"] = [
                {"namespace": name, "error": _said(faults[name])}
                for name in names
                if name in faults
            ]
        await reply_json(visit.send, 200, answer, (_PARTIAL,) if faults else ())


async def _cut_rows(
    asking: Asking, asked: FederatedRequest, namespace: bytes, mark: Mark
) -> list[Row]:
    """Ask one namespace: cut if its index lags behind, or if upstream refuses it for that.

    Raises: RefusedError; GatewayError `upstream_error`.
    """
    moment = mark.stable_as_of
    cut_ms = moment if mark.standing is Standing.UPDATING else None
    try:
        return await asking.rows(namespace, query_body(asked, cut_ms), _ANSWER_BYTES_MAX)
    except RefusedError as refused:
        status, window = refused.answer.status, asked.as_of is not None or asked.between is not None
        if status == _TOO_MANY and cut_ms is None and moment is not None:
            other_ms: int | None = moment
        elif status == _BAD_REQUEST and cut_ms is not None and not window:
            # A namespace that was never written here does not know the stamp.
            other_ms = None
        else:
            raise
    return await asking.rows(namespace, query_body(asked, other_ms), _ANSWER_BYTES_MAX)


def _said(fault: RefusedError | GatewayError) -> str:
    return fault.text() if isinstance(fault, RefusedError) else fault.detail
