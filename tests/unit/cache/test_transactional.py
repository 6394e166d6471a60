"""The rules of the transactional form, one at a time, on the transaction of the search."""

import pytest

from hevfast.cache import transactional as rules
from hevfast.cache.rows import Kind
from hevfast.cache.transactional import NOTHING, Document, Held, Look, Page, Row
from tests.model.embedded_form import State, Transaction


def transaction(*documents: Document | None) -> Transaction:
    return Transaction(State((), (), (), documents, (), (), ()))


def keys(*digests: int) -> Held:
    return frozenset(digests)


def test_writes_that_share_rows_spoil_them_for_each_other() -> None:
    step = transaction()
    rules.begin(step, b"A", keys(1, 2))
    rules.begin(step, b"B", keys(2, 3))
    rules.begin(step, b"C", keys(4))
    assert step.spoiled(b"A") == step.spoiled(b"B") == keys(2)
    assert step.spoiled(b"C") == NOTHING
    rules.begin(step, b"D", None)
    assert step.spoiled(b"D") == keys(1, 2, 3, 4)
    assert step.spoiled(b"A") == keys(1, 2)
    rules.begin(step, b"E", None)
    assert step.spoiled(b"D") is None
    assert step.spoiled(b"E") is None


def test_an_invalidation_needs_no_token_and_spoils_all_others() -> None:
    step = transaction(Document(b"0", 0, b"row"), Document(b"1", 0, lease=b"F"), None)
    rules.begin(step, b"A", keys(0, 2))
    rules.invalidate(step, None, keys(0, 1))
    assert step.spoiled(b"A") == keys(0)
    assert step.get(0) is None
    assert step.get(1) is None


def test_a_sweep_does_nothing_without_the_token() -> None:
    step = transaction(Document(b"0", 0, b"row"))
    assert not rules.sweep(step, b"A")
    rules.begin(step, b"A", keys(0))
    assert rules.sweep(step, b"A")
    assert step.get(0) is None
    assert not rules.sweep(step, b"A")


def test_a_token_is_swept_only_after_the_patience() -> None:
    assert not rules.sweep_due(100, 150, 50)
    assert rules.sweep_due(100, 151, 50)


def test_a_page_is_young_until_the_last_unannounced_write_has_ended() -> None:
    page = Page()
    assert rules.may_merge(page)
    page = rules.unannounced(page, 100)
    assert page.fence == 1
    assert not rules.may_merge(page)
    page = rules.unannounced(page, 200)
    assert rules.matured(page, 250, 50) is page
    page = rules.matured(page, 251, 50)
    assert page == Page(3)
    assert rules.matured(page, 999, 50) is page
    assert rules.voided(page) == Page(4)


def merge(base: bytes, patch: bytes) -> bytes | None:
    return None if patch == b"?" else base + patch


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        (Row(Kind.UPSERT, 0, b"0", b"new"), b"new"),
        (Row(Kind.UPSERT, 0, b"0", None), None),
        (Row(Kind.UPSERT, 0, b"0", b""), b""),
        (Row(Kind.PATCH, 0, b"0", b"+"), b"row+"),
        (Row(Kind.PATCH, 0, b"other", b"+"), None),
        (Row(Kind.PATCH, 0, b"0", b"?"), None),
        (Row(Kind.PATCH, 1, b"1", b"+"), None),
        (Row(Kind.PATCH, 2, b"2", b"+"), None),
        (Row(Kind.PATCH, 3, b"3", b"+"), None),
        (Row(Kind.DELETE, 0, b"0", None), None),
        (Row(Kind.UNSTATED, 0, b"0", b"new"), None),
    ],
)
def test_what_is_kept_of_a_row(row: Row, kept: bytes | None) -> None:
    """Kept: one row, a void one, a lease, and nothing."""
    leased = Document(b"2", 7, lease=b"F")
    step = transaction(Document(b"0", 7, b"row"), Document(b"1", 6, b"void"), leased, None)
    rules.begin(step, b"A", keys(0, 1, 2, 3))
    assert rules.mirror(step, b"A", [row], 7, merge)
    document = step.get(row.digest)
    assert document == (None if kept is None else Document(row.id, 7, kept))


def test_patches_are_removed_where_they_may_not_merge() -> None:
    step = transaction(Document(b"0", 7, b"row"))
    rules.begin(step, b"A", keys(0))
    assert rules.mirror(step, b"A", [Row(Kind.PATCH, 0, b"0", b"+")], 7, merge=None)
    assert step.get(0) is None


def test_without_its_token_a_write_mirrors_nothing() -> None:
    step = transaction(None)
    assert not rules.mirror(step, b"A", [Row(Kind.UPSERT, 0, b"0", b"new")], 0)
    assert step.get(0) is None


def test_what_a_fetch_makes_of_a_document() -> None:
    def looked(document: Document | None, now_ms: int = 0) -> Look:
        return rules.look(document, b"0", 7, now_ms, 50)

    assert looked(None) is Look.VACANT
    assert looked(Document(b"0", 7, b"row")) is Look.HIT
    assert looked(Document(b"0", 7, b"")) is Look.HIT
    assert looked(Document(b"0", 6, b"row")) is Look.VACANT
    assert looked(Document(b"other", 7, b"row")) is Look.VACANT
    leased = Document(b"0", 7, lease=b"F", leased_ms=100)
    assert looked(leased, 149) is Look.LEASED
    assert looked(leased, 150) is Look.VACANT


def test_a_fill_needs_its_own_lease_and_keeps_the_fence_of_before() -> None:
    step = transaction(None)
    rules.lease(step, 0, b"0", b"F1", 7, 0)
    assert not rules.fill(step, 0, b"F2", b"row")
    assert rules.fill(step, 0, b"F1", b"row")
    assert step.get(0) == Document(b"0", 7, b"row")
    assert not rules.fill(step, 0, b"F1", b"again")
