"""What the store keeps in mind: whom to sweep, what it owes, whose lists it has read."""

from itertools import chain

import pytest

from hevfast.cache import aerospike_upkeep
from hevfast.cache.aerospike_documents import CALL_BYTES_MAX, CALL_RECORDS_MAX, Lives, calls_of
from hevfast.cache.aerospike_registry import Span
from hevfast.cache.aerospike_upkeep import Debts, Lists, Watch
from hevfast.cache.keys import BUCKETS, ELSEWHERE, NO_BUMPS, WHOLE, Bumps, Keys
from hevfast.cache.operations import Deed, Mature, Mirror, Repair, Sweep
from hevfast.cache.registry import Fence, Registry, Token

PATIENCE_MS = 1000
DEAD = Token(b"d" * 16, Keys.of([3]).packed())
LATER = Token(b"l" * 16, ELSEWHERE)


def registry(*tokens: Token, young: bool = False, epoch: bytes = b"epoch--1") -> Registry:
    return Registry(Fence(epoch, 0, b""), young, tokens)


def test_token_is_swept_once_it_was_there_for_long() -> None:
    watch = Watch()
    watch.add(b"books")
    assert watch.due(b"books", registry(DEAD), 0, PATIENCE_MS) == []
    assert watch.due(b"books", registry(DEAD, LATER), 900, PATIENCE_MS) == []
    swept = watch.due(b"books", registry(DEAD, LATER), 1001, PATIENCE_MS)
    assert swept == [Sweep(DEAD.id, Bumps(frozenset({3})))]
    swept = watch.due(b"books", registry(LATER), 1901, PATIENCE_MS)
    assert swept == [Sweep(LATER.id, WHOLE)]


def test_token_that_comes_back_is_as_good_as_new() -> None:
    watch = Watch()
    watch.due(b"books", registry(DEAD), 0, PATIENCE_MS)
    watch.due(b"books", registry(LATER), 500, PATIENCE_MS)
    assert watch.due(b"books", registry(DEAD), 1100, PATIENCE_MS) == []


def test_registry_comes_of_age_by_its_epoch() -> None:
    watch = Watch()
    assert watch.due(b"books", registry(young=True), 0, PATIENCE_MS) == []
    again = registry(young=True, epoch=b"epoch--2")
    assert watch.due(b"books", again, 900, PATIENCE_MS) == []
    assert watch.due(b"books", again, 1800, PATIENCE_MS) == []
    assert watch.due(b"books", again, 1901, PATIENCE_MS) == [Mature(b"epoch--2")]


def test_quiet_namespaces_are_not_watched() -> None:
    watch = Watch()
    for name in (b"quiet", b"gone", b"busy"):
        watch.add(name)
    watch.due(b"quiet", registry(), 0, PATIENCE_MS)
    watch.due(b"gone", None, 0, PATIENCE_MS)
    watch.due(b"busy", registry(DEAD), 0, PATIENCE_MS)
    assert list(watch) == [b"busy"]


def test_debts_to_one_namespace_are_paid_together() -> None:
    debts = Debts()
    debts.owe(b"books", Repair((b"1",), Bumps(frozenset({1}))))
    debts.owe(b"books", Repair((b"2",), Bumps(frozenset({2}))))
    assert debts.get(b"books") == Repair((b"1", b"2"), Bumps(frozenset({1, 2})))


def test_debt_that_grew_while_it_was_paid_stays() -> None:
    debts = Debts()
    debts.owe(b"books", Repair((), Bumps(frozenset({1}))))
    paying = debts.get(b"books")
    assert paying is not None
    debts.owe(b"books", Repair((), Bumps(frozenset({1}))))
    debts.paid(b"books", paying)
    assert b"books" in debts
    paying = debts.get(b"books")
    assert paying is not None
    debts.paid(b"books", paying)
    assert len(debts) == 0


def test_debts_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aerospike_upkeep, "_NAMESPACES_MAX", 2)
    debts, watch = Debts(), Watch()
    kept = [debts.owe(name, Repair((), NO_BUMPS)) for name in (b"a", b"b", b"c")]
    assert kept == [True, True, False]
    assert list(debts) == [b"b", b"c"]
    for name in (b"a", b"b", b"c"):
        watch.add(name)
    assert list(watch) == [b"b", b"c"]


def test_lists_have_a_bound() -> None:
    lists = Lists(bytes_max=8)
    lists.keep({b"1": b"aaaa", b"2": b"bbbb"})
    lists.keep({b"2": b"bbbb", b"3": b"cccc"})
    assert [token in lists for token in (b"1", b"2", b"3")] == [False, True, True]
    assert lists.known(Token(b"3", ELSEWHERE)) == Token(b"3", b"cccc")
    assert lists.known(Token(b"1", ELSEWHERE)) == Token(b"1", ELSEWHERE)


def test_batch_is_cut_by_records_and_by_bytes() -> None:
    fence = Fence(b"e" * 8, 0, bytes(4 * BUCKETS))
    deeds = bytes([Deed.PUT]) * 250 + bytes([Deed.LEAVE]) + bytes([Deed.REMOVE])
    rows: list[tuple[bytes, bytes, bytes | None]] = [(b"dddd", b"id", b"row")] * 251
    cut = calls_of(Mirror(Keys.of(range(252)), deeds, fence, ()), rows)
    calls = [call.numbers for call in cut]
    assert [len(numbers) for numbers in calls] == [CALL_RECORDS_MAX, CALL_RECORDS_MAX, 51]
    assert list(chain(*calls)) == [*range(250), 251]
    half = b"x" * (CALL_BYTES_MAX // 2)
    rows = [(b"dddd", b"id", half)] * 4 + [(b"dddd", b"id", half * 3)]
    calls_of_large = calls_of(Mirror(Keys.of(range(5)), bytes(5), fence, ()), rows)
    assert [call.numbers for call in calls_of_large] == [[0, 1], [2, 3], [4]]


def test_lives_are_spread() -> None:
    lives = Lives(3600)
    seconds = {lives.seconds(digest * BUCKETS + 5) for digest in range(2000)}
    assert min(seconds) == 3600
    assert 7190 < max(seconds) < 7200
    assert len(seconds) > 1000


@pytest.mark.parametrize(
    ("digests", "span"),
    [
        ([], Span(0, 0)),
        ([5], Span(5, 1)),
        ([5, BUCKETS + 7], Span(5, 3)),
        (list(range(100)), Span(0, BUCKETS)),
    ],
)
def test_span_holds_all_buckets(digests: list[int], span: Span) -> None:
    assert Span.of(Keys.of(digests)) == span
