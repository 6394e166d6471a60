"""Tokens of hostile bodies: whole and broken pieces of JSON to be drawn in lists and joined."""

from __future__ import annotations

from tests.oracle.vocabulary import KNOWN_KEYS

# A block of the scanner is 32 or 64 bytes: what happens at 31 or 65 may differ.
RUN_LENGTHS = (1, 2, 15, 16, 17, 30, 31, 32, 33, 34, 62, 63, 64, 65, 66, 127, 128, 129)

STRUCTURE = (b"{", b"}", b"[", b"]", b",", b":", b'"')
WHITE = (b" ", b"\t", b"\n", b"\r", b" \r\n\t")
NOT_WHITE = (b"\x0b", b"\x0c", b"\x00", b"\xa0", b"\xc2\xa0", b"\xef\xbb\xbf", b"\x7f", b"//", b"#")

GOOD_ESCAPES = (
    rb"\"",
    rb"\\",
    rb"\/",
    rb"\b",
    rb"\f",
    rb"\n",
    rb"\r",
    rb"\t",
    rb"\u0000",
    rb"\u0022",
    rb"\u005c",
    rb"\u005C",
    rb"\u00e9",
    rb"\uFFFF",
    rb"\uabcd",
    rb"\uABCD",
    rb"\ud83d\ude00",
    rb"\uD83D\uDE00",
)
# The grammar allows them, whatever upstream thinks.
LONE_SURROGATES = (rb"\ud800", rb"\uDBFF", rb"\udc00", rb"\uDFFF", rb"\udc00\ud800", rb"\ud800\n")
BAD_ESCAPES = (
    rb"\a",
    rb"\x41",
    rb"\'",
    rb"\0",
    rb"\U0041",
    rb"\u",
    rb"\u1",
    rb"\u12",
    rb"\u123",
    rb"\u12g4",
    rb"\u 123",
    rb"\uD83",
    rb"\u-123",
    b"\\\n",
    b"\\\x00",
    b"\\\xc3\xa9",
    b"\\u00\xc3\xa9",
)
GOOD_UTF8 = (
    b"\x7f",
    b"\xc2\x80",
    b"\xc3\xa9",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xe2\x82\xac",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbf\xbf",
    b"\xf0\x90\x80\x80",
    b"\xf0\x9f\x98\x80",
    b"\xf3\xbf\xbf\xbf",
    b"\xf4\x8f\xbf\xbf",
)
BAD_UTF8 = (
    b"\x80",
    b"\xbf",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xc2",
    b"\xc2\x7f",
    b"\xc3\xc3",
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xe2\x82",
    b"\xe2\x28\xa1",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
)
CONTROLS = (b"\x00", b"\x01", b"\x08", b"\t", b"\n", b"\r", b"\x1f")
PLAIN = (b"a", b"z", b" ", b"/", b"_", b"0", b"'", b"{", b"]", b",", b":", b"abc def", b"\x7f")

TEXT_RUNS = tuple(
    text * length
    for text in (b"A", b"/", rb"\\", rb"\"", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"1", b" ", b",")
    for length in RUN_LENGTHS
)
BASE64 = tuple(
    (b"AACAPwAAAEAAAEBAzczMPQ" * 12)[:length] for length in (*RUN_LENGTHS, 255, 256, 257)
)
GOOD_TEXTS = PLAIN + GOOD_ESCAPES + LONE_SURROGATES + GOOD_UTF8 + TEXT_RUNS + BASE64
BAD_TEXTS = BAD_ESCAPES + BAD_UTF8 + CONTROLS

# Raw runs, outside of strings or cutting through them.
RAW_RUNS = tuple(
    text * length
    for text in (b"1", b'"', b"\\", b" ", b"\n", b"\xc3\xa9", b"A", b"1,", b",", b"[", b"{", b"]")
    for length in (31, 32, 33, 63, 64, 65)
)

GOOD_NUMBERS = (
    b"0",
    b"-0",
    b"1",
    b"-1",
    b"10",
    b"0.5",
    b"-12.25e+3",
    b"1E5",
    b"1e-7",
    b"0e0",
    b"18446744073709551615",
    b"9" * 31,
    b"9" * 32,
    b"9" * 33,
    b"9" * 64,
    b"0." + b"3" * 62,
    b"-0." + b"3" * 63,
)
ODD_NUMBERS = (
    b"+1",
    b".5",
    b"1.",
    b"01",
    b"-",
    b"+",
    b"--1",
    b"1e",
    b"1e+",
    b"e5",
    b"E",
    b"1.2.3",
    b"-01",
    b"1e5e5",
    b"1-2",
    b"-.5",
    b"00",
    b"-e",
    b".",
)
NOT_NUMBERS = (b"1x", b"0x10", b"1_000", b"NaN", b"Infinity", b"-Infinity", b"1a", b"1E5f")
LITERALS = (b"true", b"false", b"null")
BAD_LITERALS = (
    b"tru",
    b"True",
    b"nul",
    b"nulll",
    b"falsee",
    b"fals",
    b"t",
    b"f",
    b"n",
    b"truefalse",
)

DEEP = tuple(
    piece
    for depth in (3, 31, 64, 508, 509, 510, 511, 512, 513)
    for piece in (
        b"[" * depth,
        b"]" * depth,
        b"[" * depth + b"]" * depth,
        b'{"a":' * depth + b"1" + b"}" * depth,
        b'[{"":' * (depth // 2) + b"[]" + b"}]" * (depth // 2),
    )
)

RESERVED_NAMES = (
    b"_hevlayer_upserted_at",
    b"_hevlayer_shard",
    b"_hevlayer_shard_count",
    b"_hevlayer_upserted_at_",
    b"_hevlayer_",
    b"_hevlayer_x",
)
NEAR_NAMES = (
    b"_hevlayer",
    b"_hevlayerx",
    b"_hevlaye_",
    b"hevlayer_",
    b"_Hevlayer_x",
    b"__hevlayer_",
    b"_hevlayer:x",
    b"i",
    b"id_",
    b"ID",
    b"d",
    b"vecto",
    b"vectorss",
    b"blob",
    b"",
    b"upsert_row",
    b"upsert_rowss",
    b"upsert",
    b"patche",
    b"schem",
    b"shardin",
    b"deletess",
    b"delete_by_filter_",
    # An escape's letter is not the letter.
    rb"\blobs",
    rb"vec\tor",
    rb"\filters",
    rb"pa\tch",
    rb"_hevlaye\r_x",
    rb"\u0069\u0064\u0000",
)
ATTRIBUTES = (b"id", b"vector", b"vectors", b"blobs", b"patch", b"filters", b"title", b"a")
TOP_LEVEL_NAMES = (*KNOWN_KEYS, b"upserts", b"patches")
NAMES = TOP_LEVEL_NAMES + ATTRIBUTES + RESERVED_NAMES + NEAR_NAMES

ID_TEXTS = (
    b"a",
    b"doc-1",
    b"",
    b"\xc3\xa9",
    b"x" * 31,
    b"x" * 32,
    b"x" * 33,
    b"y" * 64,
    b"asin-B08N5WRWNW-0",
    rb"\u0061",
    rb"\ud83d\ude00",
    rb"\ud800",
    rb"\udfff\ud800\udc00",
    rb"a\/b\"c\\d\n",
    b"_hevlayer;",
    b"_hevlayer",
    b"_hevlayer_x",
    rb"\u005fhevlayer",
    rb"\u0000",
)
RESERVED_IDS = (
    b"_hevlayer:",
    b"_hevlayer:namespace_meta",
    rb"\u005fhevlayer:x",
    rb"_hevlayer\u003a",
    rb"_hevl\u0061yer\u003Ax",
)


def spellings(name: bytes) -> list[bytes]:
    """Return a key as plain text first, then with escapes here and there."""

    def escaped(index: int, form: bytes) -> bytes:
        return name[:index] + form % name[index] + name[index + 1 :]

    spelled = [name]
    if name:
        spelled += [escaped(0, rb"\u%04x"), escaped(len(name) - 1, rb"\u%04X")]
        spelled.append(escaped(len(name) // 2, rb"\u%04x"))
        spelled.append(b"".join(rb"\u%04x" % byte for byte in name))
    return spelled


# Values that some places take and others refuse.
MISFITS = (
    b'""',
    b'"a"',
    b"{}",
    b"[]",
    b"[[]]",
    b"[{}]",
    b"[null]",
    b"[1]",
    b'["a"]',
    b"[true]",
    b"[[1],false]",
    b"[1,null]",
    b"[1,2]",
    b"[1 2]",
    b"[,1]",
    b"[1,]",
    b"[+1]",
    b'[["a",{}],[[]]]',
    b"}",
    b"]",
    b",",
    b":",
    b"\\",
    b"x",
    b"'",
)

# Where a member may stand: what comes before it and what closes it.
PLACES = (
    (b"{", b"}"),
    (b'{"upsert_rows":[{"id":1,', b"}]}"),
    (b'{"upsert_rows":[{', b',"id":"a"},{"id":2}]}'),
    (b'{"patch_rows":[{"id":1,', b"}]}"),
    (b'{"upsert_columns":{"id":[1,2],', b"}}"),
    (b'{"upsert_columns":{', b',"id":[1]}}'),
    (b'{"patch_columns":{"id":["a"],', b"}}"),
    (b'{"patch_by_filter":{"patch":{', b"}}}"),
    (b'{"patch_by_filter":{', b"}}"),
    (b'{"schema":{', b"}}"),
    (b'{"deletes":[1],"a":[{', b"}]}"),
)

# Wholly formed pieces: they take a soup of tokens further into the body than brackets do.
FRAGMENTS = (
    b'{"upsert_rows":[{"id":1,',
    b'{"upsert_rows":[',
    b'{"upsert_columns":{"id":[1,2],',
    b'{"upsert_columns":{',
    b'{"patch_rows":[{"id":"a",',
    b'{"patch_columns":{"id":["a"],',
    b'{"deletes":[',
    b'"deletes":[1],',
    b'{"patch_by_filter":{"patch":{',
    b'{"patch_by_filter":{',
    b'{"schema":{',
    b'{"a":',
    b'"id":1,',
    b'"id":"a"',
    b'"vector":[1,2],',
    b'"vectors":[[1],[2]]',
    b'{"id":2},',
    b"]}",
    b"}}",
    b"}]}",
)

# One body of each form, small enough to be broken at every byte.
SAMPLE_BODIES = (
    b'{"upsert_rows":[{"id":"a\\u0062\xc3\xa9","vector":[0.1,-2e5,3],"t":[1,"x"]},'
    b'{"_hevlayer_shard":[1],"id":7,"vector":"AACAPw==","n":null}],"schema":{"a":true}}',
    b' {"deletes" : [1, "b", 22 ],\n"upsert_columns":{"vector":[[1,2],"AA",null],'
    b'"id":["x",2,"\\n"],"_hevlayer_upserted_at":0}} ',
    b'{"patch_rows":[{"a":{"b":[{}]},"id":-1.5},{"id":""}],"patch_columns":{"id":[5]},'
    b'"patch_by_filter":{"filters":["a","Eq",1],"patch":{"_hevlayer_upserted_at":1,"a":2}}}',
    b'{"upsert_rows":[{"id":1,"vector":[' + b"1.25," * 50 + b"1]},"
    b'{"vectors":[[1,2],"AA"],"id":"' + b"A" * 80 + b'"}]}',
)
