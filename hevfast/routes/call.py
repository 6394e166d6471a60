"""One call of a route that the gateway answers itself: what its handler needs to know."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hevfast.core.errors import GatewayError
from hevfast.edge.body import read_plain
from hevfast.edge.head import Head
from hevfast.pipelines.paths import Named

if TYPE_CHECKING:
    from hevfast.gateway import Gateway


class Asked:
    """A request with a key."""

    __slots__ = ("authorization", "head", "hear", "scope", "send")

    def __init__(
        self, scope: Any, receive: Any, send: Any, head: Head, authorization: bytes
    ) -> None:
        self.scope = scope
        self.hear = receive
        self.send = send
        self.head = head
        self.authorization = authorization

    async def body(self, bytes_max: int, gateway: "Gateway") -> bytes | bytearray:
        """Read the body whole; `bytes_max` is the most on its path, if no less is set for all.

        Raises: GatewayError `payload_too_large`, and those of `read_plain`.
        """
        bytes_max = min(bytes_max, gateway.settings.body_bytes_max)
        try:
            return await read_plain(self.hear, self.head, bytes_max, gateway.silence)
        except GatewayError as error:
            if error.code != "payload_too_large":
                raise
            message = f"The request body is larger than {bytes_max} bytes, the most on this path."
            raise GatewayError("payload_too_large", message) from error

    def query(self) -> dict[str, str]:
        """Give the parameters of the query string; of several of one name, the last."""
        text: str = self.scope["query_string"].decode("ascii", "replace")
        return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


class Call(Asked):
    """A request about pipelines, and what its path names."""

    __slots__ = ("document", "pipeline", "place")

    def __init__(
        self, scope: Any, receive: Any, send: Any, head: Head, authorization: bytes, named: Named
    ) -> None:
        super().__init__(scope, receive, send, head, authorization)
        self.place, self.pipeline, self.document = named


class Visit(Asked):
    """A request about namespaces; `names` stand in its path, in order, as spelled."""

    __slots__ = ("names",)

    def __init__(
        self,
        scope: Any,
        receive: Any,
        send: Any,
        head: Head,
        authorization: bytes,
        names: tuple[bytes, ...],
    ) -> None:
        super().__init__(scope, receive, send, head, authorization)
        self.names = names

    @property
    def namespace(self) -> bytes:
        return self.names[0]
