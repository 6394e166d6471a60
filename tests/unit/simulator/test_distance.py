"""Nearest neighbours by estimate and by careful measure equal those of a plain search."""

import numpy as np
import pytest

from hevfast.simulator import distance
from hevfast.simulator.distance import distances, nearest_slots
from hevfast.simulator.types import parse
from hevfast.simulator.vectors import VectorColumn

METRICS = ["euclidean_squared", "cosine_distance"]


def near(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Vectors far from the origin and close to each other: the estimates are at their worst."""
    return 1000 + generator.normal(size=shape) * 1e-2


KINDS = {
    "plain": lambda shape, generator: generator.normal(size=shape),
    "near": near,
    "equal": lambda shape, generator: np.ones(shape) * 0.1,
    "small whole numbers": lambda shape, generator: generator.integers(-1, 2, size=shape),
    "tiny": lambda shape, generator: generator.normal(size=shape) * 1e-25,
    "huge": lambda shape, generator: generator.normal(size=shape) * 1e25,
    "one huge": lambda shape, generator: (
        generator.normal(size=shape) * np.where(np.arange(shape[0]) == 3, 1e20, 1)[:, None]
    ),
}

# Those that the smaller elements can hold.
SMALL_KINDS = ["plain", "equal", "small whole numbers"]


def column_of(rows: np.ndarray, element: str) -> VectorColumn:
    column = VectorColumn(parse(f"[{rows.shape[1]}]{element}"))
    column.reserve(len(rows))
    column.put(list(range(len(rows))), rows.astype(column.matrix.dtype))
    return column


def plain(column: VectorColumn, query: np.ndarray, metric: str, allowed: np.ndarray) -> list[int]:
    slots = np.flatnonzero(allowed)
    found = distances(column, query, metric, slots)
    return [int(slots[place]) for place in np.argsort(found, kind="stable")]


def searched(
    column: VectorColumn, query: np.ndarray, metric: str, count: int, allowed: np.ndarray
) -> list[int]:
    slots = nearest_slots(column, query, metric, count, allowed)
    found = distances(column, query, metric, slots)
    return [int(slots[place]) for place in np.argsort(found, kind="stable")][:count]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("kind", "element"),
    [
        *((kind, "f32") for kind in KINDS),
        *((kind, element) for kind in SMALL_KINDS for element in ("f16", "i8")),
    ],
)
def test_the_nearest_are_those_of_a_plain_search(metric: str, kind: str, element: str) -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        rows = KINDS[kind]((300, 1 + seed % 7 * 5), generator)
        column = column_of(rows, element)
        query = column.matrix[seed].astype(np.float32) * np.float32(1.001)
        allowed = generator.random(len(rows)) < 0.8
        for count in (1, 10, 239, 400):
            expected = plain(column, query, metric, allowed)[:count]
            assert searched(column, query, metric, count, allowed) == expected


def test_without_the_bound_of_the_error_rows_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search above can fail: with estimates that are trusted, it does."""
    trusted = distance._estimates

    def overconfident(*arguments: object) -> object:
        guess, error = trusted(*arguments)  # type: ignore[arg-type]
        return guess, np.zeros_like(error)

    monkeypatch.setattr(distance, "_estimates", overconfident)
    with pytest.raises(AssertionError):
        test_the_nearest_are_those_of_a_plain_search("euclidean_squared", "near", "f32")


def test_few_rows_are_measured_twice() -> None:
    generator = np.random.default_rng(1)
    column = column_of(generator.normal(size=(20_000, 64)), "f32")
    query = generator.normal(size=64).astype(np.float32)
    for metric in METRICS:
        close = nearest_slots(column, query, metric, 10, column.live[:20_000])
        assert 10 <= len(close) < 40
