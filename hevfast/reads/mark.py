"""What is known of a namespace's index at a moment."""

import enum
from typing import NamedTuple


class Standing(enum.IntEnum):
    """What upstream last said of a namespace's index."""

    # Not asked yet, or an answer that does not say; never read as caught up.
    UNKNOWN = 0
    UPDATING = 1
    STABLE = 2


class Mark(NamedTuple):
    """How far the index of a namespace is.

    `stable_as_of`: milliseconds since the epoch. Every row that was or will be stamped up to then
    is committed and indexed. None: that is not known of any moment.
    """

    stable_as_of: int | None = None
    standing: Standing = Standing.UNKNOWN

    @property
    def is_stable(self) -> bool:
        """Tell whether all that was written was indexed when upstream was last asked."""
        return self.standing is Standing.STABLE


NOTHING_KNOWN = Mark()
