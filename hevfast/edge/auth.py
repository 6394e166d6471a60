"""Who may call, and with which key upstream is called."""

import hmac
import re

from hevfast.core.errors import GatewayError

_BEARER = re.compile(rb"Bearer [\x21-\x7e]+")
_CHALLENGE = ((b"www-authenticate", b"Bearer"),)


def authorize(authorization: bytes | None, api_key: bytes | None) -> bytes:
    """Check the caller's `Authorization` and give the one to send upstream.

    With a configured key, the caller must present that same key. Without one, the caller's key
    is passed on and upstream judges it.

    Raises: GatewayError `unauthorized` or `forbidden`.
    """
    if authorization is None:
        raise GatewayError(
            "unauthorized",
            "The Authorization header is missing; send 'Authorization: Bearer <key>'.",
            headers=_CHALLENGE,
        )
    if _BEARER.fullmatch(authorization) is None:
        raise GatewayError(
            "unauthorized",
            "The Authorization header must be given once and be exactly 'Bearer <key>'.",
            headers=_CHALLENGE,
        )
    if api_key is not None and not hmac.compare_digest(authorization[7:], api_key):
        raise GatewayError("forbidden", "The key is not valid for this gateway.")
    return authorization
