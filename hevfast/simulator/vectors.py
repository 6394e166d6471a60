"""Dense vectors: decoding them in bulk, keeping them in matrices, and spelling them shortest."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .answers import bad_request
from .limits import DIMENSIONS_MAX
from .shapes import describe
from .types import Type

Matrix: TypeAlias = NDArray[np.float32]
Slots: TypeAlias = NDArray[np.intp]

DTYPES: dict[str, str] = {"f32": "<f4", "f16": "<f2", "i8": "<i1"}

# Powers of ten up to this one are exact in a double, so one division rounds correctly.
_POWERS_OF_TEN = np.array([float(10**power) for power in range(23)])

# Numbers shortened at a time, so that the intermediate arrays stay in the cache.
_SPELL_ELEMENTS = 8192


class VectorColumn:
    """The vectors of one column, one row per slot, in a matrix that grows by half.

    `norms` holds each row's length, and `live` whether it is some document's newest version.
    """

    def __init__(self, type_: Type) -> None:
        self.type = type_
        self.matrix: NDArray[Any] = np.zeros((0, type_.dimensions), DTYPES[type_.element])
        self.norms: Matrix = np.zeros(0, np.float32)
        self.live: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def __repr__(self) -> str:
        return f"<VectorColumn {self.type.name} capacity={len(self.matrix)}>"

    def reserve(self, slot_count: int) -> None:
        """Make room first, so that the write itself cannot fail half way.

        Nothing else refers to the arrays, so they may grow where they are and need not be copied.
        """
        held = len(self.matrix)
        if slot_count > held:
            size = max(slot_count, held + held // 2, 16)
            self.matrix.resize((size, self.type.dimensions), refcheck=False)
            self.norms.resize(size, refcheck=False)
            self.live.resize(size, refcheck=False)

    def put(self, slots: Sequence[int], block: NDArray[Any]) -> None:
        self.matrix[slots] = block
        wide = block.astype(np.float32, copy=False)
        with np.errstate(over="ignore"):
            self.norms[slots] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        self.live[slots] = True

    def take(self, slots: Slots) -> NDArray[Any]:
        """Copy rows out; the copy stays as it is while later writes go on."""
        rows: NDArray[Any] = self.matrix[slots]
        return rows

    def packed(self, slots: Slots) -> "VectorColumn":
        """Copy a column with only these rows, in this order."""
        twin = VectorColumn(self.type)
        twin.matrix = self.take(slots)
        twin.norms = self.norms[slots]
        twin.live = np.ones(len(slots), np.bool_)
        return twin


def stack(name: str, vectors: list[object]) -> Matrix:
    """Decode the vectors of one column, arrays and base64 strings mixed, into one matrix."""
    texts = [index for index, vector in enumerate(vectors) if type(vector) is str]
    arrays = [index for index, vector in enumerate(vectors) if type(vector) is list]
    if len(texts) + len(arrays) != len(vectors):
        odd = next(vector for vector in vectors if type(vector) not in (str, list))
        raise bad_request(f"attribute `{name}`: expected a vector, got {describe(odd)}")
    blocks = [
        (indices, decode(name, [vectors[index] for index in indices]))
        for indices, decode in ((texts, _decode_texts), (arrays, _decode_arrays))
        if indices
    ]
    dimensions = {block.shape[1] for _, block in blocks}
    if len(dimensions) > 1:
        raise _uneven(name, dimensions)
    if len(blocks) == 1:
        return blocks[0][1]
    whole = np.empty((len(vectors), dimensions.pop()), np.float32)
    for indices, block in blocks:
        whole[indices] = block
    return whole


def fit(name: str, block: Matrix, type_: Type) -> NDArray[Any]:
    """Check a decoded block against its column's type and convert it to the stored element."""
    if block.shape[1] != type_.dimensions:
        raise bad_request(
            f"attribute `{name}`: vector dimension mismatch, "
            f"expected {type_.dimensions}, got {block.shape[1]}"
        )
    if type_.element == "f32":
        return block
    if type_.element == "i8" and not np.array_equal(block, np.clip(np.rint(block), -128, 127)):
        raise bad_request(f"attribute `{name}`: i8 vectors hold whole numbers from -128 to 127")
    with np.errstate(over="ignore"):
        fitted = block.astype(DTYPES[type_.element])
    if not np.isfinite(fitted).all():
        raise bad_request(f"attribute `{name}`: number out of range for {type_.element}")
    return fitted


def base64_of(block: NDArray[Any]) -> list[str]:
    """Spell each row as base64 of its stored elements: 4, 2 or 1 bytes each (f16, i8 seen live)."""
    return [base64.b64encode(row.tobytes()).decode() for row in block]


def numbers_of(block: NDArray[Any]) -> list[list[float]]:
    """Spell each row as numbers whose JSON text is the shortest that reads back as float32."""
    if block.dtype.kind == "i":
        return block.tolist()  # type: ignore[no-any-return]  # numpy types tolist as Any
    return shortest(block.astype(np.float32)).tolist()  # type: ignore[no-any-return]  # as above


def shortest(block: Matrix) -> NDArray[np.float64]:
    """Replace each float32 by the double nearest to its shortest decimal.

    A JSON encoder prints doubles shortest, so 0.7 held as float32 prints as 0.7 and not as
    0.699999988079071. Six to nine digits are tried for many elements at once; a decimal of so few
    digits is exact in one division, and survives the encoder unchanged.

    Cost: no work per element in Python, except for the very large and very small.
    """
    result = block.astype(np.float64)
    flat = result.reshape(-1)
    for start in range(0, len(flat), _SPELL_ELEMENTS):
        _shorten(flat[start : start + _SPELL_ELEMENTS])
    return result


def _shorten(numbers: NDArray[np.float64]) -> None:
    """Shorten float32 values held as doubles, in place."""
    size = np.abs(numbers)
    plain = (size >= 1e-10) & (size <= 1e15)
    pending = np.flatnonzero(plain)
    exact = numbers[pending]
    magnitude = np.floor(np.log10(size[pending])).astype(np.intp)
    # Powers of two have uneven neighbours, for which rounding may miss the shortest decimal.
    slow = [np.flatnonzero(~plain & (size != 0))]
    for digits in range(6, 10):
        candidates = _round(exact, digits - 1 - magnitude)
        done = candidates.astype(np.float32) == exact
        numbers[pending[done]] = candidates[done]
        left = ~done
        if digits == 6:
            uneven = left & (np.abs(np.frexp(exact)[0]) == 0.5)
            slow.append(pending[uneven])
            left &= ~uneven
        pending, exact, magnitude = pending[left], exact[left], magnitude[left]
    for index in np.concatenate([*slow, pending]):
        numbers[index] = float(str(np.float32(numbers[index])))


def _round(values: NDArray[np.float64], places: NDArray[np.intp]) -> NDArray[np.float64]:
    """Round to so many decimal places, each result the double nearest to its decimal."""
    scale = _POWERS_OF_TEN[np.abs(places)]
    up = places >= 0
    rounded: NDArray[np.float64]
    if up.all():
        rounded = np.rint(values * scale) / scale
    else:
        whole = np.rint(np.where(up, values * scale, values / scale))
        rounded = np.where(up, whole / scale, whole * scale)
    return rounded


def _decode_texts(name: str, vectors: list[object]) -> Matrix:
    try:
        parts = [base64.b64decode(vector, validate=True) for vector in vectors]  # type: ignore[arg-type]  # the caller sorted out the strings
    except (binascii.Error, ValueError) as fault:
        raise bad_request(f"attribute `{name}`: invalid base64 vector: {fault}") from fault
    lengths = {len(part) for part in parts}
    if any(length % 4 for length in lengths):
        raise bad_request(f"attribute `{name}`: base64 vectors hold little-endian float32 elements")
    if len(lengths) > 1:
        raise _uneven(name, {length // 4 for length in lengths})
    block = np.frombuffer(b"".join(parts), "<f4").reshape(len(parts), lengths.pop() // 4)
    return _checked(name, block)


def _decode_arrays(name: str, vectors: list[object]) -> Matrix:
    for vector in vectors:
        # numpy would read strings and booleans as numbers.
        if not set(map(type, vector)) <= {int, float}:  # type: ignore[call-overload]  # the caller sorted out the arrays
            raise bad_request(f"attribute `{name}`: a vector is an array of numbers")
    lengths = {len(vector) for vector in vectors}  # type: ignore[arg-type]  # as above
    if len(lengths) > 1:
        raise _uneven(name, lengths)
    try:
        with np.errstate(over="ignore"):
            block = np.array(vectors, dtype=np.float32)
    except (OverflowError, ValueError) as fault:
        raise bad_request(f"attribute `{name}`: number out of range for float32") from fault
    return _checked(name, block)


def _checked(name: str, block: Matrix) -> Matrix:
    if not 1 <= block.shape[1] <= DIMENSIONS_MAX:
        raise bad_request(f"attribute `{name}`: a vector has 1 to {DIMENSIONS_MAX} dimensions")
    if not np.isfinite(block).all():
        raise bad_request(f"attribute `{name}`: vector elements must be finite float32 numbers")
    return block


def _uneven(name: str, dimensions: set[int]) -> Exception:
    found = ", ".join(str(size) for size in sorted(dimensions)[:4])
    return bad_request(f"attribute `{name}`: vectors of different dimensions in one write: {found}")
