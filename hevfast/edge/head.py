"""What the gateway itself needs from a request's headers, found in one pass."""

from hevfast.core.errors import GatewayError
from hevfast.core.headers import HOP_BY_HOP, OVERRIDES, Headers, connection_names

# Headers that are not simply passed on: read here, dropped, or set anew for the next hop.
_HANDLED = (
    HOP_BY_HOP
    | OVERRIDES
    | {b"authorization", b"content-encoding", b"content-length", b"expect", b"host"}
)

# Asks for an answer without content coding.
IDENTITY = (b"accept-encoding", b"identity")


def authorization_of(raw: Headers) -> bytes | None:
    """Give the `authorization` alone, by the rule of `Head`: of two, neither counts."""
    found = [value for name, value in raw if name == b"authorization"]
    return found[0] if len(found) == 1 else b"" if found else None


class Head:
    """The headers of one request, sorted by what is done with them.

    `forward` travels on unchanged; the others are decided upon. `length` is None for a body of
    unknown length, which in HTTP/1.1 means `chunked`, and for no body at all.
    """

    __slots__ = ("authorization", "chunked", "encoding", "forward", "length")

    def __init__(self, raw: Headers) -> None:
        self.authorization: bytes | None = None
        self.chunked = False
        self.encoding = b""
        self.length: int | None = None
        self.forward: Headers = []
        named: set[bytes] | None = None
        wants_encoding = False
        for pair in raw:
            name = pair[0]
            if name in _HANDLED:
                if name == b"connection":
                    named = (named or set()) | connection_names(pair[1])
                elif name not in OVERRIDES:
                    self._handle(name, pair[1])
            else:
                if name == b"accept-encoding":
                    wants_encoding = True
                self.forward.append(pair)
        if named:
            self.forward = [pair for pair in self.forward if pair[0] not in named]
            wants_encoding = wants_encoding and b"accept-encoding" not in named
        if not wants_encoding:
            # Without the header, RFC 9110 allows upstream any coding. A client that did not ask
            # must not get one it cannot read.
            self.forward.append(IDENTITY)

    def want_identity(self) -> None:
        """Ask for an answer without content coding, because it has to be read here."""
        self.forward = [pair for pair in self.forward if pair[0] != b"accept-encoding"]
        self.forward.append(IDENTITY)

    def _handle(self, name: bytes, value: bytes) -> None:
        if name == b"authorization":
            # Two of them leave open which one counts. Neither does: an empty one fails.
            self.authorization = b"" if self.authorization is not None else value
        elif name == b"content-length":
            self.length = _length(value)
        elif name == b"content-encoding":
            self.encoding = self.encoding + b"," + value if self.encoding else value
        elif name == b"transfer-encoding":
            self.chunked = True


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 19:
        raise GatewayError("bad_request", "Content-Length is not a number.")
    return int(value)
