"""When arrivals are due: fixed before the first is sent, whatever the server does."""

import itertools
import math
import random
from bisect import bisect
from collections.abc import Callable, Iterator

US_PER_S = 1_000_000


def constant(rate: float, index: int, processes: int) -> Iterator[int]:
    """Give the moments of process `index`: every n-th of an even spacing.

    Units: arrivals per second of all processes; microseconds since the start.
    """
    gap = US_PER_S / rate
    return (int(number * gap) for number in itertools.count(index, processes))


def poisson(rate: float, processes: int, rng: random.Random) -> Iterator[int]:
    """Give moments at random: as many independent callers make them.

    Processes draw for themselves; the sum of Poisson streams is one again.
    """
    mean = US_PER_S * processes / rate
    gaps = (rng.expovariate(1 / mean) for _ in itertools.count())
    return (int(moment) for moment in itertools.accumulate(gaps))


def uniform_keys(count: int, rng: random.Random) -> Callable[[], int]:
    return lambda: int(rng.random() * count)


def zipf_keys(count: int, exponent: float, rng: random.Random) -> Callable[[], int]:
    """Give a draw of 0..count-1 in which key k comes up as 1 / (k + 1) ** exponent."""
    shares = (1 / math.pow(rank, exponent) for rank in range(1, count + 1))
    weights = list(itertools.accumulate(shares))
    total = weights[-1]
    return lambda: min(bisect(weights, rng.random() * total), count - 1)


def keys(count: int, exponent: float, rng: random.Random) -> Callable[[], int]:
    return zipf_keys(count, exponent, rng) if exponent else uniform_keys(count, rng)
