"""Where hosts that share a cluster leave word for each other: a card each, and marks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Cards(NamedTuple):
    """All cards by their hosts' names.

    `epoch`: drawn when the place for them was made, as after a loss. `young`: cards that were lost
    with an earlier one may be missing.
    """

    epoch: bytes
    young: bool
    cards: Mapping[bytes, bytes]


class SharedMark(NamedTuple):
    """What hosts have learnt of a namespace's index, in milliseconds since the epoch.

    `asked_ms`: when upstream was last asked, and what it said, by number. `restarted_ms`: moments
    below are void.
    """

    moment_ms: int = 0
    asked_ms: int = 0
    standing: int = 0
    restarted_ms: int = 0


class CardStore(Protocol):
    """The place. No method raises for a fault of the store."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def exchange(
        self, name: bytes, card: bytes | None, gone: Sequence[bytes]
    ) -> Cards | None:
        """Take away the cards of those who are gone, leave one's own, and give all, in one step.

        None: it failed, or there is no place yet and no card to make one for.
        """

    async def mature(self, epoch: bytes) -> None:
        """Say that no card of before this epoch is missing any more."""

    async def marks(self, namespaces: Sequence[bytes]) -> Mapping[bytes, SharedMark]:
        """Give the marks of those namespaces that have one; none if the store fails."""

    async def show(self, marks: Mapping[bytes, SharedMark]) -> None:
        """Raise marks: of each number the largest stays, and what was said goes with its time."""
