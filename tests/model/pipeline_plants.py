"""Faults planted in the pipelines' rules and in what finds documents: each must be found."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from hevfast.pipelines import lease as rules
from hevfast.pipelines.lmdb_book import Book
from hevfast.pipelines.lmdb_keys import number_key
from hevfast.pipelines.lmdb_pages import Pages
from hevfast.pipelines.lmdb_step import Step
from hevfast.pipelines.model import Document
from tests.model.pipeline_account import Case
from tests.model.pipeline_cases import EXTRACTION, FROM_FAILED

Patches = list[AbstractContextManager[Any]]


class PipelinePlant(NamedTuple):
    where: Case
    patches: Callable[[], Patches]


PIPELINE_PLANTS: list[PipelinePlant] = []

replace = patch.object


def plant(name: str, documents: int = 1, workers: int = 2, **fields: Any) -> Any:
    case = Case(name, documents, workers, **fields)

    def register(patches: Callable[[], Any]) -> None:
        def listed() -> Patches:
            made = patches()
            return made if isinstance(made, list) else [made]

        PIPELINE_PLANTS.append(PipelinePlant(case, listed))

    return register


def changed(rule: str, change: Callable[..., Document]) -> Any:
    """Replace a rule by one whose answer is changed; where it says no, it still does."""
    real = getattr(rules, rule)

    def changing(document: Document | None, **words: Any) -> Any:
        after = real(document, **words)
        return after and change(document, after, **words)

    return replace(rules, rule, changing)


# ---- lapses


@plant("a lease lapses a moment late", faults={"tick": 1})
def _() -> Any:
    real = rules.settled
    return replace(rules, "settled", lambda document, now_ms: real(document, now_ms - 1))


@plant(
    "a lapsed document goes to pending", claims=EXTRACTION, deeds=("advance",), faults={"tick": 1}
)
def _() -> Any:
    real = rules.settled

    def settled(document: Document, now_ms: int) -> Document:
        after = real(document, now_ms)
        return after if after is document else after._replace(stage="pending")

    return replace(rules, "settled", settled)


@plant("a claim does not look for lapsed leases", faults={"tick": 1})
def _() -> Any:
    return replace(Step, "undo_lapsed", lambda self, count: 0)


@plant("a lapsed lease is undone too early", deeds=("sweep",))
def _() -> Any:
    real = rules.settled
    between = Pages.between

    def early(self: Pages, database: Any, start: bytes, end: Any, count: int) -> Any:
        return between(self, database, start, end if database != "leases" else None, count)

    return [
        replace(rules, "settled", lambda document, now_ms: real(document, now_ms + 10)),
        replace(Pages, "between", early),
    ]


# ---- staging


@plant("staging keeps the lease", faults={"restage": 1})
def _() -> Any:
    return changed("staged", lambda d, after, **_: after._replace(lease=d and d.lease))


@plant("staging keeps the generation", faults={"restage": 1})
def _() -> Any:
    return changed("staged", lambda _, after, **__: after._replace(generation=1))


@plant("staging keeps the place in the line", 2, 1, deeds=("complete",), faults={"restage": 1})
def _() -> Any:
    def placed(document: Document | None, after: Document, **_: Any) -> Document:
        return after._replace(position=document.position) if document else after

    return changed("staged", placed)


@plant("older chunks are left behind", faults={"restage": 1})
def _() -> Any:
    real = Pages.delete
    return replace(
        Pages, "delete", lambda s, base, key: None if base == "chunks" else real(s, base, key)
    )


@plant("all stagings share a position", 2)
def _() -> Any:
    return replace(Book, "next_position", lambda self: 1)


# ---- claims


@plant("a claim takes what is leased")
def _() -> Any:
    oldest = Step._oldest

    def all_of_them(self: Step, stage: str, limit: int) -> list[bytes]:
        leased = self._pages.prefixed(self._pages.leases, number_key(1), limit)
        return [*oldest(self, stage, limit), *[key[-8:] for key, _ in leased]][:limit]

    real = rules.claimed

    def claimed(document: Document, *, stage: str, **words: Any) -> Any:
        return real(document._replace(stage=stage, lease=None), stage=stage, **words)

    return [replace(Step, "_oldest", all_of_them), replace(rules, "claimed", claimed)]


@plant("a claim keeps the generation", deeds=("vectors",), faults={"tick": 1})
def _() -> Any:
    return changed("claimed", lambda d, after, **_: after._replace(generation=d.generation))


@plant("what is claimed stays in the line")
def _() -> Any:
    real = Pages.delete
    return replace(
        Pages, "delete", lambda s, base, key: None if base == "line" else real(s, base, key)
    )


@plant("the youngest is claimed first", 2, limits=(1,))
def _() -> Any:
    oldest = Step._oldest
    return replace(Step, "_oldest", lambda self, stage, limit: oldest(self, stage, 9)[::-1][:limit])


@plant("by prefix in the order of names", 2, limits=(1,), prefixes=("d",), faults={"restage": 1})
def _() -> Any:
    real = Step._named

    def named(self: Step, stage: str, prefix: str) -> list[bytes]:
        real(self, stage, prefix)
        start = number_key(1) + bytes((len(stage),)) + stage.encode()
        found = self._pages.prefixed(self._pages.names, start + prefix.encode(), 9)
        return [place for _, place in found]

    return replace(Step, "_named", named)


@plant("names of what was there before are not written", 2, prefixes=("d",))
def _() -> Any:
    return replace(
        Step, "name_more", lambda self, count: self._pages.delete("unnamed", number_key(1))
    )


# ---- heartbeats


@plant("anybody extends a lease", deeds=("heartbeat",), faults={"tick": 2})
def _() -> Any:
    real = rules.extended

    def extended(document: Document, *, worker: str, **words: Any) -> Any:
        holder = document.lease.worker if document.lease else worker
        return real(document, worker=holder, **words)

    return replace(rules, "extended", extended)


@plant("a late heartbeat revives a lease", deeds=("heartbeat",), faults={"tick": 1})
def _() -> Any:
    real = rules.extended
    return replace(rules, "extended", lambda d, *, now_ms, **words: real(d, now_ms=0, **words))


@plant("a heartbeat adds to the old end", deeds=("heartbeat",), faults={"tick": 1})
def _() -> Any:
    def longer(document: Document, after: Document, **_: Any) -> Document:
        assert document.lease is not None
        ends_ms = document.lease.ends_ms + document.lease.length_ms
        return after._replace(lease=document.lease._replace(ends_ms=ends_ms))

    return changed("extended", longer)


@plant("the old end of a lease stays behind", deeds=("heartbeat",), faults={"tick": 1})
def _() -> Any:
    real = Pages.delete
    return replace(
        Pages, "delete", lambda s, base, key: None if base == "leases" else real(s, base, key)
    )


# ---- stage changes


@plant("a change of stage does not look where the document is", faults={"stranger": 2})
def _() -> Any:
    real = rules.moved
    return replace(
        rules, "moved", lambda d, *, from_stage, **words: real(d, from_stage=None, **words)
    )


@plant("a worker completes what is not its any more", deeds=("complete",), faults={"tick": 1})
def _() -> Any:
    real = rules.moved
    return replace(rules, "moved", lambda d, *, worker, **words: real(d, worker=None, **words))


@plant("a lapsed worker completes", 1, 1, deeds=("complete",), faults={"tick": 1})
def _() -> Any:
    real = rules.moved
    return replace(rules, "moved", lambda d, *, now_ms, **words: real(d, now_ms=0, **words))


@plant("a change of stage keeps the lease", deeds=("complete",))
def _() -> Any:
    return changed("moved", lambda d, after, **_: after._replace(lease=d.lease))


@plant("completing keeps the chunks", deeds=("complete",))
def _() -> Any:
    return changed("moved", lambda d, after, **_: after._replace(chunk_count=d.chunk_count))


# ---- vectors


@plant("rows of older chunks mark it", deeds=("vectors",), faults={"restage": 1})
def _() -> Any:
    real = rules.indexed
    return replace(
        rules,
        "indexed",
        lambda d, *, generation, **words: real(d, generation=d.generation, **words),
    )


@plant("anybody may write vectors", deeds=("vectors",), faults={"restage": 1})
def _() -> Any:
    return replace(rules, "writable", lambda document, **_: True)


@plant("a lapsed worker may write vectors", 1, 1, deeds=("vectors",), faults={"tick": 1})
def _() -> Any:
    real = rules.writable
    return replace(rules, "writable", lambda d, *, now_ms, worker: real(d, now_ms=0, worker=worker))


@plant("the ids of rows are not kept", 1, 1, deeds=("vectors",), faults={"restage": 1})
def _() -> Any:
    real = Pages.put

    def put(self: Pages, database: Any, key: bytes, value: bytes) -> None:
        if database != "rows":
            real(self, database, key, value)

    return replace(Pages, "put", put)


# ---- counts


@plant("a document is counted where it was")
def _() -> Any:
    real = Book.count
    return replace(Book, "count", lambda self, before, after, now: real(self, None, after, now))


@plant(
    "a reason is counted for ever",
    claims=FROM_FAILED,
    faults={"move": 1},
)
def _() -> Any:
    real = Book.count

    def count(self: Book, before: Any, after: Any, now_ms: int) -> None:
        real(self, before and before._replace(reason=""), after, now_ms)

    return replace(Book, "count", count)


@plant("the stage that a lease returns to is not counted")
def _() -> Any:
    real = Book.count
    return replace(
        Book, "count", lambda self, b, after, now: real(self, b, after._replace(lease=None), now)
    )
