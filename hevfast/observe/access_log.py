"""The one place where failed requests are written down."""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hevfast.core.errors import GatewayError

LOGGER = logging.getLogger("hevfast")

# Characters of a path that go into a log line.
_PATH_CHARS_MAX = 200


def log_failure(scope: Any, error: "GatewayError") -> None:
    """Write one line for a request that was answered with an error of our own."""
    level = error.meaning.log_level
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, "%s %s: %s", _request(scope), error.code, error.detail)


def log_torn(scope: Any, cause: Exception) -> None:
    """Write one line for an answer that broke off after it had begun."""
    LOGGER.error("%s answer broke off: %s", _request(scope), cause)


def log_fault(scope: Any, fault: Exception) -> None:
    """Write one entry, with the traceback, for a fault of the program."""
    LOGGER.error("%s internal_error", _request(scope), exc_info=fault)


def _request(scope: Any) -> str:
    # `ascii` keeps control characters of a hostile path out of the log.
    path = ascii(scope["raw_path"].decode("latin-1")[:_PATH_CHARS_MAX])[1:-1]
    return f"{scope['method'][:16]} {path}"
