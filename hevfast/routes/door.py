"""Who may use pipelines where callers bring their own keys: those that upstream lets in.

What is staged is served without upstream, so its word on a key has to be asked for: once for a key
and a namespace, and then believed for a while.
"""

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from hevfast.core.clock import monotonic_s
from hevfast.core.errors import GatewayError
from hevfast.upstream.exchange import Answer

if TYPE_CHECKING:
    from hevfast.core.headers import Headers
    from hevfast.gateway import Gateway

# Seconds. A key that was let in is believed for as long while upstream gives no word on keys.
_BELIEVED_WITHOUT_WORD_S: Final = 3600.0

# Seconds that a pipeline's namespace is remembered. It never changes, but the pipeline may be
# deleted and its id used again.
_REMEMBERED_S: Final = 10.0
_REMEMBERED_MAX: Final = 10_000

# Statuses by which upstream says that it does not take a key, and that it does but has nothing.
_REFUSED: Final = (401, 403)
_ABSENT: Final = 404


class Word(NamedTuple):
    """What upstream said of a key: nothing, if it let it in."""

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def answer(self) -> Answer:
        return Answer(self.status, list(self.headers), self.body)


_LET_IN: Final = Word()


class Door:
    """Asks upstream; callers with the same question wait for one answer."""

    __slots__ = ("_asking", "_gateway", "_namespaces")

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._asking: dict[tuple[bytes, bytes], asyncio.Task[Word]] = {}
        self._namespaces: dict[str, tuple[bytes, float]] = {}

    def __repr__(self) -> str:
        return f"<Door {len(self._asking)} asked for>"

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    @property
    def stands_open(self) -> bool:
        """Tell whether the key's comparison with the configured one was enough."""
        return self._gateway.api_key is not None

    async def namespace_of(self, pipeline: str) -> bytes:
        """Give the namespace whose keys a pipeline takes.

        Raises: what the store does.
        """
        now = monotonic_s()
        namespace, until = self._namespaces.get(pipeline, (b"", 0.0))
        if until > now:
            return namespace
        found = await self._gateway.pipelines.pipeline(pipeline)
        namespace = found.target_namespace.encode()
        self._namespaces.pop(pipeline, None)
        self._namespaces[pipeline] = namespace, now + _REMEMBERED_S
        if len(self._namespaces) > _REMEMBERED_MAX:
            del self._namespaces[next(iter(self._namespaces))]
        return namespace

    def forget(self, pipeline: str) -> None:
        self._namespaces.pop(pipeline, None)

    async def refusal(self, authorization: bytes, namespace: bytes) -> Answer | None:
        """Give upstream's answer to a key that it does not take for a namespace, else None.

        No namespace: the key is taken if upstream lists namespaces for it.
        Raises: GatewayError `upstream_error` if upstream gives no word.
        """
        if self.stands_open or self._gateway.verdicts.holds(authorization, namespace):
            return None
        question = authorization, namespace
        task = self._asking.get(question)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(authorization, namespace))
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        # A caller who leaves must not take the answer from the others.
        word = await asyncio.shield(task)
        return word.answer() if word is not _LET_IN else None

    async def _ask(self, authorization: bytes, namespace: bytes) -> Word:
        target = "/v1/namespaces?page_size=1"
        if namespace:
            target = f"/v1/namespaces/{namespace.decode()}/metadata"
        headers: Headers = [(b"authorization", authorization), (b"accept-encoding", b"identity")]
        verdicts = self._gateway.verdicts
        try:
            answer = await self._gateway.exchange.send(
                "GET", target, headers, None, None, deed="key check"
            )
        except GatewayError:
            if verdicts.held(authorization, namespace, _BELIEVED_WITHOUT_WORD_S):
                return _LET_IN
            raise
        if not isinstance(answer.body, bytes):
            await answer.body.aclose()
        if 200 <= answer.status < 300 or answer.status == _ABSENT:
            verdicts.passed(authorization, namespace)
            return _LET_IN
        if answer.status in _REFUSED and isinstance(answer.body, bytes):
            return Word(answer.status, tuple(answer.headers), answer.body)
        if verdicts.held(authorization, namespace, _BELIEVED_WITHOUT_WORD_S):
            return _LET_IN
        raise GatewayError(
            "upstream_error",
            f"Turbopuffer was asked whether it takes this key and answered {answer.status}.",
        )
