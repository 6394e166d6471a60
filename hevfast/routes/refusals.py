"""Routes of Layer's that this gateway has no answer for, and says so in its own words."""

from typing import Final

from hevfast.core.errors import GatewayError
from hevfast.core.routes import ROUTES, How
from hevfast.routes.call import Visit
from hevfast.routes.surface import Handler

_SNAPSHOTS: Final = "Snapshots are kept in an object store, and this gateway has none."

# What differs from 404 "closed edition", by the name of the route: code and message.
_SAID: Final = {
    "create_snapshot": ("object_store_not_configured", _SNAPSHOTS),
    "get_snapshot_policy": ("object_store_not_configured", _SNAPSHOTS),
    "put_snapshot_policy": ("object_store_not_configured", _SNAPSHOTS),
    "get_snapshot_job": ("not_found", "There is no snapshot job with this id."),
    "authenticate_key": ("not_found", "This gateway mints no keys."),
}
_METRICS: Final = (
    "service_unavailable",
    "This gateway has no metrics backend to ask; scrape `/metrics` and ask yours.",
)
_CLOSED: Final = ("not_found", "No such path: it belongs to Layer's closed edition.")


def refusals() -> dict[str, Handler]:
    """Give a handler for each refused route; `import` is refused with the other writes."""
    return {row.name: _refuser(*_said(row.name)) for row in ROUTES if row.how is How.REFUSED}


def _said(name: str) -> tuple[str, str]:
    if "query_metrics" in name:
        return _METRICS
    return _SAID.get(name, _CLOSED)


def _refuser(code: str, message: str) -> Handler:
    async def refuse(visit: Visit) -> None:
        raise GatewayError(code, message)

    return refuse
