"""Filters over full text: tokens in a document, and words that are nearly there."""

from collections.abc import Callable
from typing import Any, TypeAlias

from . import shapes
from .analysis import Analyzer, analyzer_of
from .answers import bad_request, bad_shape
from .attribute import Attribute
from .comparisons import Test
from .limits import PATTERN_CHARS_MAX
from .types import Kind
from .values import type_name

Maker: TypeAlias = Callable[[str, Attribute, object, dict[str, object]], Test]


def read_tokens(
    analyzer: Analyzer, op: str, operand: object, options: dict[str, object]
) -> tuple[list[str], str]:
    """Read the operand of a token filter, text or a list of tokens, and `last_as_prefix`."""
    check_options(op, options, {"last_as_prefix"})
    as_prefix = shapes.boolean("last_as_prefix", options.get("last_as_prefix", False))
    if isinstance(operand, str):
        if analyzer.is_pre_tokenized:
            operand = [operand]
        return analyzer.query_tokens(operand, as_prefix)
    if not isinstance(operand, list) or not all(isinstance(part, str) for part in operand):
        raise bad_request(
            f"type mismatch, {op} expects string or []string, but got {type_name(operand)}"
        )
    return analyzer.query_tokens(operand, as_prefix)


def check_options(op: str, options: dict[str, object], allowed: set[str]) -> None:
    for name in options:
        if name not in allowed:
            raise bad_shape(f"{op}: unknown field `{name}`")


def _analyzer(op: str, entry: Attribute) -> Analyzer:
    if entry.full_text_search is None:
        raise bad_request(f"{op} needs an attribute with full_text_search")
    return analyzer_of(entry.full_text_search)


def _holding(op: str, entry: Attribute, operand: object, options: dict[str, object]) -> Test:
    """`ContainsAllTokens` and `ContainsAnyToken`; a query without tokens matches nothing."""
    analyzer = _analyzer(op, entry)
    tokens, prefix = read_tokens(analyzer, op, operand, options)
    wanted = set(tokens)
    every = op == "ContainsAllTokens"

    def test(stored: Any) -> bool:
        if stored is None or not (wanted or prefix):
            return False
        held = set(analyzer.tokens(stored))
        begun = bool(prefix) and any(token.startswith(prefix) for token in held)
        if every:
            return wanted <= held and (begun or not prefix)
        return begun or not wanted.isdisjoint(held)

    return test


def _sequence(op: str, entry: Attribute, operand: object, options: dict[str, object]) -> Test:
    analyzer = _analyzer(op, entry)
    check_options(op, options, set())
    wanted, _ = read_tokens(analyzer, op, operand, {})

    def test(stored: Any) -> bool:
        if stored is None or not wanted:
            return False
        held = analyzer.tokens(stored)
        size = len(wanted)
        return any(held[at : at + size] == wanted for at in range(len(held) - size + 1))

    return test


def _fuzzy(op: str, entry: Attribute, operand: object, options: dict[str, object]) -> Test:
    """A part of the text is within an edit distance that grows with the query's length.

    That it is a part of the text, and not all of it, is unconfirmed.
    """
    if not entry.fuzzy:
        raise bad_request(f"{op} needs an attribute with fuzzy")
    if entry.type.kind is not Kind.STRING or not isinstance(operand, str):
        raise bad_request(f"type mismatch, {op} expects string, but got {type_name(operand)}")
    if len(operand) > PATTERN_CHARS_MAX:
        raise bad_request(f"{op}: a query has at most {PATTERN_CHARS_MAX} characters")
    check_options(op, options, {"max_edit_distance", "case_sensitive"})
    farthest = _edit_distance_max(len(operand), options.get("max_edit_distance"))
    exact_case = shapes.boolean("case_sensitive", options.get("case_sensitive", True))
    wanted = operand if exact_case else operand.lower()

    def test(stored: Any) -> bool:
        if stored is None or farthest is None:
            return False
        texts = stored if isinstance(stored, list) else [stored]
        return any(
            _nearest_part(wanted, text if exact_case else text.lower()) <= farthest
            for text in texts
            if text is not None
        )

    return test


def _edit_distance_max(chars: int, steps: object) -> int | None:
    """The distance of the last step that the query is long enough for; None if there is none."""
    allowed: int | None = None
    for raw in shapes.sequence("max_edit_distance", steps):
        step = shapes.mapping("max_edit_distance", raw)
        least = shapes.count("min_query_chars", step.get("min_query_chars"))
        distance = shapes.count("distance", step.get("distance"))
        if least < 3 * (distance + 1):
            raise bad_request("Fuzzy: min_query_chars must be at least 3 * (distance + 1)")
        if chars >= least:
            allowed = distance if allowed is None else max(allowed, distance)
    return allowed


def _nearest_part(wanted: str, text: str) -> int:
    """The least edit distance from `wanted` to any part of `text` (Sellers' algorithm)."""
    costs = list(range(len(wanted) + 1))
    best = costs[-1]
    for char in text:
        before = costs[0]
        for at, expected in enumerate(wanted, 1):
            here = min(costs[at] + 1, costs[at - 1] + 1, before + (char != expected))
            before, costs[at] = costs[at], here
        best = min(best, costs[-1])
    return best


TEXT_OPERATORS: dict[str, Maker] = {
    "ContainsAllTokens": _holding,
    "ContainsAnyToken": _holding,
    "ContainsTokenSequence": _sequence,
    "Fuzzy": _fuzzy,
}
