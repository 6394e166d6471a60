"""Which writes may wait for each other, and how several are sent as one."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from hevfast.batch.group import Member, body_of, is_joinable, member_of, shares_of
from hevfast.batch.plan import Plan
from hevfast.batch.stamp import Stamped
from hevfast.core.errors import GatewayError
from hevfast.core.headers import Headers
from hevfast.core.paths import ASYNC_SUFFIX, WRITE_PREFIX
from hevfast.edge.head import IDENTITY, Head
from hevfast.upstream.group import Groups, Joined

if TYPE_CHECKING:
    from hevfast.settings import Settings
    from hevfast.upstream.exchange import Answer

# Headers that differ from request to request and change nothing about a write. One that is sent for
# several has none of them. All others must be the same in all of them, byte for byte.
_OF_ONE: Final = frozenset(
    {
        b"accept-encoding",
        b"traceparent",
        b"tracestate",
        b"x-request-id",
        b"x-stainless-retry-count",
        b"x-turbopuffer-client-telemetry",
    }
)
# What every official client asks for and upstream grants to long calls only. An answer that is to
# be fetched later could not be divided.
_PREFER_ASYNC: Final = (b"prefer", b"respond-async")

_ASYNC: Final = ASYNC_SUFFIX.decode()

# Sends target, headers, body and its size as a write.
Post = Callable[[str, Headers, bytes, int], Awaitable["Answer"]]


class Kind(NamedTuple):
    """What writes have in common that go together; the caller's key is among the headers."""

    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    frame: tuple[bytes, bytes]


class Grouping:
    """Sends small writes of one namespace together."""

    __slots__ = ("_post", "groups")

    def __init__(self, settings: "Settings", post: Post) -> None:
        self._post = post
        self.groups: Groups[Member] = Groups(settings, self._together, _shares)

    async def close(self) -> None:
        await self.groups.close()

    def takes(
        self, namespace: bytes, target: str, head: Head, plan: Plan, stamped: Stamped
    ) -> bool:
        """Tell whether a write has its place among those that may go together."""
        return (
            not head.encoding
            and not target.startswith(_ASYNC, len(WRITE_PREFIX) + len(namespace))
            and is_joinable(plan, stamped)
        )

    async def send(
        self,
        namespace: bytes,
        target: str,
        headers: Headers,
        plan: Plan,
        stamped: Stamped,
        alone: Callable[[], Awaitable["Answer"]],
    ) -> "Answer":
        """Send a write that `takes` took; `alone` sends it by itself, before `stamped` is taken.

        `headers` hold the caller's key.

        Raises: UnsentError if it had to wait too long or with too many.
        """

        def join() -> "Joined[Member] | None":
            member = member_of(plan, stamped)
            if member is None:
                return None
            heeded = tuple(
                [pair for pair in headers if pair[0] not in _OF_ONE and pair != _PREFER_ASYNC]
            )
            body = member.body
            return (
                Kind(target, heeded, member.frame),
                member,
                lambda: self._post(target, headers, body, len(body)),
            )

        return await self.groups.send(namespace, alone, join)

    async def _together(self, kind: Kind, members: list[Member]) -> "Answer":
        body = body_of(members)
        answer = await self._post(kind.target, [*kind.headers, IDENTITY], body, len(body))
        if not isinstance(answer.body, bytes):
            await answer.body.aclose()
            raise GatewayError("upstream_error", "Turbopuffer write failed: too long an answer.")
        return answer


def _shares(answer: "Answer", members: list[Member]) -> "list[Answer]":
    assert isinstance(answer.body, bytes), "it is complete"
    return [answer.with_body(body) for body in shares_of(answer.body, members)]
