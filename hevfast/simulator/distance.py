"""Exact nearest neighbours over whole columns: a fast look at all rows, a careful one at few.

All distances are estimated with one matrix product in single precision, whose error is bounded.
Only the rows that the bound cannot exclude are measured again in doubles, so that the answer is
that of a plain search.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .vectors import Matrix, Slots, VectorColumn

# Rows whose elements are converted at once, to bound the memory of one query: 4,096 rows of 1,536
# doubles are 50 MB.
_CHUNK_ROWS = 4096

# Lengths whose squares are normal float32 numbers; nothing is known of the others' estimates.
_NORM_RANGE = (1e-15, 1e15)
_UNDERFLOW = np.float32(1e-30)

_FARTHEST = float(np.finfo(np.float32).max)

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]


def nearest_slots(
    column: VectorColumn, query: Matrix, metric: str, count: int, allowed: Flags
) -> Slots:
    """Find the `count` nearest of the allowed matrix rows, and any that may tie with them.

    Cost: reads the column once; a million rows of 128 floats are 512 MB.
    """
    size = len(allowed)
    if np.count_nonzero(allowed) <= count:
        return np.flatnonzero(allowed)
    with np.errstate(over="ignore", invalid="ignore"):
        guess, error = _estimates(column, query, metric, size)
        guess[~allowed] = np.inf
        first = np.argpartition(guess, count - 1)[:count]
        farthest = np.max(guess[first] + error[first])
        # Not "at most", so that estimates that overflowed are measured and not lost.
        close = ~(guess - error > farthest)
    return np.flatnonzero(close & allowed)


def distances(column: VectorColumn, query: Matrix, metric: str, slots: Slots) -> Matrix:
    """Compute the distance of each slot's vector, in doubles, rounded to float32 at the end.

    Rounding first and sorting then makes rows tie that the wire could not tell apart.
    """
    wanted = query.astype(np.float64)
    result = np.empty(len(slots), np.float32)
    for start in range(0, len(slots), _CHUNK_ROWS):
        chunk = slots[start : start + _CHUNK_ROWS]
        rows = column.take(chunk).astype(np.float64)
        # JSON has no infinity, so what is farther than a float32 can say is the farthest it can.
        result[start : start + len(chunk)] = exact(metric, rows, wanted).clip(max=_FARTHEST)
    return result


def exact(metric: str, rows: Doubles, query: Doubles) -> Doubles:
    if metric == "euclidean_squared":
        apart = rows - query
        squares: Doubles = np.einsum("ij,ij->i", apart, apart)
        return squares
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * np.sqrt(query @ query)
    # A zero vector has no direction; a distance of 1 for it is our own choice.
    similar: Doubles = np.divide(rows @ query, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    return (1.0 - similar).clip(0.0, 2.0)


def _estimates(
    column: VectorColumn, query: Matrix, metric: str, size: int
) -> tuple[Matrix, Matrix]:
    """Estimate the distance of each row, with a bound of the error that it may have."""
    dots = _products(column.matrix[:size], query)
    norms = column.norms[:size]
    # A sum of n products is wrong by n roundings at most, and so are the squared lengths.
    slack = np.float32(2 * (len(query) + 16) * np.finfo(np.float32).eps)
    length = np.float32(np.linalg.norm(query.astype(np.float64)))
    if metric == "euclidean_squared":
        far = norms * norms + length * length
        return far - 2 * dots, far * slack + _UNDERFLOW
    similar = np.divide(dots, norms * length, out=np.zeros_like(dots), where=norms > 0)
    sound = (norms > _NORM_RANGE[0]) & (norms < _NORM_RANGE[1])
    return 1 - similar, np.where(sound, slack, np.float32(np.inf))


def _products(matrix: NDArray[Any], query: Matrix) -> Matrix:
    if matrix.dtype == np.float32:
        return matrix @ query
    result = np.empty(len(matrix), np.float32)
    for start in range(0, len(matrix), _CHUNK_ROWS):
        chunk = matrix[start : start + _CHUNK_ROWS].astype(np.float32)
        result[start : start + len(chunk)] = chunk @ query
    return result
