"""`POST /v2/query`: one query of many namespaces."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from hevfast.core.errors import GatewayError
from hevfast.edge.reply import reply_json
from hevfast.namespaces.asking import Asking, RefusedError, Row
from hevfast.namespaces.federation import (
    FederatedRequest,
    merged,
    own_rows,
    query_body,
    read_federated,
)
from hevfast.routes.call import Visit

if TYPE_CHECKING:
    from hevfast.gateway import Gateway

_BODY_BYTES_MAX: Final = 4 * 1024 * 1024

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
        found: dict[str, list[Row]] = {}
        faults: dict[str, RefusedError | GatewayError] = {}
        marks = {name: self._gateway.watermark.of(name.encode()) for name in names}

        async def one(name: str) -> None:
            cut = None if marks[name].is_stable else marks[name].stable_as_of
            try:
                async with self._turns:
                    rows = await asking.rows(name.encode(), query_body(asked, cut))
                found[name] = own_rows(asked, rows)
            except (RefusedError, GatewayError) as fault:
                faults[name] = fault

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))
        if faults and (asked.strict or not found):
            # In the order asked for, so that the same request gets the same answer.
            raise next(faults[name] for name in names if name in faults)
        answer = _answer(asked, {name: found[name] for name in names if name in found})
        answer["namespaces"] = [
            {"namespace": name, "stable_as_of": marks[name].stable_as_of, "matched": len(rows)}
            for name, rows in found.items()
        ]
        answer["namespaces"].sort(key=lambda each: names.index(each["namespace"]))
        if faults:
            answer["errors"] = [
                {"namespace": name, "error": _said(faults[name])}
                for name in names
                if name in faults
            ]
        await reply_json(visit.send, 200, answer, (_PARTIAL,) if faults else ())


def _answer(asked: FederatedRequest, found: dict[str, list[Row]]) -> dict[str, Any]:
    try:
        rows, how = merged(asked, found)
    except (KeyError, ValueError) as error:
        raise GatewayError(
            "upstream_error", "Turbopuffer query failed: a row has no distance."
        ) from error
    return {"rows": rows, "merge": how}


def _said(fault: RefusedError | GatewayError) -> str:
    return fault.text() if isinstance(fault, RefusedError) else fault.detail
