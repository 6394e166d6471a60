"""A pipeline store whose answers are scripted, and a gateway around it in this process."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from hevfast.core.clock import Clock
from hevfast.edge.dispatch import Dispatch
from hevfast.edge.silence import Silence
from hevfast.observe.stages import Stages
from hevfast.observe.tally import Tally
from hevfast.observe.writes import Writes
from hevfast.pipelines.model import Pipeline
from hevfast.routes.pipelines import Pipelines
from hevfast.upstream.exchange import Answer

KEY = b"key-1"
PIPELINE = Pipeline("p", "ns", "cosine_distance", "2026-01-01T00:00:00.000Z")


class ScriptedPipelines:
    """Answers each method with the next of its script: a value, or an exception to raise.

    The last of a script is answered for good.
    """

    def __init__(self, **scripts: Any) -> None:
        given = {"pipeline": [PIPELINE], **scripts}
        self._scripts = {name: deque(script) for name, script in given.items()}
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def method(*arguments: Any, **more: Any) -> Any:
            self.asked.append((name, arguments))
            script = self._scripts[name]
            said = script.popleft() if len(script) > 1 else script[0]
            if isinstance(said, Exception):
                raise said
            return said

        return method


class ScriptedWrite:
    """Stands for the write route: records bodies, and gives one answer."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    async def apply(self, *arguments: Any, **_: Any) -> Answer:
        self.bodies.append(json.loads(arguments[-1]))
        return Answer(200, [(b"content-type", b"application/json")], b'{"status":"OK"}')


class Asked:
    """One answer, as the messages that made it."""

    def __init__(self, messages: list[Any]) -> None:
        start = messages[0]
        self.status: int = start["status"]
        self.headers = dict(start["headers"])
        self.body = b"".join(message.get("body", b"") for message in messages[1:])
        # The server closes the connection of an answer that has no end.
        self.complete = not messages[-1].get("more_body", False)
        self.pieces = len(messages) - 1

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Inside:
    """The routes over a scripted store, called without a server."""

    def __init__(self, store: ScriptedPipelines, body_bytes_max: int = 1 << 30) -> None:
        self.store = store
        self.write = ScriptedWrite()
        tally = Tally()
        gateway: Any = SimpleNamespace(
            api_key=KEY,
            clock=Clock(),
            silence=Silence(5.0),
            pipelines=store,
            stages=Stages(tally),
            writes=Writes(tally),
            settings=SimpleNamespace(body_bytes_max=body_bytes_max),
        )
        served = Pipelines(gateway, store, self.write)  # type: ignore[arg-type]
        self._app = Dispatch(served, served, served, served, served)  # type: ignore[arg-type]

    async def ask(self, method: str, below: str, body: Any = None) -> Asked:
        path, _, query = f"/v2/pipelines{below}".partition("?")
        plain = b"" if body is None else json.dumps(body).encode()
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Bearer " + KEY)],
        }
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": plain}

        async def send(message: Any) -> None:
            messages.append(message)
            await asyncio.sleep(0)

        await self._app(scope, receive, send)
        return Asked(messages)
