"""What a write does to rows, and what became of it: the words every form of the cache shares."""

from enum import Enum, IntEnum


class Kind(IntEnum):
    """What a write does to one row. A batch keeps one byte a row, never one object a row."""

    UPSERT = 0
    PATCH = 1
    DELETE = 2
    # Upstream did not say what became of the row: an unmet condition, no list of affected ids, a
    # row named twice in one body.
    UNSTATED = 3


class Outcome(Enum):
    """What is known of a write when its ticket is handed in."""

    APPLIED = "applied"
    # Refused by upstream, or never sent to it.
    REJECTED = "rejected"
    # The connection was lost: upstream may still apply it, until the doubt has lapsed.
    UNKNOWN = "unknown"
