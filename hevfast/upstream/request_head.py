"""The head of a request: one block of bytes, in which nothing can start another line."""

import re

from yarl import URL

from hevfast.core.errors import GatewayError
from hevfast.core.headers import Headers
from hevfast.upstream._http import field_lines

# RFC 9112 section 3.2: a target ends at the first blank, so it may not hold one.
_TARGET = re.compile(r"[\x21-\x7e]+")

# Methods whose requests without a body say so (RFC 9110 section 8.6).
_SAYS_EMPTY = frozenset({"DELETE", "PATCH", "POST", "PUT"})


class RequestHead:
    """Builds heads for one upstream; what all of them share is built once."""

    __slots__ = ("_after", "_before")

    def __init__(self, base: str) -> None:
        url = URL(base, encoded=True)
        prefix = url.raw_path.rstrip("/")
        host = url.host_port_subcomponent or ""
        self._before = {
            method: f"{method} {prefix}".encode()
            for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        }
        self._after = f" HTTP/1.1\r\nhost: {host}".encode()
        check_fields([(b"host", host.encode())])
        check_target(f"/{prefix}")

    def knows(self, method: str) -> bool:
        """Tell whether a request of this method can be made; others are rare."""
        return method in self._before

    def build(self, method: str, target: str, headers: Headers, size: int | None) -> bytes:
        """Give the head, blank line included. `size`: bytes of the body, None if there is none.

        `headers` must hold no framing (`content-length`, `transfer-encoding`) and no `host`.

        Raises: GatewayError `bad_request` for what cannot be sent as it is.
        """
        check_target(target)
        fields = field_lines(headers)
        if fields is None:
            fields = b"".join([b"\r\n%b: %b" % pair for pair in headers])
            _check(fields, len(headers))
        if size is None and method in _SAYS_EMPTY:
            size = 0
        length = b"" if size is None else b"\r\ncontent-length: %d" % size
        return b"%b%b%b%b%b\r\n\r\n" % (
            self._before[method],
            target.encode(),
            self._after,
            fields,
            length,
        )


def check_target(target: str) -> None:
    """Raises: GatewayError `bad_request` for a target that would break the request line."""
    if _TARGET.fullmatch(target) is None:
        raise GatewayError("bad_request", "The path or query holds a byte that has no place there.")


def check_fields(headers: Headers) -> None:
    """Raises: GatewayError `bad_request` for a header that cannot be sent as it is."""
    _check(b"".join([part for pair in headers for part in pair]), 0)


def _check(fields: bytes, breaks: int) -> None:
    """Check that a block has no more line breaks than were put there, no NUL, and is UTF-8.

    UTF-8 is demanded because a ClientSession could send anything else only altered, and which
    way a request takes must not show.
    """
    if fields.count(b"\n") != breaks or fields.count(b"\r") != breaks or b"\0" in fields:
        raise GatewayError("bad_request", "A request header holds a line break or a NUL.")
    if not fields.isascii():
        try:
            fields.decode()
        except UnicodeDecodeError as error:
            raise GatewayError("bad_request", "A request header is not valid UTF-8.") from error
