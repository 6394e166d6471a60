"""The filter grammar, compiled once into a predicate over documents."""

from collections.abc import Callable
from typing import TypeAlias

from . import shapes
from .answers import Refusal, bad_request
from .attribute import Attribute, Schema
from .comparisons import OPERATORS, Test
from .limits import FILTER_DEPTH_MAX
from .textfilters import TEXT_OPERATORS, check_options
from .types import Type
from .values import Attributes, Id, Value, read_id, spelling

# What a predicate is told: the id, what is stored, and what is being written (conditions only).
Predicate: TypeAlias = Callable[[Id, Attributes, Attributes], bool]

NOTHING: Attributes = {}

# With these, `{"$ref_new": attr}` may stand in the value position.
_REFERRING = frozenset({"Eq", "NotEq", "Lt", "Lte", "Gt", "Gte"})


def compiled(filter_: object, schema: Schema, *, references: bool = False) -> Predicate:
    """Compile a filter. `references` allows `{"$ref_new": attr}`, which only conditions may use."""
    return _compile(filter_, schema, references, FILTER_DEPTH_MAX)


def named_ids(filter_: object, schema: Schema) -> list[Id] | None:
    """List the only ids that a compiled filter can match, where it names them; else None.

    Fetching by id is common, and must not look at every row of the namespace.
    """
    match filter_:
        case ["id", "Eq", operand] if operand is not None:
            return [read_id(operand, schema["id"].type)]
        case ["id", "In", list(operands)]:
            type_ = schema["id"].type
            return [read_id(operand, type_) for operand in operands if operand is not None]
        case ["And", list(clauses)]:
            named = (named_ids(clause, schema) for clause in clauses)
            return next((ids for ids in named if ids is not None), None)
    return None


def _compile(filter_: object, schema: Schema, references: bool, depth_left: int) -> Predicate:
    if depth_left == 0:
        raise bad_request(f"filters: nested deeper than {FILTER_DEPTH_MAX} levels")
    parts = shapes.sequence("filters", filter_)
    match parts:
        case ["And" | "Or" as word, list(clauses)]:
            tests = [_compile(clause, schema, references, depth_left - 1) for clause in clauses]
            return _all(tests) if word == "And" else _any(tests)
        case ["Not", list(clause)]:
            inner = _compile(clause, schema, references, depth_left - 1)
            return lambda id_, stored, new: not inner(id_, stored, new)
        case [str(name), str(op), operand, *options] if len(options) <= 1:
            return _leaf(name, op, operand, options, schema, references)
    raise bad_request(
        "filters: expected [attribute, operator, value], [And|Or, [filters]] or [Not, filter]"
    )


def _all(tests: list[Predicate]) -> Predicate:
    return lambda id_, stored, new: all(test(id_, stored, new) for test in tests)


def _any(tests: list[Predicate]) -> Predicate:
    return lambda id_, stored, new: any(test(id_, stored, new) for test in tests)


def is_operator(word: object) -> bool:
    """Whether a word in the second place makes an array a filter."""
    return word in OPERATORS or word in TEXT_OPERATORS


def _leaf(
    name: str, op: str, operand: object, given: list[object], schema: Schema, references: bool
) -> Predicate:
    if not is_operator(op):
        raise bad_request(f"filter error in key `{name}`: unknown operator {op}")
    entry = known(name, schema)
    options = shapes.mapping(op, given[0]) if given and given[0] is not None else {}

    def test_for(value: object) -> Test:
        try:
            if op in TEXT_OPERATORS:
                return TEXT_OPERATORS[op](op, entry, value, options)
            check_options(op, options, set())
            return OPERATORS[op](op, entry.type, value)
        except Refusal as fault:
            raise Refusal(fault.status, f"filter error in key `{name}`: {fault.text}") from fault

    if op not in TEXT_OPERATORS:
        _check_index(name, op, entry)
    if isinstance(operand, dict) and "$ref_new" in operand:
        if not references:
            raise bad_request(
                f"filter error in key `{name}`: $ref_new is allowed in conditions only"
            )
        source = shapes.text("$ref_new", operand["$ref_new"])
        _check_reference(name, op, entry, known(source, schema))
        return _referring(name, source, entry.type, test_for)
    test = test_for(operand)
    if name == "id":
        return lambda id_, stored, new: test(id_)
    return lambda id_, stored, new: test(stored.get(name))


def known(name: str, schema: Schema) -> Attribute:
    entry = schema.get(name)
    if entry is None:
        raise bad_request(f"filter error in key `{name}`: attribute not found")
    if entry.is_building:
        # The documents of May 2026 say 202, later material says 409.
        raise Refusal(409, f"an index of attribute `{name}` is still being built")
    return entry


def _referring(
    name: str, source: str, type_: Type, test_for: Callable[[object], Test]
) -> Predicate:
    def test(id_: Id, stored: Attributes, new: Attributes) -> bool:
        value: Value | None = id_ if name == "id" else stored.get(name)
        written = new.get(source)
        # Operators read operands as JSON spells them, and a stored datetime is a number.
        return test_for(None if written is None else spelling(type_, written))(value)

    return test


def _check_reference(name: str, op: str, entry: Attribute, source: Attribute) -> None:
    if op not in _REFERRING:
        raise bad_request(f"filter error in key `{name}`: {op} does not take $ref_new")
    # Stored datetimes are numbers here, so a reference across types would compare unlike things.
    if entry.type != source.type:
        raise bad_request(
            f"filter error in key `{name}`: type mismatch, "
            f"{op} expects {entry.type.name}, but got {source.type.name}"
        )


def _check_index(name: str, op: str, entry: Attribute) -> None:
    """Refuse an attribute that has no index for the operator."""
    if op == "Regex":
        allowed = entry.regex
    elif op.endswith("Glob"):
        allowed = entry.glob or entry.filterable
    else:
        allowed = entry.filterable
    if not allowed:
        need = "regex" if op == "Regex" else "filterable"
        raise bad_request(f"filter error in key `{name}`: attribute is not {need}")
