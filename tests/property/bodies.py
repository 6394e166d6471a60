"""Strategies that give bodies as lists of tokens: soups, legal bodies, and legal ones mutated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.oracle.vocabulary import KNOWN_KEYS
from tests.property import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence


COMPACT = (b"",) * 12
WHITE = st.sampled_from(
    COMPACT + tokens.WHITE + tuple(b" " * length for length in (31, 32, 33, 63, 64, 65))
)
GOOD_STRINGS = st.lists(st.sampled_from(tokens.GOOD_TEXTS), max_size=5).map(
    lambda texts: b'"' + b"".join(texts) + b'"'
)
ANY_TEXTS = tokens.GOOD_TEXTS + tokens.BAD_TEXTS * 3
ANY_STRINGS = st.lists(st.sampled_from(ANY_TEXTS), max_size=5).map(
    lambda texts: b'"' + b"".join(texts) + b'"'
)


def _spelled(names: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw a name between quotes, in plain spelling half of the time."""
    plain = [b'"' + name + b'"' for name in names]
    escaped = [b'"' + form + b'"' for name in names for form in tokens.spellings(name)]
    return st.one_of(st.sampled_from(plain), st.sampled_from(escaped))


ANY_NAMES = _spelled(tokens.NAMES)
RESERVED_NAMES = _spelled(tokens.RESERVED_NAMES[:2] * 4 + tokens.RESERVED_NAMES)
SOUP_TOKENS = st.one_of(
    st.sampled_from(tokens.STRUCTURE),
    st.sampled_from(tokens.STRUCTURE + tokens.WHITE + tokens.NOT_WHITE),
    st.sampled_from(tokens.FRAGMENTS),
    st.sampled_from(tokens.FRAGMENTS),
    st.sampled_from(tokens.GOOD_NUMBERS + tokens.ODD_NUMBERS + tokens.NOT_NUMBERS),
    st.sampled_from(tokens.LITERALS + tokens.BAD_LITERALS),
    st.sampled_from(tokens.RAW_RUNS + tokens.BAD_TEXTS),
    st.sampled_from(tokens.DEEP),
    ANY_NAMES,
    ANY_NAMES.map(lambda name: name + b":"),
    ANY_STRINGS,
)
SOUPS = st.builds(
    lambda opening, rest: [opening, *rest],
    st.sampled_from((b"", b"", *tokens.FRAGMENTS)),
    st.lists(SOUP_TOKENS, min_size=1, max_size=10),
)

NUMBERS = st.sampled_from(tokens.GOOD_NUMBERS)
NUMBERS_IN_ARRAYS = st.sampled_from(tokens.GOOD_NUMBERS + tokens.ODD_NUMBERS)
SCALARS = st.one_of(NUMBERS, GOOD_STRINGS, st.sampled_from(tokens.LITERALS))
IDS = st.one_of(
    st.sampled_from([b'"' + text + b'"' for text in tokens.ID_TEXTS]),
    st.sampled_from([b"0", b"1", b"42", b"18446744073709551615", b"-1.5e3", b"7" * 64]),
    st.integers(0, 100).map(lambda size: b'"' + b"x" * size + b'"'),
    GOOD_STRINGS.filter(lambda spelled: b"_hevlayer:" not in spelled),
)
MANY_IDS = st.lists(IDS, min_size=1, max_size=30)
FLOATS = st.sampled_from(
    (b"1", b"7", b"0.1", b"-1.5", b"12", b"1e-7", b"0.3333333333333333", b"-0")
)


@st.composite
def number_arrays(draw: st.DrawFn) -> list[bytes]:
    """Draw a flat array: the bulk of real bodies, read on the scanner's fastest path."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        numbers = [draw(FLOATS)] * draw(st.sampled_from((1, 2, 7, 8, 16, 31, 32, 33, 64, 65)))
    elif kind == 1:
        numbers = draw(st.lists(FLOATS, min_size=1, max_size=5)) * draw(st.integers(1, 60))
    else:
        numbers = draw(st.lists(NUMBERS_IN_ARRAYS, min_size=1, max_size=8))
    separator = draw(st.sampled_from((b",", b",", b",", b", ", b" ,", b",\n  ")))
    joined = [token for number in numbers for token in (separator, number)][1:]
    return [b"[", *joined, b"]"]


@st.composite
def values(draw: st.DrawFn, depth: int = 0) -> list[bytes]:
    """Draw any JSON value."""
    kind = draw(st.integers(0, 9 if depth < 2 else 3))
    if kind <= 2 or kind in (7, 8):
        return [draw(SCALARS)]
    if kind == 3:
        return draw(number_arrays())
    if kind == 4:
        items = draw(st.lists(values(depth + 1), max_size=3))
        return draw(array(items))
    if kind == 5:
        names = draw(st.lists(ANY_NAMES, max_size=3))
        members = [(name, draw(values(depth + 1))) for name in names]
        return draw(json_object(members))
    return [draw(st.sampled_from(tokens.DEEP[2::5] + tokens.DEEP[3::5]))]


@st.composite
def array(draw: st.DrawFn, items: list[list[bytes]]) -> list[bytes]:
    joined: list[bytes] = [b"[", draw(WHITE)]
    for index, item in enumerate(items):
        joined += [b","] * (index > 0) + [draw(WHITE), *item, draw(WHITE)]
    return [*joined, b"]"]


@st.composite
def json_object(draw: st.DrawFn, members: list[tuple[bytes, list[bytes]]]) -> list[bytes]:
    joined: list[bytes] = [b"{", draw(WHITE)]
    for index, (key, value) in enumerate(members):
        joined += [b","] * (index > 0)
        joined += [draw(WHITE), key, draw(WHITE), b":", draw(WHITE), *value, draw(WHITE)]
    return [*joined, b"}"]


@st.composite
def vector_values(draw: st.DrawFn, name: bytes) -> list[bytes]:
    if name == b"vectors":
        items = draw(
            st.lists(st.one_of(number_arrays(), GOOD_STRINGS.map(lambda s: [s])), min_size=1)
        )
        return draw(array(items[:3]))
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return [b"null"]
    if kind == 1:
        return [b'"' + draw(st.sampled_from(tokens.BASE64)) + b'"']
    return draw(number_arrays())


@st.composite
def members_of_row(draw: st.DrawFn, patch: bool) -> list[tuple[bytes, list[bytes]]]:
    """Draw an id and other attributes, in any order; rarely one that is not allowed."""
    names = draw(
        st.lists(st.sampled_from((b"title", b"a", b"i", b"vector", b"x" * 40)), max_size=3)
    )
    members = [(draw(_spelled([b"id"])), [draw(IDS)])]
    for name in names:
        if name != b"vector":
            members.append((draw(_spelled([name])), draw(values(1))))
        elif not patch:
            name = draw(st.sampled_from((b"vector", b"vectors")))
            members.append((draw(_spelled([name])), draw(vector_values(name))))
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 0, 0, 1, 1, 2)))):
        members.append((draw(RESERVED_NAMES), draw(values())))
    if draw(st.integers(0, 15)) == 0:
        members.append((draw(ANY_NAMES), draw(values())))
    return draw(st.permutations(members))


@st.composite
def rows(draw: st.DrawFn, patch: bool) -> list[bytes]:
    count = draw(st.integers(0, 4))
    return draw(array([draw(json_object(draw(members_of_row(patch)))) for _ in range(count)]))


@st.composite
def columns(draw: st.DrawFn, patch: bool) -> list[bytes]:
    count = draw(st.integers(1, 5))

    def column(elements: st.SearchStrategy) -> list[bytes]:
        # A column of another length is a fault: let it happen now and then.
        length = count + (draw(st.integers(0, 15)) == 0)
        return draw(array([draw(elements) for _ in range(length)]))

    members = [(draw(_spelled([b"id"])), column(IDS.map(lambda spelled: [spelled])))]
    for name in draw(
        st.lists(st.sampled_from((b"a", b"title", b"vector", b"vectors")), max_size=3)
    ):
        if not name.startswith(b"vector"):
            members.append((draw(_spelled([name])), column(values(2))))
        elif not patch:
            members.append((draw(_spelled([name])), column(vector_values(name))))
    if draw(st.integers(0, 5)) == 0:
        members.append((draw(RESERVED_NAMES), draw(values())))
    return draw(json_object(draw(st.permutations(members))))


@st.composite
def patches_by_filter(draw: st.DrawFn) -> list[bytes]:
    attributes = [
        (draw(_spelled((b"title", b"a", b"id", b"blobs"))), draw(values()))
        for _ in range(draw(st.integers(0, 2)))
    ]
    if draw(st.integers(0, 4)) == 0:
        attributes.append((draw(RESERVED_NAMES), draw(values())))
    members = [
        (draw(_spelled([b"patch"])), draw(json_object(attributes))),
        (draw(_spelled([b"filters"])), draw(values())),
    ]
    return draw(json_object(draw(st.permutations(members))))


@st.composite
def operations(draw: st.DrawFn, name: bytes) -> list[bytes]:
    """Draw the value of a top-level key."""
    if name.endswith(b"_rows"):
        return draw(rows(name.startswith(b"patch")))
    if name.endswith(b"_columns"):
        return draw(columns(name.startswith(b"patch")))
    if name == b"deletes":
        return draw(array([[draw(IDS)] for _ in range(draw(st.integers(0, 5)))]))
    if name == b"patch_by_filter":
        return draw(patches_by_filter())
    if name == b"schema":
        members = [(draw(ANY_NAMES), draw(values(1))) for _ in range(draw(st.integers(0, 3)))]
        return draw(json_object(members))
    return draw(values())


# The row operations come up more often than the keys whose values are skipped.
OPERATION_NAMES = tuple(KNOWN_KEYS) + tuple(KNOWN_KEYS)[:7] * 8
UNKNOWN_NAMES = _spelled((b"unknown", b"", b"vector", b"id", *tokens.NEAR_NAMES))


@st.composite
def legal_bodies(draw: st.DrawFn) -> list[bytes]:
    """Draw a body that is a good write nearly always, as tokens."""
    names = draw(st.lists(st.sampled_from(OPERATION_NAMES), min_size=1, max_size=3, unique=True))
    members = [(draw(_spelled([name])), draw(operations(name))) for name in names]
    if draw(st.integers(0, 3)) == 0:
        members.append((draw(UNKNOWN_NAMES), draw(values())))
    body = draw(json_object(draw(st.permutations(members))))
    return [draw(WHITE), *body, draw(WHITE)]


MUTATION_BYTES = st.one_of(
    st.sampled_from(
        [bytes([byte]) for byte in b'{}[],:"\\ \n0-+.eEtfn_iu\x00\x1f\x7f\x80\xc3\xff']
    ),
    st.integers(0, 255).map(lambda byte: bytes([byte])),
)


RESERVED_IDS = st.sampled_from([b'"' + text + b'"' for text in tokens.RESERVED_IDS])
ANY_SCALARS = st.one_of(
    ANY_NAMES,
    ANY_NAMES,
    RESERVED_NAMES,
    RESERVED_IDS,
    ANY_STRINGS,
    SCALARS,
    st.sampled_from(tokens.ODD_NUMBERS + tokens.NOT_NUMBERS + tokens.BAD_LITERALS),
    st.sampled_from((b"{}", b"[]", b"[[]]", b"[{}]", b"[null]", b"[true,1]", b'""', b"null")),
)


@st.composite
def mutated_bodies(draw: st.DrawFn) -> list[bytes]:
    """Draw a legal body with one change to a token, to a byte, or to where it ends."""
    pieces: list[bytes] = draw(legal_bodies())
    pieces = [piece for piece in pieces if piece]
    if draw(st.integers(0, 3)) < 2:
        # A value or key gives way to another one: the body stays JSON and is another write.
        places = [at for at, piece in enumerate(pieces) if piece[0] not in b"{}[],: \t\n\r"]
        at = draw(st.sampled_from(places))
        return [*pieces[:at], draw(ANY_SCALARS), *pieces[at + 1 :]]
    if draw(st.booleans()):
        pieces = [bytes([byte]) for byte in b"".join(pieces)]
        replacement = MUTATION_BYTES
    else:
        replacement = SOUP_TOKENS
    at = draw(st.integers(0, len(pieces) - 1))
    change = draw(st.integers(0, 9))
    if change <= 1:
        return pieces[:at] + pieces[at + 1 :]
    if change <= 4:
        return [*pieces[:at], draw(replacement), *pieces[at:]]
    if change <= 7:
        return [*pieces[:at], draw(replacement), *pieces[at + 1 :]]
    if change == 8:
        return [*pieces[:at], pieces[at], *pieces[at:]]
    return pieces[:at]


def joined(strategy: st.SearchStrategy[list[bytes]]) -> st.SearchStrategy[bytes]:
    return strategy.map(b"".join)


ANY_BODIES = st.one_of(joined(SOUPS), joined(mutated_bodies()), joined(legal_bodies()))
