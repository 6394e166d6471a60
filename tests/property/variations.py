"""Strategies of many bodies: a place is drawn, and all that may go wrong there comes in turn."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.oracle.vocabulary import KNOWN_KEYS
from tests.property import tokens
from tests.property.bodies import FLOATS, WHITE

TEXTS_IN_STRINGS = (
    tokens.PLAIN
    + tokens.GOOD_ESCAPES
    + tokens.LONE_SURROGATES
    + tokens.GOOD_UTF8
    + tokens.BAD_TEXTS
    + (b'"',)
)
VALUES_ANYWHERE = (
    tokens.GOOD_NUMBERS
    + tokens.ODD_NUMBERS
    + tokens.NOT_NUMBERS
    + tokens.LITERALS
    + tokens.BAD_LITERALS
    + tokens.MISFITS
    + tuple(b'"' + text + b'"' for text in tokens.RESERVED_IDS)
    + tuple(b"[" * depth + b"]" * depth for depth in (508, 509, 510))
)
SHORT_TEXTS = st.lists(
    st.sampled_from(tokens.PLAIN + tokens.GOOD_ESCAPES + tokens.GOOD_UTF8), max_size=3
).map(b"".join)
RUNS_OF_TEXT = st.one_of(
    SHORT_TEXTS,
    st.builds(lambda size, text: b"A" * size + text, st.integers(0, 200), SHORT_TEXTS),
    st.sampled_from(tokens.TEXT_RUNS),
)


TOP_VALUE_NAMES = tuple(KNOWN_KEYS)
EVERY_BYTE = tuple(bytes([byte]) for byte in range(256))
SMALL_CHANGES = (b",", b" ", b"1", b"-", b"x", b"]", b'"', b"[", b", ", b"")
DIGIT_COUNTS = (1, 2, 7, 8, 9, 14, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65)
LONG_NAMES = tuple(b"k" * size for size in (15, 29, 30, 31, 32, 33))
SHAPE_NAMES = (b"a", b"title", b"vector", b"vector", b"vector", b"i", b"idx", *LONG_NAMES)


class Bodies(list[bytes]):
    """Many bodies, of which a failing test is not to print all."""

    def __repr__(self) -> str:
        return f"<{len(self)} bodies, the first is {self[:1]!s:.300}>"


@st.composite
def bodies_of_one_text(draw: st.DrawFn) -> list[bytes]:
    """Draw a place in a string, and return a body for each text that may stand there."""
    before, after = draw(st.sampled_from(tokens.PLACES))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        before, after = before + b'"', b'":1' + after
    elif kind == 1:
        before, after = before + b'"a":"', b'"' + after
    else:
        before, after = b'{"deletes":["', b'","b"]}'
    before = draw(WHITE) + before + draw(RUNS_OF_TEXT)
    after = draw(st.sampled_from((b"", b'"', draw(SHORT_TEXTS) + after)))
    return Bodies(before + text + after for text in TEXTS_IN_STRINGS)


@st.composite
def bodies_of_one_key(draw: st.DrawFn) -> list[bytes]:
    """Draw a place of a key, and return a body for each name, spelled in a way that was drawn."""
    before, after = draw(st.sampled_from(tokens.PLACES))
    value = draw(st.sampled_from((b"1", b"[1]", b"[[1]]", b"{}", b"[]", b'"a"', b"null", b"[1,2]")))
    between = draw(st.sampled_from((b"", b"", b'"id":3,', b'"a":[],')))
    spelling = draw(st.integers(0, 4))
    before += draw(WHITE) + between
    bodies = []
    for name in tokens.NAMES:
        spelled = tokens.spellings(name)
        key = b'"' + spelled[spelling % len(spelled)] + b'":'
        twice = b"," + key + b"0" if draw(st.integers(0, 9)) == 0 else b""
        bodies.append(before + key + value + twice + after)
    return Bodies(bodies)


@st.composite
def bodies_of_one_value(draw: st.DrawFn) -> list[bytes]:
    """Draw a place of a value, and return a body for each value that may stand there or not."""
    before, after = draw(st.sampled_from(tokens.PLACES))
    name = draw(st.sampled_from((*tokens.ATTRIBUTES, *tokens.RESERVED_NAMES, *TOP_VALUE_NAMES)))
    before += b'"' + name + b'":' + draw(WHITE)
    opening, closing = draw(
        st.sampled_from(((b"", b""), (b"", b""), (b"[", b"]"), (b"[1,", b"]"), (b"[[],", b',"b"]')))
    )
    after = draw(st.sampled_from((b"", closing + after, closing + after, closing + after)))
    return Bodies(before + opening + value + after for value in VALUES_ANYWHERE)


@st.composite
def bodies_of_one_integer(draw: st.DrawFn) -> list[bytes]:
    """Draw a run of digits outside of arrays, and return a body for each way it may go on."""
    before, after = draw(st.sampled_from(tokens.PLACES))
    name = draw(st.sampled_from((b"id", b"a", b"vector", b"schema")))
    sign = draw(st.sampled_from((b"", b"", b"-", b"0", b"-0", b"1.", b"1e", b"1.5e+")))
    digits = draw(st.sampled_from((b"0", b"1", b"5", b"9"))) * draw(st.sampled_from(DIGIT_COUNTS))
    before += b'"' + name + b'":' + draw(WHITE) + sign + digits
    more = draw(st.sampled_from((b"", b"0", b"7" * 16, b"3" * 31)))
    after = draw(st.sampled_from((b"", more + after, more + after)))
    return Bodies(before + byte + after for byte in (*EVERY_BYTE[:128], b"\xc3\xa9", b""))


@st.composite
def bodies_of_long_numbers(draw: st.DrawFn) -> list[bytes]:
    """Draw an array of several blocks, and return a body for each place or kind of one change."""
    pattern = b",".join(draw(st.lists(FLOATS, min_size=1, max_size=3))) + b","
    numbers = pattern * (260 // len(pattern))
    opening, closing = draw(
        st.sampled_from(
            (
                (b'{"upsert_columns":{"a":[', b'0],"id":[1]}}'),
                (b'{"upsert_rows":[{"id":1,"vector":[', b"0]},{}]}"),
                (b'{"upsert_rows":[{"vectors":[[1],[', b'0]],"id":1}]}'),
                (b'{"deletes":[', b"0]}"),
            )
        )
    )
    before = draw(WHITE) + opening + b"1" * draw(st.integers(0, 3))
    replaced = draw(st.integers(0, 1))
    first = draw(st.integers(0, 120))
    changes = draw(st.sampled_from((*SMALL_CHANGES, None)))
    if changes is None:
        places = [(first, byte) for byte in EVERY_BYTE]
    else:
        places = [(at, changes) for at in range(first, first + 66)]
    return Bodies(
        before + numbers[:at] + change + numbers[at + replaced :] + closing for at, change in places
    )


@st.composite
def bodies_of_rows_alike(draw: st.DrawFn) -> list[bytes]:
    """Draw rows with the same keys, and return a body for each way one member of one differs."""
    names = draw(st.lists(st.sampled_from(SHAPE_NAMES), max_size=3, unique=True))
    names.insert(draw(st.integers(0, len(names))), b"id")
    colon = draw(st.sampled_from((b":", b":", b" :", b": ", b":\n" + b" " * 31)))
    comma = draw(st.sampled_from((b",", b",", b", ", b" ,")))
    count = draw(st.integers(1, 5))
    members = [
        [b'"' + name + b'"' + colon + _value_of(name, row) for name in names]
        for row in range(count)
    ]
    row, at = draw(st.integers(0, count - 1)), draw(st.integers(0, len(names) - 1))
    rows = [b"{" + comma.join(each) + b"}" for each in members]
    opening, closing = draw(
        st.sampled_from(
            (
                (b'{"upsert_rows":[', b"]}"),
                (b'{"patch_rows":[', b"]}"),
                (b'{"upsert_rows":[' + b",".join(rows) + b'],"patch_rows":[', b"]}"),
                (b'{"upsert_rows":[' + b",".join(rows) + b'],"patch_rows":[', b"]}"),
                (b'{"patch_rows":[', b'],"upsert_rows":[' + b",".join(rows) + b"]}"),
            )
        )
    )
    bodies = []
    for changed in _changes_of_members(members[row], at, names[at], colon, row):
        other = b"{" + comma.join(changed) + b"}"
        bodies.append(opening + b",".join([*rows[:row], other, *rows[row + 1 :]]) + closing)
    for other in (*tokens.MISFITS, *tokens.LITERALS, b"1", b"+", b"-", b""):
        bodies.append(opening + b",".join([*rows[:row], other, *rows[row + 1 :]]) + closing)
    whole = bodies[0]
    ends = draw(st.sampled_from(((), range(len(whole) - 40, len(whole)), range(20, 60))))
    return Bodies([*bodies, *(whole[:end] for end in ends)])


def _value_of(name: bytes, row: int) -> bytes:
    if name == b"vector":
        return b"[0.5,%d]" % row
    return b"%d" % row if row % 2 else b'"x%d"' % row


def _changes_of_members(
    members: list[bytes], at: int, name: bytes, colon: bytes, row: int
) -> list[list[bytes]]:
    """Return the members unchanged, then with the one at `at` different in all ways."""
    value = _value_of(name, row)
    others = [*tokens.NAMES, name + b"x", name + b"\x7f", name[:-1], name[:-1] + b"_", name * 2]
    others += [b"j" + name[1:], name[:1] + b"j" + name[2:]]
    spelled = [*tokens.spellings(name)[1:], *others, name.upper(), rb"\u0069d"]
    ways = [b'"' + other + b'"' + colon + value for other in spelled]
    ways += [b'"' + name + b'"' + white + b":" + value for white in (b"", b" ", b"\t", b" " * 33)]
    ways += [b'"' + name + b'":' + b" " * white + value for white in (0, 1, 2, 32)]
    ways += [b'"' + name + b'"' + bad + value for bad in (b"", b"::", b",", b";", b'":', b":,")]
    ways += [b'"' + name + b'":' + bad for bad in tokens.MISFITS]
    ways += [name + b":" + value, b"", b'"' + name, b'"' + name + b'"', b'"' + name + b"\\"]
    changed = [members] + [[*members[:at], way, *members[at + 1 :]] for way in ways]
    changed.append(members[:at] + members[at + 1 :])
    changed.append([*members[:at], members[at], *members[at:]])
    changed.append([*members, members[at]])
    changed.append(members[::-1])
    the_id = b'"id"' + colon + b"7"
    changed += [[*members[:n], the_id, *members[n + 1 :]] for n in range(len(members))]
    changed.append([b'"z":0', *members])
    changed.append([*members, b'"_hevlayer_shard":1'])
    return changed


VARIATIONS = {
    "text": bodies_of_one_text(),
    "key": bodies_of_one_key(),
    "value": bodies_of_one_value(),
    "integer": bodies_of_one_integer(),
    "long numbers": bodies_of_long_numbers(),
    "rows alike": bodies_of_rows_alike(),
}
