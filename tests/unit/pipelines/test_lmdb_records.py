"""How pipelines and documents are spelled in the embedded file, and what is counted."""

import random

import pytest

from hevfast.pipelines.lmdb_book import (
    Book,
    Kept,
    book_number,
    book_of,
    kept_of,
    packed_book,
    packed_kept,
)
from hevfast.pipelines.lmdb_keys import behind, id_key, number_key, place_key, stage_key
from hevfast.pipelines.model import Document, Lease, Pipeline
from hevfast.pipelines.store import (
    DOCUMENT_ID_BYTES_MAX,
    RATE_WINDOW_S,
    STAGE_BYTES_MAX,
    TooManyStagesError,
)

# Bytes. LMDB's own bound, as it is compiled.
KEY_BYTES_MAX = 511

PENDING = Document("pending", 1, 1, 0, 1)
LEASED = Document("embedding", 2, 1, 5, 1, Lease("é" * 128, 2**62, 2**40, "x" * 128))


def book() -> Book:
    return Book(Pipeline("p", "ns", "cosine_distance", "2026-01-01T00:00:00Z"), 7)


@pytest.mark.parametrize("document", [PENDING, LEASED, PENDING._replace(reason="\x00é")])
def test_documents_are_read_as_they_were_written(document: Document) -> None:
    kept = Kept("é/x", document)
    assert kept_of(packed_kept(kept)) == kept


def test_books_are_read_as_they_were_written() -> None:
    kept = book()
    kept.count(None, LEASED, 0)
    kept.count(None, PENDING._replace(stage="failed", reason="x"), 0)
    kept.count(None, PENDING._replace(stage="indexed"), 123_456_000)
    record = packed_book(kept)
    assert book_of(record) == kept
    assert book_number(record) == number_key(7)


def test_no_key_is_longer_than_lmdb_takes() -> None:
    longest = id_key(b"x" * DOCUMENT_ID_BYTES_MAX)
    assert len(number_key(1) + stage_key("x" * STAGE_BYTES_MAX) + longest) <= KEY_BYTES_MAX


def test_ids_never_share_a_key() -> None:
    texts = [b"a" * n + end for n in (0, 1, 318, 319, 320, 351, 352, 1000) for end in (b"", b"b")]
    # An id that is spelled like the key of a longer one.
    texts += [id_key(text) for text in texts if len(text) > 320]
    assert len({id_key(text) for text in set(texts)}) == len(set(texts))


def test_keys_keep_the_order_of_numbers() -> None:
    numbers = sorted(random.Random(1).sample(range(2**40), 1000))
    assert sorted(map(place_key, numbers)) == list(map(place_key, numbers))


@pytest.mark.parametrize(
    ("prefix", "after"),
    [(b"a", b"b"), (b"a\xff\xff", b"b"), (b"\xff", None), (b"\x00", b"\x01")],
)
def test_the_first_key_behind_a_prefix(prefix: bytes, after: bytes | None) -> None:
    assert behind(prefix) == after


def test_counts_go_back_to_nothing() -> None:
    kept = book()
    failed = PENDING._replace(stage="failed", reason="x")
    for before, after in ((None, PENDING), (PENDING, LEASED), (LEASED, failed), (failed, PENDING)):
        kept.count(before, after, 0)
    assert (kept.stages, kept.reasons, kept.origins) == ({"pending": 1}, {}, {})


def test_a_stage_in_use_is_admitted_and_a_standard_one_always() -> None:
    kept = book()
    for number in range(64):
        kept.admit(f"s{number}")
        kept.count(None, PENDING._replace(stage=f"s{number}"), 0)
    for stage in ("s3", "pending", "embedding", "indexed", "failed"):
        kept.admit(stage)
    with pytest.raises(TooManyStagesError):
        kept.admit("one more")


def test_the_rate_is_that_of_a_sliding_window() -> None:
    """Against a plain list of times."""
    chance = random.Random(7)
    kept, times, now_ms = book(), list[int](), 5_000_000
    for _ in range(2000):
        now_ms += chance.choice((0, 1, 400, 1000, 7000, 70_000))
        if chance.random() < 0.7:
            kept.count(None, PENDING._replace(stage="indexed"), now_ms)
            times.append(now_ms)
        window = range(now_ms // 1000 - RATE_WINDOW_S + 1, now_ms // 1000 + 1)
        assert kept.indexed(now_ms) == sum(each // 1000 in window for each in times)
