"""When a store that fails is left alone, and when it is tried again: pure rules, told the time."""

from typing import Final

# Failures in a row that open the breaker. One may be a single oversized record or a full queue.
_FAILURES_TO_OPEN: Final = 5

# Seconds the breaker stays open before one call may try the store again.
_OPEN_S: Final = 2.0


class Breaker:
    """Closed: calls go through. Open: none does. Half open: one does, and decides."""

    __slots__ = ("_failures", "_opened_at", "_probing")

    def __init__(self) -> None:
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    def __repr__(self) -> str:
        state = "closed" if self._opened_at is None else "half open" if self._probing else "open"
        return f"<Breaker {state}, {self._failures} failures>"

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def allows(self, now_s: float) -> bool:
        """Tell whether a call may be made; when the time is up, one caller is told yes."""
        if self._opened_at is None:
            return True
        if self._probing or now_s - self._opened_at < _OPEN_S:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._opened_at = None
        self._probing = False

    def failed(self, now_s: float) -> None:
        self._failures += 1
        if self._probing or self._failures >= _FAILURES_TO_OPEN:
            self._opened_at = now_s
        self._probing = False
