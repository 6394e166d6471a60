"""The one family of errors the gateway raises, and the one table that says what each code means."""

import enum
import logging
from typing import NamedTuple


class Source(enum.Enum):
    """Who has to change something for the request to work."""

    CLIENT = "client"
    CACHE = "cache"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"


class Retry(enum.Enum):
    """Whether sending the same request again can help without harm."""

    NO = "no"
    SAFE = "safe"
    ONLY_IF_UNSENT = "only_if_unsent"


class Meaning(NamedTuple):
    """One row of the table: what a code stands for."""

    status: int
    source: Source
    retry: Retry
    log_level: int


# Codes and statuses are those Layer's clients know; `internal_error`, `unauthorized`,
# `method_not_allowed`, `request_timeout` and `too_many_requests` name cases where Layer answers
# plain text or no code.
MEANINGS: dict[str, Meaning] = {
    "bad_request": Meaning(400, Source.CLIENT, Retry.NO, logging.DEBUG),
    "unauthorized": Meaning(401, Source.CLIENT, Retry.NO, logging.DEBUG),
    "forbidden": Meaning(403, Source.CLIENT, Retry.NO, logging.DEBUG),
    "not_found": Meaning(404, Source.CLIENT, Retry.NO, logging.DEBUG),
    "method_not_allowed": Meaning(405, Source.CLIENT, Retry.NO, logging.DEBUG),
    "request_timeout": Meaning(408, Source.CLIENT, Retry.SAFE, logging.DEBUG),
    "conflict": Meaning(409, Source.CLIENT, Retry.NO, logging.DEBUG),
    "precondition_failed": Meaning(412, Source.CLIENT, Retry.NO, logging.DEBUG),
    "payload_too_large": Meaning(413, Source.CLIENT, Retry.NO, logging.DEBUG),
    "validation_error": Meaning(422, Source.CLIENT, Retry.NO, logging.DEBUG),
    "UnsupportedByStore": Meaning(422, Source.CLIENT, Retry.NO, logging.DEBUG),
    "object_store_not_configured": Meaning(422, Source.CLIENT, Retry.NO, logging.DEBUG),
    "too_many_requests": Meaning(429, Source.CLIENT, Retry.SAFE, logging.DEBUG),
    "internal_error": Meaning(500, Source.GATEWAY, Retry.ONLY_IF_UNSENT, logging.ERROR),
    "upstream_error": Meaning(502, Source.UPSTREAM, Retry.ONLY_IF_UNSENT, logging.ERROR),
    "cache_cold": Meaning(503, Source.CACHE, Retry.SAFE, logging.WARNING),
    "service_unavailable": Meaning(503, Source.CACHE, Retry.SAFE, logging.WARNING),
    "gateway_draining": Meaning(503, Source.GATEWAY, Retry.SAFE, logging.DEBUG),
    "gateway_timeout": Meaning(504, Source.UPSTREAM, Retry.SAFE, logging.WARNING),
}


class GatewayError(Exception):
    """A request failed for a reason the gateway itself found; carries the whole answer.

    `fields` are further members of the JSON body (`store`, `route`, ...); `headers` are
    further response headers (`allow`, ...).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fields: dict[str, str] | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.detail = message
        self.meaning = MEANINGS[code]
        self.fields = fields
        self.headers = headers

    @property
    def status(self) -> int:
        return self.meaning.status

    @property
    def source(self) -> Source:
        return self.meaning.source

    @property
    def retry(self) -> Retry:
        return self.meaning.retry

    def body(self) -> dict[str, str]:
        """Give the members of the JSON body, `error` and `message` first."""
        return {"error": self.code, "message": self.detail, **(self.fields or {})}

    def again(self) -> "GatewayError":
        """Give another one that says the same, for another request that it ends."""
        other = type(self)(self.code, self.detail, fields=self.fields, headers=self.headers)
        other.__cause__ = self.__cause__
        return other


class UnsentError(GatewayError):
    """The request was given up before upstream had anything of it."""


class AnswerTornError(Exception):
    """The answer broke off after it had begun; only closing the connection is honest."""
