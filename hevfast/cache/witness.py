"""Who hears of what happens to a store: the metrics, in a gateway; nobody, by default.

Called on the event loop or on a store's thread, where it happens. A witness never raises.
"""

from typing import NamedTuple, Protocol

from hevfast.core.names import Failure, Incident, Replaced, Status, StoreKind


class Witness(Protocol):
    def saw(self, incident: Incident) -> None:
        """Hear of something done for safety's sake."""

    def failed(self, failure: Failure) -> None:
        """Hear of a call that failed or was not tried."""

    def replaced(self, reason: Replaced) -> None:
        """Hear of a new file in place of the one in use."""

    def called(self, operation: str, set_name: str, status: Status, seconds: float) -> None:
        """Hear of a call of the cluster that has ended. Names are from a fixed list."""


class Nobody:
    """Hears nothing."""

    def saw(self, incident: Incident) -> None:
        return

    def failed(self, failure: Failure) -> None:
        return

    def replaced(self, reason: Replaced) -> None:
        return

    def called(self, operation: str, set_name: str, status: Status, seconds: float) -> None:
        return


NOBODY = Nobody()


class Condition(NamedTuple):
    """How a store is, as far as this worker can tell without asking it.

    `connected`: None where there is nothing to connect to. `calls`: under way. `doubtful`: writes
    that upstream may yet apply. `owed`: namespaces without hits until the store has been told what
    is stale.
    """

    kind: StoreKind
    breaker_open: bool = False
    connected: bool | None = None
    calls: int = 0
    doubtful: int = 0
    owed: int = 0

    @property
    def degraded(self) -> bool:
        return self.breaker_open or self.connected is False or self.owed > 0
