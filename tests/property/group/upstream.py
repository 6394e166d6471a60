"""A Turbopuffer whose every exchange waits until the test says how it ends."""

import asyncio
import dataclasses
import json
from typing import Any

from hevfast.core.errors import GatewayError
from hevfast.upstream.answer import Answer

JSON = (b"content-type", b"application/json")

# How an exchange may end. `judged`: as a good server would answer. `lost`: without an answer.
ENDS = ("judged", "judged", "429", "503", "500", "500 applied", "lost", "lost applied")


@dataclasses.dataclass(eq=False)
class Asked:
    """One request that upstream has."""

    namespace: str
    key: bytes
    headers: dict[bytes, bytes]
    body: dict[str, Any]
    answered: "asyncio.Future[Answer]"

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.body["upsert_rows"]
        return rows

    @property
    def writes(self) -> list[int]:
        """The writes its rows are of, each once, in their order."""
        return list(dict.fromkeys(row["write"] for row in self.rows))


def refusal(bad: list[str]) -> bytes:
    return json.dumps({"status": "error", "error": f"bad rows: {', '.join(bad)}"}).encode()


def bad_of(rows: list[dict[str, Any]]) -> list[str]:
    ids = [row["id"] for row in rows]
    return [row["id"] for row in rows if row.get("bad") or ids.count(row["id"]) > 1]


class Upstream:
    """Takes the place of an `Exchange`. `watch` sees each request as it comes."""

    def __init__(self, watch: Any, applies: Any) -> None:
        self._watch = watch
        self._applies = applies
        self.asked: list[Asked] = []
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}

    async def send(
        self,
        method: str,
        target: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        size: int,
        *,
        deed: str,
        whole_bytes_max: int,
    ) -> Answer:
        assert (method, deed, size) == ("POST", "write", len(body))
        assert len({name for name, _ in headers}) == len(headers)
        asked = Asked(
            target.rpartition("/")[2],
            dict(headers)[b"authorization"],
            dict(headers),
            json.loads(body),
            asyncio.get_running_loop().create_future(),
        )
        self._watch(asked)
        self.asked.append(asked)
        try:
            return await asked.answered
        finally:
            if asked in self.asked:
                self.asked.remove(asked)

    def end(self, asked: Asked, how: str) -> None:
        """End an exchange; an error of upstream's is said of nothing that was applied unknown."""
        self.asked.remove(asked)
        if asked.answered.done():
            return
        bad = bad_of(asked.rows)
        if how.startswith("lost"):
            if how == "lost applied" and not bad:
                self._apply(asked)
            asked.answered.set_exception(GatewayError("upstream_error", "Turbopuffer: lost."))
        elif how == "judged" and asked.key == b"Bearer stranger":
            asked.answered.set_result(answer(403, b'{"status":"error","error":"no"}'))
        elif how == "judged" and bad:
            asked.answered.set_result(answer(400, refusal(bad)))
        elif how == "judged":
            self._apply(asked)
            told = {
                "rows_affected": len(asked.rows),
                "rows_upserted": len(asked.rows),
                "billing": {"billable_logical_bytes_written": 100 * len(asked.rows)},
                "group": asked.writes,
            }
            asked.answered.set_result(answer(200, json.dumps(told).encode()))
        else:
            if how == "500 applied" and not bad:
                self._apply(asked)
            asked.answered.set_result(answer(int(how[:3]), b'{"status":"error","error":"load"}'))

    def _apply(self, asked: Asked) -> None:
        self._applies(asked)
        for row in asked.rows:
            self.rows[asked.namespace, row["id"]] = row


def answer(status: int, body: bytes) -> Answer:
    return Answer(status, [JSON, (b"content-length", b"%d" % len(body))], body)
