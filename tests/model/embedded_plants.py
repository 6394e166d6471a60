"""Faults planted in the transactional form: one for each rule that it cannot do without."""

from typing import Any
from unittest.mock import patch

from hevfast.cache import transactional as rules
from hevfast.cache.transactional import Document, Page, Row
from tests.model.configuration import Write
from tests.model.embedded_form import Transaction
from tests.model.planting import Plant, nursery

DELETE, PATCH, PUT = Write("delete"), Write("patch"), Write("put")
EVERYTHING = Write("everything", ())

EMBEDDED_PLANTS: list[Plant] = []
plant = nursery(EMBEDDED_PLANTS)

replace = patch.object


# ---- tokens


@plant("the elder is not spoiled", PUT, PUT)
def _() -> Any:
    def begin(step: Transaction, token: bytes, held: Any) -> None:
        real(_Deaf(step), token, held)

    real = rules.begin
    return replace(rules, "begin", begin)


class _Deaf:
    """A transaction that spoils nobody."""

    def __init__(self, step: Transaction) -> None:
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return (lambda *_: None) if name == "spoil" else getattr(self._step, name)


@plant("the younger is not spoiled", PUT, PUT)
def _() -> Any:
    real = Transaction.insert
    return replace(
        Transaction, "insert", lambda s, token, held, _: real(s, token, held, frozenset())
    )


@plant("a write that holds everything meets nobody", EVERYTHING, PUT)
def _() -> Any:
    def overlap(mine: Any, other: Any) -> Any:
        return frozenset() if mine is None or other is None else mine & other

    return replace(rules, "overlap", overlap)


@plant("a spoiled row is put", PUT, PUT)
def _() -> Any:
    return replace(Transaction, "spoiled", lambda s, token: s.held(token) - s.held(token))


@plant("a spoiled patch merges", PATCH, PUT)
def _() -> Any:
    return replace(Transaction, "spoiled", lambda s, token: s.held(token) - s.held(token))


@plant("half a row is put for a patch without a base", PATCH, cached=False)
def _() -> Any:
    def document(step: Transaction, row: Row, fence: int, merge: Any) -> Document:
        return Document(row.id, fence, bytes((row.value or b"")[:1] + b"\xff"))

    return replace(rules, "_document", document)


# ---- ends without a token


@plant("an invalidation spoils nobody", PUT, PUT, early=1)
def _() -> Any:
    real = rules.invalidate

    def invalidate(step: Transaction, token: Any, held: Any) -> None:
        real(_Deaf(step), token, held)

    return replace(rules, "invalidate", invalidate)


@plant("a write without its token answers at once", PUT, PUT, early=1)
def _() -> Any:
    real = rules.mirror

    def mirror(*arguments: Any) -> bool:
        real(*arguments)
        return True

    return replace(rules, "mirror", mirror)


@plant("a sweep keeps the rows", PUT, crash=1)
def _() -> Any:
    def sweep(step: Transaction, token: bytes) -> bool:
        step.drop(token)
        return True

    return replace(rules, "sweep", sweep)


# ---- fetches


@plant("a fill asks for no lease", PUT, fetches=(0,), cached=False)
def _() -> Any:
    def fill(step: Transaction, digest: int, mark: bytes, value: bytes) -> bool:
        step.put(digest, Document(b"%d" % digest, 0, value))
        return True

    return replace(rules, "fill", fill)


@plant("a fill takes any lease for its own", PUT, fetches=(0, 0), cached=False, evict=1)
def _() -> Any:
    def fill(step: Transaction, digest: int, mark: bytes, value: bytes) -> bool:
        document = step.get(digest)
        return document is not None and real(step, digest, document.lease or b"", value)

    real = rules.fill
    return replace(rules, "fill", fill)


@plant("a removal keeps leases", DELETE, fetches=(0,), cached=False)
def _() -> Any:
    def remove(step: Transaction, digest: int) -> None:
        document = step.get(digest)
        if document is not None and document.lease is None:
            real(step, digest)

    real = Transaction.remove
    return replace(Transaction, "remove", remove)


@plant("clearing keeps leases", EVERYTHING, fetches=(0,), cached=False)
def _() -> Any:
    def clear(step: Transaction) -> None:
        document = step.get(0)
        if document is not None and document.lease is None:
            step.remove(0)

    return replace(Transaction, "clear", clear)


# ---- the page


@plant("a hit needs no fence", PUT, full=1)
def _() -> Any:
    real = rules.look
    return replace(
        rules,
        "look",
        lambda document, key, fence, *times: real(
            document, key, document.fence if document else fence, *times
        ),
    )


@plant("an end that fails voids nothing", PUT, full=1)
def _() -> Any:
    return replace(rules, "voided", lambda page: page)


@plant("a put takes the fence of its end", PUT, PUT, full=1)
def _() -> Any:
    from tests.model.embedded_form import World

    real = World.steps

    def steps(world: World, state: Any) -> Any:
        # As if every writer had begun just now.
        young = [w._replace(page=state.page) if w.phase != "idle" else w for w in state.writers]
        return real(world, state._replace(writers=tuple(young)))

    return replace(World, "steps", steps)


@plant("a write without a token voids, but does not mark", PUT, PATCH, fetches=(0,), begin=1)
def _() -> Any:
    return replace(rules, "unannounced", lambda page, now_ms: rules.voided(page))


@plant("a write without a token marks, but does not void", PUT, PATCH, begin=1)
def _() -> Any:
    return replace(rules, "unannounced", lambda page, now_ms: Page(page.fence, now_ms))


@plant("patches merge beside a write without a token", PUT, PATCH, fetches=(0,), begin=1)
def _() -> Any:
    from tests.model.embedded_form import World

    return replace(World, "_merging", lambda world, page: world._merge)


@plant("a page matures without voiding", PUT, fetches=(0,), begin=1, crash=1)
def _() -> Any:
    return replace(rules, "matured", lambda page, now_ms, patience_ms: Page(page.fence))
