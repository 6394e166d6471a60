"""Memory between two forbidden pages: to read a byte too many, or one before, ends the process."""

from __future__ import annotations

import ctypes
import mmap

PAGE = mmap.PAGESIZE
PROT_NONE = 0


class GuardedMemory:
    """Some pages with a page before and a page behind that nobody may touch."""

    def __init__(self, pages: int = 2) -> None:
        self.size = pages * PAGE
        self._map = mmap.mmap(-1, self.size + 2 * PAGE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self._map)) + PAGE
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for forbidden in (self.start - PAGE, self.start + self.size):
            if libc.mprotect(forbidden, PAGE, PROT_NONE) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")

    def at_end(self, body: bytes) -> int:
        """Place a body right before the forbidden page behind, and return its address."""
        return self._place(self.start + self.size - len(body), body)

    def at_start(self, body: bytes) -> int:
        """Place a body right behind the forbidden page in front, and return its address."""
        return self._place(self.start, body)

    def _place(self, address: int, body: bytes) -> int:
        assert len(body) <= self.size
        # Quotes around the body: what is read there by mistake changes the outcome.
        ctypes.memset(self.start, ord('"'), self.size)
        ctypes.memmove(address, body, len(body))
        return address
