"""A Turbopuffer whose index lags behind: what is written is found by queries only by and by.

It indexes when it is told to, or at moments of its own. Eventual queries find all that is indexed,
and of the rest whatever a coin says, row by row.
"""

import json
import random
import threading
from typing import Any

from tests.fakes.upstream import Request, Step, Upstream, Wire, answer

STAMP = "_hevlayer_upserted_at"


class Lagging:
    """Its rows, and what it answers. Set `usual` of a scripted upstream to `answers`."""

    def __init__(self, upstream: Upstream, seed: int = 1) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.indexed: set[int] = set()
        # Above this many that are not indexed, a query without a cut is refused.
        self.unindexed_max = 1 << 60
        self.status = ""
        self.queries: list[dict[str, Any]] = []
        self.polls = 0
        self._chance = random.Random(seed)
        self._alone = threading.Lock()
        upstream.usual = self.answers

    def index(self) -> None:
        with self._alone:
            self.indexed = set(self.rows)

    def index_some(self) -> None:
        """Index some of the rows, in no order."""
        with self._alone:
            self.indexed |= {number for number in self.rows if self._chance.random() < 0.5}

    def answers(self, request: Request) -> Step:
        async def act(wire: Wire) -> None:
            with self._alone:
                status, body = self._answer(request)
            await answer(status, json.dumps(body).encode()).act(wire)

        return Step(act)

    def _answer(self, request: Request) -> tuple[int, Any]:
        path = request.target.split(b"?")[0]
        if path.endswith(b"/metadata"):
            self.polls += 1
            return 200, {"index": self._index()}
        body = json.loads(request.body)
        if path.endswith(b"/query"):
            return self._query(body)
        for row in body.get("upsert_rows", ()):
            self.rows[row["id"]] = row
            self.indexed.discard(row["id"])
        return 200, {"status": "OK", "message": "", "rows_affected": 1, "billing": {}}

    def _index(self) -> dict[str, Any]:
        if self.status:
            return {"status": self.status}
        left = len(self.rows) - len(self.indexed)
        return {"status": "updating", "unindexed_bytes": left} if left else {"status": "up-to-date"}

    def _query(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.queries.append(body)
        filters = body.get("filters")
        if len(self.rows) - len(self.indexed) > self.unindexed_max and filters is None:
            return 429, {"status": "error", "error": "too much is not indexed"}
        found = [
            {"$dist": float(number), **row}
            for number, row in self.rows.items()
            if _passes(filters, row) and (number in self.indexed or self._chance.random() < 0.5)
        ]
        return 200, {"rows": found[: body["top_k"]], "billing": {}, "performance": {}}


def _passes(filters: Any, row: dict[str, Any]) -> bool:
    if filters is None:
        return True
    if filters[0] == "And":
        return all(_passes(each, row) for each in filters[1])
    name, operator, value = filters
    if operator == "Lte":
        return bool(row[name] <= value)
    if operator == "Gt":
        return bool(row[name] > value)
    assert operator == "Eq", operator
    return bool(row[name] == value)
