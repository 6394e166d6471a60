"""What a write counts as in metrics."""

from typing import Final

from hevfast.batch.faults import Key
from hevfast.batch.plan import Plan

_BY_FILTER: Final = (1 << Key.DELETE_BY_FILTER, 1 << Key.PATCH_BY_FILTER)
# Operations whose rows do not simply count.
_OTHERS: Final = 1 << Key.DELETES | _BY_FILTER[0] | _BY_FILTER[1]


def rows_counted(plan: Plan) -> int:
    """Give the rows upserted and patched, and one for each filter operation (layer-api 7)."""
    keys = plan.keys
    if not keys & _OTHERS:
        return plan.rows_count
    written = sum(
        count
        for op, _, _, count, _ in plan.sections()
        if op in (Key.UPSERT_ROWS, Key.UPSERT_COLUMNS, Key.PATCH_ROWS, Key.PATCH_COLUMNS)
    )
    return written + sum(bool(keys & each) for each in _BY_FILTER)
