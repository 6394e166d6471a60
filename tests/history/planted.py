"""Gateways that break one rule of the cache each: the checker must notice every one.

`granian --factory tests.history.planted:build` serves the one that HEVFAST_TEST_PLANT names.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from hevfast import app
from hevfast.cache import transactional as rules
from hevfast.cache.lmdb_step import Step
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.rows import Kind, Outcome
from hevfast.cache.transactional import NOTHING, Document, Held, Row, Transaction
from hevfast.routes import settling
from tests.history.planted_cluster import CLUSTER_PLANTS


def spoiled_rows_are_put() -> None:
    spoiled = Step.spoiled

    def planted(self: Step, token: bytes) -> Held:
        spoiled(self, token)
        return NOTHING

    Step.spoiled = planted  # type: ignore[method-assign]


def elder_writes_are_not_told() -> None:
    """The younger of two writes knows of the elder, and the elder knows nothing."""

    def planted(step: Transaction, token: bytes, held: Held) -> None:
        mine = NOTHING
        for _, shared in list(step.sharing(held)):
            mine = rules.union(mine, shared)
        step.insert(token, held, mine)

    rules.begin = planted


def any_lease_fills() -> None:
    def planted(step: Transaction, digest: int, mark: bytes, value: bytes) -> bool:
        document = step.get(digest)
        if document is not None:
            step.put(digest, Document(document.id, document.fence, value))
        return document is not None

    rules.fill = planted


def doubt_is_refusal() -> None:
    end = LmdbStore.end

    async def planted(self: LmdbStore, ticket: Any, outcome: Outcome, parts: Any) -> bool:
        known = Outcome.REJECTED if outcome is Outcome.UNKNOWN else outcome
        return await end(self, ticket, known, parts)

    LmdbStore.end = planted  # type: ignore[method-assign]


def doubt_ends_at_once() -> None:
    async def planted(self: LmdbStore, ticket: Any) -> None:
        await self._invalidate(ticket)

    LmdbStore._end_in_doubt = planted  # type: ignore[method-assign]


def whole_namespaces_are_not_voided() -> None:
    invalidate = rules.invalidate

    def planted(step: Transaction, token: bytes | None, held: Held) -> None:
        if held is not None:
            invalidate(step, token, held)
        elif token is not None:
            step.drop(token)

    rules.invalidate = planted


def refused_writes_are_put() -> None:
    vars(settling)["outcome_of"] = lambda status: Outcome.APPLIED


def unmet_conditions_are_put() -> None:
    vars(settling)["is_conditional"] = lambda plan: False


def patches_are_put_on_nothing() -> None:
    document = rules._document

    def planted(step: Transaction, row: Row, fence: int, merge: Any = None) -> Document | None:
        made = document(step, row, fence, merge)
        if made is None and row.kind is Kind.PATCH and row.value is not None:
            return Document(row.id, fence, row.value)
        return made

    rules._document = planted


def answers_come_before_the_mirror() -> None:
    end = LmdbStore.end

    async def planted(self: LmdbStore, ticket: Any, outcome: Outcome, parts: Any) -> bool:
        self._run(end(self, ticket, outcome, parts))
        return True

    LmdbStore.end = planted  # type: ignore[method-assign]


def deleted_rows_stay() -> None:
    mirror = rules.mirror

    def planted(
        step: Transaction,
        token: bytes,
        rows: Iterable[Row] | None,
        fence: int,
        merge: Any = None,
    ) -> bool:
        kept = None if rows is None else [row for row in rows if row.kind is not Kind.DELETE]
        return mirror(step, token, kept, fence, merge)

    rules.mirror = planted


def dead_writes_are_only_forgotten() -> None:
    """Needs kills: the sweep removes the token of a write, and not what it touched."""

    def planted(step: Transaction, token: bytes) -> bool:
        step.drop(token)
        return True

    rules.sweep = planted


def writes_the_store_missed_void_nothing() -> None:
    """Needs holds: writes that could not be announced or ended are sent and answered all the same.

    Both at once: as a rule one makes up for the other, since the store fails for both.
    """
    rules.unannounced = lambda page, now_ms: page
    rules.voided = lambda page: page


PLANTS: Final[dict[str, Callable[[], None]]] = {
    plant.__name__: plant
    for plant in (
        spoiled_rows_are_put,
        elder_writes_are_not_told,
        any_lease_fills,
        doubt_is_refusal,
        doubt_ends_at_once,
        whole_namespaces_are_not_voided,
        refused_writes_are_put,
        unmet_conditions_are_put,
        patches_are_put_on_nothing,
        answers_come_before_the_mirror,
        deleted_rows_stay,
        dead_writes_are_only_forgotten,
        writes_the_store_missed_void_nothing,
    )
}


def build() -> Any:
    (PLANTS | CLUSTER_PLANTS)[os.environ["HEVFAST_TEST_PLANT"]]()
    return app.build()
