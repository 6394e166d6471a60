"""Calling a gateway in front of a simulator."""

import itertools
import json
import time
from typing import Any

from tests.fakes.client import AUTH, Pairs, Reply
from tests.fakes.gateway import RunningGateway

# Seconds. Longest wait for a job.
WAIT_S = 15.0
LOOK_S = 0.01

MARKER_ID = "_hevlayer:namespace_meta"

_numbers = itertools.count()


class Caller:
    """Calls upon one namespace of its own."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.namespace = f"names-{next(_numbers)}"
        self.path = f"/v2/namespaces/{self.namespace}"

    def at(
        self, method: str, path: str, body: object = None, headers: Pairs | Any = (AUTH,)
    ) -> Reply:
        plain = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self.gateway.ask(method, path, plain, headers)

    def ask(self, method: str, below: str, body: object = None, **more: Any) -> Reply:
        return self.at(method, self.path + below, body, **more)

    def write(self, *rows: dict[str, Any], **more: Any) -> Reply:
        reply = self.ask("POST", "", {"upsert_rows": list(rows), **more})
        assert reply.status == 200, reply
        return reply

    def rows(self) -> dict[Any, dict[str, Any]]:
        """Give all rows that upstream has, the marker included."""
        body = {"rank_by": ["id", "asc"], "top_k": 10_000, "include_attributes": True}
        return {row["id"]: row for row in self.ask("POST", "/query", body).json["rows"]}

    def job(self, below: str, body: object = None) -> Any:
        """Start a job and wait until it has ended."""
        reply = self.ask("POST", below, body)
        assert reply.status == 202, reply
        path = "/scans" if below == "/scans" else "/warm-jobs"
        return self.ended(f"{path}/{reply.json['id']}")

    def ended(self, below: str) -> Any:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            job = self.ask("GET", below).json
            if job["status"] != "running":
                return job
            time.sleep(LOOK_S)
        raise AssertionError("the job did not end")


def refused(reply: Reply, status: int, code: str) -> None:
    """Assert an error of the gateway's own."""
    assert (reply.status, reply.json["error"]) == (status, code), reply
    assert reply.json["message"]
