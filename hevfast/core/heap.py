"""What the C library does with memory that was freed."""

import ctypes
from typing import Final

# Parameters of `mallopt` (malloc.h of glibc).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3

# Bytes. Bodies of up to so much come from the heap, not each from the kernel, which zeroes every
# page of them again; larger ones go back to it as soon as they are freed. Not more: what a large
# body leaves behind in the heap while it grows to this size is lost until the next one.
_KEPT_BLOCK_BYTES_MAX: Final = 12 * 1024 * 1024
# Bytes. So much stays free at the end of the heap.
_KEPT_BYTES_MAX: Final = 64 * 1024 * 1024


def keep_freed_blocks() -> bool:
    """Have freed blocks of the size of common bodies used again; tell whether that was possible.

    glibc's own bounds start at 128 KiB, and rise to what was freed and twice that. Writes of a
    hundred rows, a few under way, are above the second: each then costs a hundred page faults.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = mallopt(_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES_MAX)
    return bool(done) and bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES_MAX))
