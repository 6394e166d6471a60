"""Whether what upstream holds in the end can come from some order of the writes, one by one."""

import dataclasses
import enum


class Fate(enum.Enum):
    """What a caller knows of its write."""

    APPLIED = "applied"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Known:
    """A write as its caller knows it: when it was begun and ended, what it wrote, its fate."""

    name: int
    begun: int
    ended: int
    ids: frozenset[str]
    fate: Fate


def is_serial(writes: list[Known], rows: dict[str, int]) -> bool:
    """Tell whether some order of whole writes leaves these rows, the name of its writer in each.

    A write that ended before another began comes first. Of an unknown fate: applied or not.

    From the last write back: one may stand at the end if it is the writer of each of its rows that
    no later one has written, and no other that is left began after it had ended. Putting one there
    that may stand there never bars another, so the first that is found will do.
    """
    visible = set(rows.values())
    if not visible <= {write.name for write in writes if write.fate is not Fate.REFUSED}:
        return False
    left = [
        write
        for write in writes
        if write.fate is Fate.APPLIED or (write.fate is Fate.UNKNOWN and write.name in visible)
    ]
    later: set[str] = set()
    while left:
        for write in left:
            is_last = all(other.begun < write.ended for other in left if other is not write)
            if is_last and all(rows.get(each) == write.name for each in write.ids - later):
                later |= write.ids
                left.remove(write)
                break
        else:
            return False
    return later >= rows.keys()
