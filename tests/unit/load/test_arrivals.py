"""When arrivals are due, and which keys they draw."""

import itertools
import random
from collections import Counter

import pytest

from hevfast.load.arrivals import US_PER_S, constant, keys, poisson


@pytest.mark.parametrize("processes", [1, 3, 4])
def test_processes_together_make_one_even_spacing(processes: int) -> None:
    shares = [
        itertools.takewhile(lambda due: due < US_PER_S, constant(1000, index, processes))
        for index in range(processes)
    ]
    together = sorted(itertools.chain(*shares))
    assert together == [number * 1000 for number in range(1000)]


def test_poisson_arrivals_have_the_rate_and_the_scatter_of_independent_callers() -> None:
    rng = random.Random(7)
    due = list(itertools.islice(poisson(500, 2, rng), 20_000))
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    # Half of 500 a second is one in 4 ms; the deviation of exponential gaps is their mean.
    assert mean == pytest.approx(4000, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)


def test_equal_seeds_make_equal_loads() -> None:
    loads = [list(itertools.islice(poisson(100, 1, random.Random(3)), 50)) for _ in range(2)]
    assert loads[0] == loads[1]


def test_zipf_draws_keys_by_their_rank() -> None:
    draw = keys(100, 1.0, random.Random(1))
    drawn = Counter(draw() for _ in range(50_000))
    assert set(drawn) <= set(range(100))
    assert drawn[0] / drawn[1] == pytest.approx(2, rel=0.1)
    assert drawn[0] / drawn[9] == pytest.approx(10, rel=0.2)


def test_without_an_exponent_all_keys_are_alike() -> None:
    draw = keys(10, 0.0, random.Random(1))
    drawn = Counter(draw() for _ in range(50_000))
    assert set(drawn) == set(range(10))
    assert max(drawn.values()) / min(drawn.values()) < 1.1
