"""The plan of a write body, or the reason why it is refused."""

import asyncio
from typing import Final

import msgspec

from hevfast.batch._scan import Plan, ScanError, scan
from hevfast.batch.faults import Key, refusal
from hevfast.core.errors import GatewayError
from hevfast.core.limits import ROWS_MAX, SCAN_INLINE_BYTES_MAX

__all__ = ["Plan", "plan_write"]

RESERVED_PREFIX: Final = "_hevlayer_"

# The stamps' own type. A client that declares it repeats what upstream infers, which is harmless.
_OWN_TYPES: Final = ("int", {"type": "int"}, {"type": "int", "filterable": True})
_OWN_ATTRIBUTES: Final = ("_hevlayer_upserted_at", "_hevlayer_shard")


async def plan_write(body: bytes | bytearray, *, overwrite: bool) -> Plan:
    """Read a write body once and say what it holds.

    `overwrite`: the client's own stamps are replaced instead of refused.
    Raises: GatewayError 400, 413 or 422 (layer-api 2.4, 2.5), before anything was sent.
    Cost: about one copy of the body; from SCAN_INLINE_BYTES_MAX on in a thread, without the GIL.
    """
    try:
        if len(body) <= SCAN_INLINE_BYTES_MAX:
            plan = scan(body, overwrite, ROWS_MAX)
        else:
            loop = asyncio.get_running_loop()
            plan = await loop.run_in_executor(None, scan, body, overwrite, ROWS_MAX)
    except ScanError as fault:
        raise refusal(fault, body) from None
    if plan.schema_reserved:
        _check_schema(plan)
    return plan


def _check_schema(plan: Plan) -> None:
    """Refuse a schema that gives a reserved attribute another type than the gateway's own."""
    schema = msgspec.json.decode(plan.value(Key.SCHEMA) or b"{}")
    for name, declared in schema.items():
        own = name in _OWN_ATTRIBUTES and declared in _OWN_TYPES
        if name.startswith(RESERVED_PREFIX) and not own:
            raise GatewayError(
                "validation_error",
                f"schema: attribute `{name}` is reserved: names beginning with "
                f"`{RESERVED_PREFIX}` are set by the gateway; leave it out",
            )
