"""The rules of stages and leases, one at a time."""

from typing import Any

import pytest

from hevfast.pipelines import lease as rules
from hevfast.pipelines.model import Document, Lease

WAITING = Document("pending", 3, 7, 100, 2)
LEASED = WAITING._replace(stage="embedding", lease=Lease("w", 200, 100, "pending"))
CLAIM: dict[str, Any] = {
    "stage": "pending",
    "claim_stage": "embedding",
    "worker": "v",
    "lease_ms": 50,
}


def moved(document: Document, now_ms: int = 150, **words: Any) -> Document | None:
    given = {"stage": "indexed", "from_stage": None, "worker": None, "reason": "", **words}
    return rules.moved(document, now_ms=now_ms, **given)


def test_a_lease_lapses_with_its_last_millisecond() -> None:
    assert rules.settled(LEASED, 199) == LEASED
    lapsed = WAITING._replace(since_ms=200)
    assert rules.settled(LEASED, 200) == rules.settled(LEASED, 9999) == lapsed
    assert rules.settled(WAITING, 9999) == WAITING


def test_staging_voids_the_lease_and_all_that_was_begun() -> None:
    staged = rules.staged(LEASED, stage="pending", position=9, chunk_count=5, now_ms=150)
    assert staged == Document("pending", 4, 9, 150, 5)
    first = rules.staged(None, stage="pending", position=1, chunk_count=0, now_ms=1)
    assert first == Document("pending", 1, 1, 1, 0)


def test_what_is_leased_or_elsewhere_is_not_claimed() -> None:
    assert rules.claimed(LEASED, now_ms=199, **CLAIM) is None
    assert rules.claimed(LEASED, now_ms=199, **{**CLAIM, "stage": "embedding"}) is None
    assert rules.claimed(WAITING._replace(stage="indexed"), now_ms=1, **CLAIM) is None


def test_a_claim_is_a_new_generation_under_a_lease() -> None:
    lease = Lease("v", 250, 50, "pending")
    claimed = WAITING._replace(stage="embedding", generation=4, since_ms=200, lease=lease)
    assert rules.claimed(WAITING, now_ms=200, **CLAIM) == claimed
    assert rules.claimed(LEASED, now_ms=200, **CLAIM) == claimed
    failed = WAITING._replace(stage="failed", reason="no text")
    again = rules.claimed(failed, now_ms=200, **{**CLAIM, "stage": "failed"})
    assert again is not None
    assert again.reason == ""


@pytest.mark.parametrize(
    ("worker", "stage", "now_ms", "extends"),
    [
        ("w", "embedding", 199, True),
        ("w", "embedding", 200, False),
        ("v", "embedding", 150, False),
        ("w", "pending", 150, False),
    ],
)
def test_only_the_holder_extends_a_live_lease(
    worker: str, stage: str, now_ms: int, extends: bool
) -> None:
    after = rules.extended(LEASED, stage=stage, worker=worker, now_ms=now_ms)
    ends_ms = after.lease.ends_ms if after and after.lease else None
    assert ends_ms == (now_ms + 100 if extends else None)


def test_stage_changes_are_compared_and_set() -> None:
    assert moved(LEASED, worker="w") is not None
    assert moved(LEASED, worker="v") is None
    assert moved(LEASED, 200, worker="w") is None
    assert moved(LEASED, from_stage="pending") is None
    assert moved(LEASED, 200, from_stage="pending") is not None
    assert moved(WAITING, worker="w") is None


def test_what_is_indexed_has_no_chunks_and_what_failed_has_a_reason() -> None:
    assert moved(LEASED) == Document("indexed", 3, 7, 150, 0)
    assert moved(LEASED, stage="failed") == Document("failed", 3, 7, 150, 2, None, "worker_failed")
    assert moved(LEASED, stage="failed", reason="x") == Document("failed", 3, 7, 150, 2, None, "x")
    assert moved(LEASED, stage="pending", reason="x") == Document("pending", 3, 7, 150, 2)


def test_created_documents_have_no_chunks() -> None:
    made = rules.created(stage="extracted", position=4, reason="x", now_ms=9)
    assert made == Document("extracted", 1, 4, 9, 0)
    assert rules.created(stage="failed", position=4, reason="", now_ms=9).reason == "worker_failed"


def test_whoever_says_who_it_is_must_hold_the_lease_to_write() -> None:
    assert rules.writable(LEASED, worker="w", now_ms=199)
    assert not rules.writable(LEASED, worker="w", now_ms=200)
    assert not rules.writable(LEASED, worker="v", now_ms=150)
    assert rules.writable(LEASED, worker=None, now_ms=150)


def test_rows_from_before_a_staging_or_a_claim_mark_nothing() -> None:
    words: dict[str, Any] = {"stage": "indexed", "worker": None}
    done = rules.indexed(LEASED, generation=3, now_ms=150, **words)
    assert done == Document("indexed", 3, 7, 150, 0)
    assert rules.indexed(LEASED, generation=2, now_ms=150, **words) is None
    # A lease that lapsed while they were sent changes nothing: nobody has claimed it since.
    assert rules.indexed(LEASED, generation=3, now_ms=300, **words) is not None


def test_who_has_indexed_it_may_write_again_until_anybody_changes_it() -> None:
    done = rules.indexed(LEASED, generation=3, stage="indexed", worker="w", now_ms=150)
    assert done is not None
    assert rules.writable(done, worker="w", now_ms=9999)
    assert not rules.writable(done, worker="v", now_ms=150)
    moved_on = rules.moved(
        done, stage="pending", from_stage=None, worker=None, reason="", now_ms=160
    )
    claimed = rules.claimed(done, now_ms=160, **(CLAIM | {"stage": "indexed", "worker": "v"}))
    again = rules.staged(done, stage="pending", position=8, chunk_count=1, now_ms=160)
    unsaid = rules.indexed(done, generation=3, stage="indexed", worker=None, now_ms=160)
    for after in (moved_on, claimed, again, unsaid):
        assert after is not None
        assert not rules.writable(after, worker="w", now_ms=170)
