"""One setting: its row in the table, and how its value is read from text.

A parser takes the text of a variable and gives the value, or raises ValueError with a sentence
that follows the variable's name and its text, such as "is not a whole number".
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table: everything about a setting but its name and its value."""

    variable: str
    kind: str
    parse: Callable[[str], Any]
    unit: str
    bounds: str
    secret: bool
    help: str


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,20}", text) is None:
            raise ValueError("is not a whole number")
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"is outside {low}..{high}")
        return value

    return parse


def choice(names: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"is none of: {', '.join(names)}")
        return text

    return parse


def pattern(expression: str, expected: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if re.fullmatch(expression, text) is None:
            raise ValueError(f"is not {expected}")
        return text

    return parse


def base_url(text: str) -> str:
    """Check a base URL and give it without its trailing slash."""
    if re.fullmatch(r"[A-Za-z0-9\-._~:/\[\]@?#=&]+", text) is None:
        raise ValueError("holds a character that has no place in a base URL")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or a password")
    if "?" in text or "#" in text:
        raise ValueError("must not hold a query or a fragment")
    if not parts.hostname:
        raise ValueError("has no host")
    try:
        parts.port  # noqa: B018 - reading it is the check
    except ValueError as error:
        raise ValueError("has a port that is not a number from 0 to 65535") from error
    path = parts.path.rstrip("/")
    if any(segment in ("", ".", "..") for segment in path.split("/")[1:]):
        raise ValueError("has an empty or dot segment in its path")
    return f"{parts.scheme}://{parts.netloc}{path}"


def text_setting(variable: str, kind: str, default: Any, parse: Callable[[str], Any], help: str,
          *, bounds: str = "", secret: bool = False) -> Any:  # fmt: skip
    row = Row(variable, kind, parse, "", bounds, secret, help)
    return dataclasses.field(default=default, repr=not secret, metadata={"row": row})


def number_setting(variable: str, default: int, low: int, high: int, unit: str, help: str) -> Any:
    row = Row(variable, "integer", integer(low, high), unit, f"{low}..{high}", False, help)
    return dataclasses.field(default=default, metadata={"row": row})


def choice_setting(variable: str, names: tuple[str, ...], help: str) -> Any:
    """Give a setting with a few values, the first the default."""
    bounds = " | ".join(names)
    return text_setting(variable, "choice", names[0], choice(names), help, bounds=bounds)
