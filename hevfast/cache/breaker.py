"""When a store that fails is left alone, and when it is tried again: pure rules, told the time."""

from collections.abc import Callable
from typing import Final

# Failures in a row that open the breaker. One may be a single oversized record or a full queue.
_FAILURES_TO_OPEN: Final = 5

# Seconds the breaker stays open before one call may try the store again.
_OPEN_S: Final = 2.0


class Breaker:
    """Closed: calls go through. Open: none does. Half open: one does, and decides.

    `opened` is called when it opens, not when a call that was let through fails again.
    """

    __slots__ = ("_failures", "_opened", "_opened_at", "_probed_at")

    def __init__(self, opened: Callable[[], None] = lambda: None) -> None:
        self._opened = opened
        self._failures = 0
        self._opened_at: float | None = None
        self._probed_at: float | None = None

    def __repr__(self) -> str:
        half = "open" if self._probed_at is None else "half open"
        state = "closed" if self._opened_at is None else half
        return f"<Breaker {state}, {self._failures} failures>"

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def allows(self, now_s: float) -> bool:
        """Tell whether a call may be made; when the time is up, one caller is told yes."""
        if not self.ready(now_s):
            return False
        if self._opened_at is not None:
            self._probed_at = now_s
        return True

    def ready(self, now_s: float) -> bool:
        """Tell whether `allows` would say yes, without taking the one probe.

        A probe that nobody reports on (its caller was cancelled) counts as failed after a while:
        it would keep the store alone for ever.
        """
        if self._opened_at is None:
            return True
        waited_since = self._opened_at if self._probed_at is None else self._probed_at
        return now_s - waited_since >= _OPEN_S

    def succeeded(self) -> None:
        self._failures = 0
        self._opened_at = None
        self._probed_at = None

    def failed(self, now_s: float) -> None:
        self._failures += 1
        if self._probed_at is not None or self._failures >= _FAILURES_TO_OPEN:
            was_open, self._opened_at = self.is_open, now_s
            if not was_open:
                self._opened()
        self._probed_at = None
