"""Reading a ranking expression: the score grammar of `rank_by`."""

import re
from collections.abc import Mapping

from . import shapes
from .analysis import analyzer_of
from .answers import bad_request
from .attribute import Schema
from .filters import compiled, is_operator, known
from .limits import FILTER_DEPTH_MAX, QUERY_CHARS_MAX
from .score import (
    AttributeValue,
    Bent,
    Combined,
    Constant,
    Distant,
    FullText,
    Matching,
    Score,
    Sparse,
    Weighted,
)
from .textfilters import check_options
from .types import Kind
from .values import MismatchError, reader_of, type_name

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNIT_MS = {"s": 1e3, "m": 60e3, "h": 3600e3, "d": 86400e3, "w": 604800e3}
_NUMBERS = frozenset({Kind.INT, Kind.UINT, Kind.FLOAT, Kind.DATETIME})


def is_score(parts: list[object]) -> bool:
    """Whether an array begins as one of the score forms does."""
    match parts:
        case [str(word), *_] if word in _READERS or word in ("And", "Or", "Not"):
            return True
        case [str(), str(word), *_]:
            return word in ("BM25", "SparseKNN") or is_operator(word)
    return False


def parse_score(value: object, schema: Schema) -> Score:
    """Read an expression whose score decides alone."""
    score = _parse(value, schema, FILTER_DEPTH_MAX)
    if score.is_signed:
        raise bad_request(
            "rank_by: a score that may be negative needs Max, Saturate or Decay around it"
        )
    return score


def _parse(value: object, schema: Schema, depth_left: int) -> Score:
    if depth_left == 0:
        raise bad_request(f"rank_by: nested deeper than {FILTER_DEPTH_MAX} levels")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Constant(_weight(value))
    parts = shapes.sequence("rank_by", value)
    match parts:
        case [str(word), *_] if word in _READERS:
            return _READERS[word](parts, schema, depth_left - 1)
        case [str(name), "BM25", query, *options] if len(options) <= 1:
            given = shapes.mapping("BM25", options[0]) if options else {}
            return _full_text(name, query, given, schema)
        case [str(name), "SparseKNN", query]:
            return _sparse(name, query, schema)
    return Matching(compiled(value, schema))


def _combined(parts: list[object], schema: Schema, depth_left: int) -> Score:
    """The parts are one array; the documents also show them bare."""
    match parts:
        case [_, [] | [list(), *_] | [int() | float(), *_] as inner]:
            pass
        case [_, *inner]:
            pass
    if not inner:
        raise bad_request(f"rank_by: {parts[0]} needs at least one clause")
    scores = [_parse(part, schema, depth_left) for part in inner]
    return Combined(scores, takes_largest=parts[0] == "Max")


def _product(parts: list[object], schema: Schema, depth_left: int) -> Score:
    match parts:
        case [_, int() | float() as weight, inner]:
            pass
        case [_, inner, int() | float() as weight]:
            pass
        case _:
            raise bad_request("rank_by: Product needs a weight and a clause")
    return Weighted(_weight(weight), _parse(inner, schema, depth_left))


def _attribute(parts: list[object], schema: Schema, depth_left: int) -> Score:
    match parts:
        case [_, str(name)]:
            type_ = known(name, schema).type
            if type_.is_array or type_.kind not in _NUMBERS or name == "id":
                raise bad_request(f"rank_by: Attribute needs a number, `{name}` is {type_.name}")
            return AttributeValue(name, is_signed=type_.kind is not Kind.UINT)
    raise bad_request("rank_by: expected [Attribute, name]")


def _bent(parts: list[object], schema: Schema, depth_left: int) -> Score:
    match parts:
        case [str(word), inner, dict(raw)]:
            options = shapes.mapping(word, raw)
            check_options(word, options, {"midpoint", "exponent"})
            midpoint = _magnitude(f"{word}.midpoint", options.get("midpoint"))
            exponent = _magnitude(f"{word}.exponent", options.get("exponent", 1))
            score = _parse(inner, schema, depth_left)
            return Bent(score, midpoint, exponent, decays=word == "Decay")
    raise bad_request(f"rank_by: expected [{parts[0]}, clause, {{midpoint, exponent}}]")


def _distant(parts: list[object], schema: Schema, depth_left: int) -> Score:
    match parts:
        case [_, ["Attribute", str(name)] as inner, origin]:
            try:
                read = reader_of(known(name, schema).type)(origin)
            except MismatchError as fault:
                raise bad_request(f"rank_by: Dist: {fault}") from fault
            score = _parse(inner, schema, depth_left)
            assert isinstance(read, int | float)
            return Distant(score, float(read))
        case [_, inner, int() | float() as origin]:
            return Distant(_parse(inner, schema, depth_left), float(origin))
    raise bad_request("rank_by: expected [Dist, clause, origin]")


def _full_text(name: str, query: object, options: Mapping[str, object], schema: Schema) -> Score:
    settings = known(name, schema).full_text_search
    if settings is None:
        raise bad_request(f'rank_by: field "{name}" has no full_text_search index')
    analyzer = analyzer_of(settings)
    is_list = isinstance(query, list) and all(isinstance(part, str) for part in query)
    if not (is_list if analyzer.is_pre_tokenized else isinstance(query, str) or is_list):
        expected = "[]string" if analyzer.is_pre_tokenized else "string"
        raise bad_request(
            f"invalid input {query!r} ({type_name(query)}) for rank_by field "
            f'"{name}", expecting {expected}'
        )
    words: list[str] = [query] if isinstance(query, str) else list(map(str, query or ()))  # type: ignore[call-overload]  # is_list says that it is a list of strings
    if sum(map(len, words)) > QUERY_CHARS_MAX:
        raise bad_request(f"rank_by: a query has at most {QUERY_CHARS_MAX} characters")
    check_options("BM25", dict(options), {"last_as_prefix"})
    as_prefix = shapes.boolean("last_as_prefix", options.get("last_as_prefix", False))
    tokens, prefix = analyzer.query_tokens(words, as_prefix)
    return FullText(name, tokens, prefix)


def _sparse(name: str, query: object, schema: Schema) -> Score:
    entry = known(name, schema)
    type_ = entry.type
    if type_.kind is not Kind.SPARSE or not entry.sparse_knn:
        raise bad_request(
            f"rank_by: attribute `{name}` is {type_.name}, not a sparse vector with sparse_knn"
        )
    try:
        read = reader_of(type_)(query)
    except MismatchError as fault:
        raise bad_request(f"rank_by: {fault}") from fault
    assert isinstance(read, dict)
    return Sparse(name, read)


def _weight(value: float) -> float:
    if isinstance(value, bool) or value < 0:
        raise bad_request(f"rank_by: a weight is a number of at least 0, found {value}")
    return float(value)


def _magnitude(name: str, value: object) -> float:
    """Read a number above zero, or a length of time such as `7d`, which is in milliseconds."""
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        value = float(found[1]) * _UNIT_MS[found[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise bad_request(f"rank_by: {name} must be a number above 0 or a duration such as 7d")
    return float(value)


_READERS = {
    "Sum": _combined,
    "Max": _combined,
    "Product": _product,
    "Attribute": _attribute,
    "Saturate": _bent,
    "Decay": _bent,
    "Dist": _distant,
}
