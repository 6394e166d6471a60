"""One case of the conformance corpus."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Expect(Enum):
    """What becomes of a text."""

    ACCEPT = "is RFC 8259 text"
    REJECT = "is not RFC 8259 text, and is refused"
    FORWARDED = "is not RFC 8259 text, and yet for upstream to judge"


@dataclass(frozen=True, slots=True)
class Case:
    """A text, and how it is judged as an attribute's value and as a whole body."""

    name: str
    text: bytes
    expect: Expect
    # A text that would end the row it is put into says something as a whole body only.
    embeds: bool = True
    # Our bound on depth, and recursion, are beyond the RFC: the standard library is not asked.
    deep: bool = False


def accepted(cases: dict[str, bytes]) -> list[Case]:
    return [Case(name, text, Expect.ACCEPT) for name, text in cases.items()]


def rejected(cases: dict[str, bytes]) -> list[Case]:
    return [Case(name, text, Expect.REJECT) for name, text in cases.items()]


def forwarded(cases: dict[str, bytes]) -> list[Case]:
    return [Case(name, text, Expect.FORWARDED) for name, text in cases.items()]


def whole_bodies(cases: dict[str, bytes], expect: Expect) -> list[Case]:
    return [Case(name, text, expect, embeds=False) for name, text in cases.items()]
