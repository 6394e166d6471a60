"""Checks of JSON shape, with messages worded as the service's decoder words them."""

from typing import cast

from .answers import bad_shape


def describe(value: object) -> str:
    """Name a JSON value as the decoder of the service does: `map`, `sequence`, `string "x"`."""
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f'string "{value[:100]}"'
        case list():
            return "sequence"
        case _:
            return "map"


def wrong_type(field: str, value: object, expected: str) -> Exception:
    return bad_shape(f"{field}: invalid type: {describe(value)}, expected {expected}")


def sequence(field: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise wrong_type(field, value, "a sequence")
    return cast("list[object]", value)


def mapping(field: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise wrong_type(field, value, "a map")
    return cast("dict[str, object]", value)


def text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type(field, value, "a string")
    return value


def boolean(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(field, value, "a boolean")
    return value


def count(field: str, value: object) -> int:
    """Check a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(field, value, "usize")
    if value < 0:
        raise bad_shape(f"{field}: invalid value: integer `{value}`, expected usize")
    return value


def texts(field: str, value: object) -> list[str]:
    return [text(field, item) for item in sequence(field, value)]
