"""What a run needs to be there before it starts: a target that answers, rows, pipelines."""

import http.client
import ipaddress
import json
import socket
from collections.abc import Callable

from . import bodies
from .exchange import Target
from .fleet import RunError
from .options import Workload
from .scenarios import document_id, pipelines

WAIT_S = 60.0
# Rows, and bytes, of one write of those that must be there.
ROWS_AT_ONCE = 1_000
BYTES_AT_ONCE = 4_194_304
SHOWN_CHARACTERS = 300

# Which scenarios read rows, and which work on a pipeline.
_READERS = {"fetch", "batch-fetch", "query"}
_STAGERS = {"stage", "claim"}

Send = Callable[[str, str, bytes], tuple[int, bytes]]


def is_loopback(target: Target) -> bool:
    """Tell whether every address of the target is this machine's own. Raises: RunError."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RunError(f"cannot find {target.host}: {error}") from error
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)


def health(target: Target) -> dict[str, str | int | float] | None:
    """Give what the target says of itself, None if it has no `/health`. Raises: RunError."""
    status, body = _ask(target, "GET", "/health", b"")
    if status != 200:
        return None
    try:
        said = json.loads(body)
    except ValueError:
        return None
    # Only plain words: what the caches and namespaces of a target are is nobody else's matter.
    if not isinstance(said, dict):
        return None
    return {name: word for name, word in said.items() if isinstance(word, str | int | float)}


def prepare(target: Target, load: Workload, show: Callable[[str], object]) -> None:
    """Write the rows and create the pipelines the scenario works on. Raises: RunError."""
    names = set(load.mix) if load.scenario == "mixed" else {load.scenario}
    if names & _READERS:
        show(f"writing {load.keys} rows to namespace {load.namespace}")
        _write_rows(target, load)
    for name in sorted(names & _STAGERS):
        identity = pipelines(load)[name]
        show(f"creating pipeline {identity}")
        asked = {"id": identity, "target_namespace": load.namespace}
        # 409: an earlier run has made it.
        _demand(target, "/v2/pipelines", bodies.compact(asked), also=409)


def _write_rows(target: Target, load: Workload) -> None:
    make = bodies.Rows(load.dim, load.text_bytes, load.vectors, load.seed)
    row_bytes = len(make.upsert(["doc"]))
    at_once = max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // row_bytes))
    for start in range(0, load.keys, at_once):
        ids = map(document_id, range(start, min(start + at_once, load.keys)))
        _demand(target, f"/v2/namespaces/{load.namespace}", make.upsert(ids))


def _demand(target: Target, path: str, body: bytes, also: int = 0) -> None:
    status, answer = _ask(target, "POST", path, body)
    if not 200 <= status < 300 and status != also:
        said = answer[:SHOWN_CHARACTERS].decode(errors="replace")
        raise RunError(f"the target is not fit for this scenario: POST {path}: {status} {said}")


def _ask(target: Target, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    kind = http.client.HTTPSConnection if target.tls else http.client.HTTPConnection
    connection = kind(target.host, target.port, timeout=WAIT_S)
    headers = {**target.headers, "content-type": "application/json"}
    try:
        connection.request(method, target.base + path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise RunError(f"cannot ask {target.host}:{target.port}: {error}") from error
    finally:
        connection.close()
