"""Handlers that change documents: writes, deletes, and copies that take their time."""

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response

from .answers import HEART, Refusal
from .catalogue import check_namespace_name
from .limits import OPERATIONS_MAX
from .metadata import timestamp_now
from .service import Service
from .transport import json_response, off_loop, read_body
from .write import Write, decode_copy, decode_write

PREFERENCE = "respond-async"


class Writing:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._operations: dict[str, dict[str, object]] = {}
        self._operation_count = 0
        # Copies under way, kept so that they are not collected.
        self._copies: set[asyncio.Task[None]] = set()

    async def write(self, request: Request) -> Response:
        started_s = time.monotonic()
        name = check_namespace_name(request.path_params["name"])
        body = await read_body(request)
        catalogue = self._service.catalogue
        dense, other = catalogue.vector_names(name)
        write = await off_loop(len(body), decode_write, body, dense, other)
        if write.copy_from is not None and self._is_asynchronous(request):
            return await self._accept(request, name, write)
        await self._commit(name, write, started_s, len(body))
        return await json_response(request, catalogue.write(name, write, started_s))

    async def _commit(self, name: str, write: Write, started_s: float, size_bytes: int) -> None:
        """Wait until the write is due; it becomes visible only then, right before its answer."""
        conditions = self._service.conditions
        if conditions.limited:
            conditions.write_rate.spend(name, started_s, write.row_count, size_bytes)
        due_s = conditions.commits.due_s(
            name, started_s, conditions.commit_ms, grouped=conditions.group_commits
        )
        left_s = due_s - time.monotonic()
        if left_s > 0:
            await asyncio.sleep(left_s)

    async def delete(self, request: Request) -> Response:
        self._service.catalogue.delete(request.path_params["name"])
        return await json_response(request, {"status": "OK"})

    # Copies. One that takes no time is done at once; its operation is then finished from the start.

    def _is_asynchronous(self, request: Request) -> bool:
        """The service may ignore the wish for a 202; here it does so while copies take no time."""
        asked = request.headers.get("prefer", "")
        return PREFERENCE in asked and self._service.conditions.copy_ms > 0

    async def start_copy(self, request: Request) -> Response:
        name = check_namespace_name(request.path_params["name"])
        token = self._start(name, decode_copy(await read_body(request)))
        return await json_response(request, {"token": token})

    async def _accept(self, request: Request, name: str, write: Write) -> Response:
        token = self._start(name, write)
        response = await json_response(request, {"token": token}, 202)
        response.headers["preference-applied"] = PREFERENCE
        response.headers["location"] = f"/v1/namespaces/{name}/operations/{token}"
        return response

    def _start(self, name: str, write: Write) -> str:
        self._operation_count += 1
        token = f"op_{self._operation_count}"
        operation: dict[str, object] = {"status": "running", "start_time": timestamp_now()}
        self._operations[f"{name}/{token}"] = operation
        if len(self._operations) > OPERATIONS_MAX:
            del self._operations[next(iter(self._operations))]
        if self._service.conditions.copy_ms > 0:
            task = asyncio.create_task(self._copy_later(name, write, operation))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)
        else:
            self._copy(name, write, operation)
        return token

    async def _copy_later(self, name: str, write: Write, operation: dict[str, object]) -> None:
        await asyncio.sleep(self._service.conditions.copy_ms / 1000)
        self._copy(name, write, operation)

    def _copy(self, name: str, write: Write, operation: dict[str, object]) -> None:
        started_s = time.monotonic()
        outcome: dict[str, object]
        try:
            outcome = {"success": self._service.catalogue.write(name, write, started_s)}
        except Refusal as fault:
            detail: object = {"status": "error", "error": HEART + fault.text}
            outcome = {"error": {"status_code": fault.status, "detail": detail}}
        operation |= {"status": "finished", "finish_time": timestamp_now(), "result": outcome}

    async def operation(self, request: Request) -> Response:
        found = self._operations.get("{name}/{token}".format(**request.path_params))
        if found is None:
            raise Refusal(404, f"operation '{request.path_params['token']}' was not found")
        return await json_response(request, found)
