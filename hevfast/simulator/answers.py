"""The refusals and the billing and performance blocks that every endpoint shares."""

import time
from collections.abc import Mapping

import msgspec

from .limits import ERROR_CHARS_MAX, QUERIED_BYTES_MIN

# The service begins most of its messages with a broken heart, as raw UTF-8.
HEART = "💔 "


class Refusal(Exception):  # noqa: N818  (it is an answer, not a fault of the program)
    """An answer with an error status; raised anywhere, rendered in one place."""

    def __init__(self, status: int, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.retry_after_s = retry_after_s

    def body(self) -> bytes:
        return error_body(self.text)


def error_body(text: str) -> bytes:
    # Texts quote what was sent, which may be long.
    return msgspec.json.encode({"status": "error", "error": HEART + text[:ERROR_CHARS_MAX]})


def bad_request(text: str) -> Refusal:
    """A request that parses but cannot be done."""
    return Refusal(400, text)


def bad_shape(text: str) -> Refusal:
    """A request whose JSON has the wrong shape; the texts follow the service's decoder."""
    return Refusal(422, text)


def namespace_missing(name: str) -> Refusal:
    return Refusal(404, f"namespace '{name}' was not found")


def not_simulated(what: str) -> Refusal:
    """A feature of the real service that the simulator leaves out: say so, never guess."""
    return Refusal(
        400, f"not simulated: {what}. The real service supports it; this simulator does not"
    )


def query_billing(queried_bytes: int, returned_bytes: int) -> dict[str, int]:
    return {
        "billable_logical_bytes_queried": max(QUERIED_BYTES_MIN, queried_bytes),
        "billable_logical_bytes_returned": returned_bytes,
    }


def query_performance(
    arrived_s: float, started_s: float, row_count: int, unindexed_count: int
) -> Mapping[str, object]:
    """Describe a query of `row_count` rows: when it came and when its turn was, monotonic.

    `exhaustive_search_count` counts the rows that are not indexed, before filtering. Times are at
    least one millisecond because clients expect them positive.
    """
    return {
        # Clients declare a float, so an integer would be another JSON type.
        "cache_hit_ratio": 1.0,
        "cache_temperature": "hot",
        "server_total_ms": elapsed_ms_since(arrived_s),
        "query_execution_ms": elapsed_ms_since(started_s),
        "exhaustive_search_count": unindexed_count,
        "approx_namespace_size": row_count,
    }


def elapsed_ms_since(started_s: float) -> int:
    return max(1, round((time.monotonic() - started_s) * 1000))
