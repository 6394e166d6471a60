"""One request to Turbopuffer and its answer; every fault on the way becomes a GatewayError."""

import logging
from typing import TYPE_CHECKING

from hevfast.core.clock import monotonic_s
from hevfast.core.headers import Headers
from hevfast.core.limits import ANSWER_WHOLE_BYTES_MAX
from hevfast.upstream.answer import Answer
from hevfast.upstream.causes import FAULTS, upstream_error
from hevfast.upstream.direct import Direct
from hevfast.upstream.line import Line
from hevfast.upstream.pool import Pool, UnfitPoolError
from hevfast.upstream.session import Body, Session

if TYPE_CHECKING:
    from hevfast.settings import Settings

__all__ = ["Answer", "Exchange"]

_log = logging.getLogger(__name__)


class Exchange:
    """The way to Turbopuffer for one worker. `inflight` counts exchanges that have not ended."""

    _session: Session
    _direct: Direct | None

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self.inflight = 0

    def __repr__(self) -> str:
        return f"<Exchange {self._settings.upstream_url} {self.inflight} in flight>"

    async def open(self) -> None:
        """Open the pool of connections, which belongs to the running event loop."""
        pool = Pool(self._settings, Line)
        self._session = Session(self._settings, pool.connector)
        direct = self._settings.upstream_client == "direct"
        self._direct = Direct(self._settings, pool) if direct else None

    async def close(self) -> None:
        """Close all connections; what is still under way ends with an error."""
        if self._direct is not None:
            self._direct.close()
        await self._session.close()

    async def send(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        size: int | None,
        *,
        deed: str,
        whole_bytes_max: int = ANSWER_WHOLE_BYTES_MAX,
    ) -> Answer:
        """Send one request, once, and give the answer, whatever its status.

        `target` is path and query, sent as spelled. `body` is bytes; or, large and in memory, the
        lists of buffers to send one after the other, each at most half a mebibyte; or pieces that
        are still coming. `size` is its exact length; None with a body means unknown, and it is
        sent chunked. An answer of up to `whole_bytes_max` is complete when this returns; of a
        larger one the head is.

        Raises: GatewayError `upstream_error`, its message beginning "Turbopuffer {deed} failed";
        `bad_request` for what cannot be sent; and whatever reading `body` raises.
        """
        begun_s = monotonic_s()
        self.inflight += 1
        direct = self._direct
        try:
            # Pieces that are still coming can fail, stall, and be answered before they are
            # complete. That is seldom, and a ClientSession does it well.
            if direct is not None and direct.knows(method) and not hasattr(body, "__aiter__"):
                sent = direct.send(
                    method, target, headers, body, size, deed, whole_bytes_max, begun_s
                )
            else:
                sent = self._session.send(
                    method, target, headers, body, size, deed, whole_bytes_max
                )
            answer = await sent
        except BaseException as error:
            self.inflight -= 1
            if isinstance(error, FAULTS):
                raise upstream_error(deed, error) from error
            if isinstance(error, UnfitPoolError):
                _log.warning("aiohttp's pool has changed; exchanges go through a ClientSession")
                self._direct = None
                return await self.send(
                    method, target, headers, body, size, deed=deed, whole_bytes_max=whole_bytes_max
                )
            raise
        answer.upstream_s = monotonic_s() - begun_s
        if isinstance(answer.body, bytes):
            self.inflight -= 1
        else:
            answer.body.when_ended(self._ended)
        return answer

    def _ended(self) -> None:
        self.inflight -= 1
