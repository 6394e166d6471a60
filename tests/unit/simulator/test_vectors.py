"""Vectors in bulk: decoding, growth, shortest spelling."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hevfast.simulator.answers import Refusal
from hevfast.simulator.types import parse
from hevfast.simulator.vectors import VectorColumn, base64_of, fit, numbers_of, shortest, stack


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("zczMPc3MTD6amZk+", [0.1, 0.2, 0.3]),
        ("zczMPgAAAD+amRk/", [0.4, 0.5, 0.6]),
        ("AACAPwAAAD8=", [1.0, 0.5]),
        ("AACAPgAAAMA=", [0.25, -2.0]),
    ],
)
def test_base64_is_little_endian_float32_both_ways(text: str, numbers: list[float]) -> None:
    block = stack("vector", [text])
    assert numbers_of(block) == [numbers]
    assert base64_of(stack("vector", [numbers])) == [text]


def test_arrays_and_base64_mix_within_one_column() -> None:
    block = stack("vector", [[2, 2], "AACAPwAAAD8=", [0.7, 0.7]])
    assert numbers_of(block) == [[2.0, 2.0], [1.0, 0.5], [0.7, 0.7]]


@pytest.mark.parametrize(
    "vectors",
    [
        [[1, 2], [1, 2, 3]],
        [[1, 2, 3], "AACAPwAAAD8="],
        ["AACAPwAAAD8=", "AACAPw=="],
        ["not base64"],
        ["AACAPwAA"],
        ["AACA\nPwAAAD8="],
        [""],
        [[]],
        [["1", "2"]],
        [[True, False]],
        [[None, 1.0]],
        [[[1.0]]],
        [[1e39]],
        [[10**400]],
        [{"1": 2.0}],
        [3],
        [base64.b64encode(np.array([np.nan], "<f4").tobytes()).decode()],
        [[0.0] * 10_753],
    ],
)
def test_malformed_vectors_are_refused_with_400(vectors: list[object]) -> None:
    with pytest.raises(Refusal) as refused:
        stack("vector", vectors)
    assert refused.value.status == 400
    assert "`vector`" in refused.value.text


def test_wrong_dimension_names_both_sizes() -> None:
    with pytest.raises(Refusal, match="expected 3, got 2"):
        fit("vector", stack("vector", [[1, 2]]), parse("[3]f32"))


def test_f16_and_i8_columns_come_back_with_their_own_element_width() -> None:
    half = fit("v", stack("v", [[0.5, -2.0]]), parse("[2]f16"))
    whole = fit("v", stack("v", [[127, -128]]), parse("[2]i8"))
    assert [len(base64.b64decode(text)) for text in base64_of(half) + base64_of(whole)] == [4, 2]
    assert numbers_of(half) == [[0.5, -2.0]]
    assert numbers_of(whole) == [[127, -128]]


@pytest.mark.parametrize(("type_", "number"), [("[1]i8", 0.5), ("[1]i8", 128), ("[1]f16", 70_000)])
def test_numbers_outside_the_element_type_are_refused(type_: str, number: float) -> None:
    with pytest.raises(Refusal):
        fit("v", stack("v", [[number]]), parse(type_))


def test_column_keeps_its_rows_while_it_grows() -> None:
    column = VectorColumn(parse("[2]f32"))
    for slot in range(100):
        column.reserve(slot + 1)
        column.put([slot], np.array([[slot, -slot]], np.float32))
    assert column.take(np.arange(100))[:, 0].tolist() == list(range(100))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_shortest_equals_the_shortest_decimal_of_each_float32(numbers: list[float]) -> None:
    block = np.array([numbers], np.float32)
    expected = [float(str(number)) for number in block[0]]
    assert shortest(block).tolist() == [expected]


@given(st.integers(-9_999_999, 9_999_999), st.integers(0, 6))
def test_shortest_gives_back_short_decimals_unchanged(digits: int, places: int) -> None:
    number = float(f"{digits}e-{places}")
    assert shortest(np.array([[number]], np.float32)).tolist() == [[number]]
