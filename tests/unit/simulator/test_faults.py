"""Injected faults: parsed strictly, drawn repeatably, in the asked share."""

import pytest

from hevfast.simulator.faults import Faults, parse_fault
from hevfast.simulator.options import Fault, Options


def statuses(seed: int, count: int = 2000) -> list[int | None]:
    faults = Faults(Options(faults=(Fault(503, 0.1), Fault(429, 0.2)), seed=seed))
    return [fault.status if (fault := faults.next()) else None for _ in range(count)]


def test_same_seed_draws_the_same_faults() -> None:
    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)


def test_each_status_gets_its_share() -> None:
    drawn = statuses(3, 20_000)
    assert drawn.count(503) / 20_000 == pytest.approx(0.1, abs=0.01)
    assert drawn.count(429) / 20_000 == pytest.approx(0.2, abs=0.01)


def test_rate_one_fails_every_write_and_rate_zero_none() -> None:
    always = Faults(Options(faults=(Fault(500, 1.0),)))
    never = Faults(Options(faults=(Fault(500, 0.0),)))
    assert all(always.next() for _ in range(100))
    assert not any(never.next() for _ in range(100))


def test_fault_is_a_status_and_a_rate() -> None:
    assert parse_fault("503:0.01") == Fault(503, 0.01)


@pytest.mark.parametrize(
    "text", ["503", "503:", ":0.1", "200:0.1", "600:0.1", "503:1.1", "503:nan", "a:b"]
)
def test_malformed_fault_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected status:rate"):
        parse_fault(text)


def test_rates_beyond_one_in_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="add up"):
        Faults(Options(faults=(Fault(503, 0.6), Fault(429, 0.6))))
