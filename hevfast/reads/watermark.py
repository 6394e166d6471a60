"""How far each namespace's index is: what handlers ask, and what they tell."""

from hevfast.reads.mark import NOTHING_KNOWN, Mark


class Watermark:
    """The watermarks of all namespaces, shared by the workers of a host."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<Watermark>"

    def of(self, namespace: bytes) -> Mark:
        """Give what is known; needs no waiting. Never goes back while the namespace exists."""
        return NOTHING_KNOWN

    def watch(self, namespace: bytes, authorization: bytes) -> None:
        """Ask upstream about this namespace from now on, with a key that it has just taken."""
