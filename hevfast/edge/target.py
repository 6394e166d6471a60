"""The request target to send upstream: path and query as they were spelled."""

import re
from typing import Any

from hevfast.core.errors import GatewayError

# Official clients add it to tell apart their own methods; it means nothing to the server.
_OVERLOAD = b"stainless_overload"

# RFC 3986 query characters, and those browsers and clients send unencoded all the same.
_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*")


def target_of(scope: Any) -> str:
    """Give path and query, byte for byte but for the parameter `stainless_overload`.

    Raises: GatewayError `bad_request` for a query that is not printable ASCII.
    """
    path: str = scope["raw_path"].decode("ascii")
    query: bytes = scope["query_string"]
    if not query:
        return path
    if _QUERY.fullmatch(query) is None:
        raise GatewayError(
            "bad_request", "The query string holds a byte that must be percent-encoded."
        )
    if _OVERLOAD in query:
        query = b"&".join(part for part in query.split(b"&") if not _is_overload(part))
        if not query:
            return path
    return f"{path}?{query.decode('ascii')}"


def _is_overload(part: bytes) -> bool:
    return part == _OVERLOAD or part.startswith(_OVERLOAD + b"=")
