"""What handlers ask of the watermark: how far a namespace's index is."""

from typing import NamedTuple, Protocol


class Stability(NamedTuple):
    """`stable_as_of`, in milliseconds since the epoch: every row stamped up to then is indexed.

    None: that is not known of any moment.
    """

    stable_as_of: int | None = None
    is_stable: bool = False


class Watermark(Protocol):
    def of(self, namespace: bytes) -> Stability:
        """Give what is known, without waiting."""

    def watch(self, namespace: bytes, authorization: bytes) -> None:
        """Ask upstream about this namespace from now on, with a key that it has just taken."""


class NothingKnown:
    """Knows of no namespace."""

    def of(self, namespace: bytes) -> Stability:
        return Stability()

    def watch(self, namespace: bytes, authorization: bytes) -> None:
        return
