"""Which keys upstream has let through to which namespaces, for a while.

Where callers bring their own keys, a hit must not be served to one that upstream was never asked
about: any string would read what is cached.
"""

from typing import Final

from hevfast.core.clock import monotonic_s

# Seconds that upstream's word on a key is believed. A key that is withdrawn reads cached documents
# for that long at most.
_BELIEVED_S: Final = 60.0

# Keys and namespaces remembered; the ones first let in are forgotten first.
_REMEMBERED_MAX: Final = 10_000


class Verdicts:
    """Remembers hashes only, so that no key can be read out of memory.

    Python's own hash of bytes is a keyed one (SipHash with a secret of the process) of 64 bits:
    nobody outside can compute or guess one, and it costs a tenth of a cryptographic digest.
    """

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def __repr__(self) -> str:
        return f"<Verdicts of {len(self._until)}>"

    def passed(self, authorization: bytes, namespace: bytes) -> None:
        """Note that upstream has just answered this key for this namespace."""
        mark = _mark(authorization, namespace)
        self._until.pop(mark, None)
        self._until[mark] = monotonic_s() + _BELIEVED_S
        if len(self._until) > _REMEMBERED_MAX:
            del self._until[next(iter(self._until))]

    def holds(self, authorization: bytes, namespace: bytes) -> bool:
        return self._until.get(_mark(authorization, namespace), 0.0) > monotonic_s()

    def held(self, authorization: bytes, namespace: bytes, within_s: float) -> bool:
        """Tell whether upstream has let this key in within so many seconds, if that is known."""
        until = self._until.get(_mark(authorization, namespace))
        return until is not None and until - _BELIEVED_S + within_s > monotonic_s()


def _mark(authorization: bytes, namespace: bytes) -> int:
    # Neither holds a line break, so no two pairs give the same bytes.
    return hash(authorization + b"\n" + namespace)
