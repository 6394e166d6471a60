"""The least an application can do with a fetch: give the bytes of an answer it got at its start."""

import json
import os
from pathlib import Path
from typing import Any

_ANSWER = json.loads(Path(os.environ["BENCH_ANSWER"]).read_bytes())
_HEADERS = [(name.encode(), value.encode()) for name, value in _ANSWER["headers"]]
_BODY = _ANSWER["body"].encode()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})
