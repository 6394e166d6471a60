"""Injected faults: parsed strictly, drawn repeatably, in the asked share, on what they are for."""

import pytest

from hevfast.simulator.faults import Faults, parse_fault
from hevfast.simulator.options import Effect, Fault


def statuses(seed: int, count: int = 2000) -> list[int | None]:
    faults = Faults((Fault(0.1, status=503), Fault(0.2, status=429)), seed)
    drawn = (faults.next("write", "books") for _ in range(count))
    return [fault.status if fault else None for fault in drawn]


def test_same_seed_draws_the_same_faults() -> None:
    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)


def test_each_status_gets_its_share() -> None:
    drawn = statuses(3, 20_000)
    assert drawn.count(503) / 20_000 == pytest.approx(0.1, abs=0.01)
    assert drawn.count(429) / 20_000 == pytest.approx(0.2, abs=0.01)


def test_rate_one_fails_every_write_and_rate_zero_none() -> None:
    always = Faults((Fault(1.0, status=500),), None)
    never = Faults((Fault(0.0, status=500),), None)
    assert all(always.next("write", "books") for _ in range(100))
    assert not any(never.next("write", "books") for _ in range(100))


def test_fault_meets_only_what_it_is_meant_for() -> None:
    faults = Faults((Fault(status=500, on="query", namespace="books"),), None)
    assert faults.next("write", "books") is None
    assert faults.next("query", "films") is None
    assert faults.next("query", "books")
    anything = Faults((Fault(status=500, on="any"),), None)
    assert anything.next("metadata", "books")
    assert anything.next("other", None)


def test_fault_spares_the_first_and_ends_after_its_times() -> None:
    faults = Faults((Fault(status=500, after=2, times=3),), None)
    assert [bool(faults.next("write", "books")) for _ in range(8)] == [False] * 2 + [True] * 3 + [
        False
    ] * 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("503:0.01", Fault(0.01, status=503)),
        ("query=429:0.1:2.5", Fault(0.1, status=429, on="query", retry_after_s=2.5)),
        ("lost:1", Fault(1.0, Effect.LOST)),
        ("any=reset:0", Fault(0.0, Effect.RESET, on="any")),
        ("metadata=cut:1", Fault(1.0, Effect.CUT, on="metadata")),
    ],
)
def test_fault_is_an_operation_an_effect_and_a_rate(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    "text",
    [
        *("503", "503:", ":0.1", "200:0.1", "600:0.1", "503:1.1", "503:nan", "a:b", "read=503:1"),
        *("status:1", "slow:1", "503:1:-1", "503:1:1:1", "=503:1"),
    ],
)
def test_malformed_fault_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected \[operation=\]effect:rate"):
        parse_fault(text)


def test_rates_beyond_one_in_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="add up"):
        Faults((Fault(0.6, status=503), Fault(0.6, Effect.LOST, on="any")), None)
    Faults((Fault(0.6, status=503), Fault(0.6, status=503, on="query")), None)
