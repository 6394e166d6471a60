"""Structure: brackets, punctuation, literals, white space, depth and what lies around a value."""

from tests.contract.json.case import Case, Expect, accepted, rejected, whole_bodies

GOOD = {
    "true": b"true",
    "false": b"false",
    "null": b"null",
    "empty array": b"[]",
    "empty array with white space": b"[ \t\r\n]",
    "empty object": b"{}",
    "empty object with white space": b"{ \t\r\n}",
    "array of one": b"[null]",
    "array of everything": b'[1,"a",true,false,null,[],{}]',
    "nested arrays": b"[[],[[]],[[[]]]]",
    "object of one": b'{"a":1}',
    "object of everything": b'{"a":1,"b":"c","d":true,"e":null,"f":[],"g":{}}',
    "nested objects": b'{"a":{"b":{"c":{}}}}',
    "empty key": b'{"":0}',
    "the same key twice": b'{"a":1,"a":2}',
    "a reserved name further in": b'{"_hevlayer_x":1}',
    "white space everywhere": b' [ 1 ,\t{ "a"\n:\r2 } , [ ] ] ',
    "65 spaces": b" " * 65 + b"[" + b"\n" * 65 + b"]" + b"\t" * 65,
    "literals side by side in an array": b"[true,false,null,true]",
    "a hundred elements": b"[" + b"null," * 99 + b"null]",
    "a hundred members": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(100)) + b"}",
}

BAD = {
    "comma in front of the first element": b"[,1]",
    "comma behind the last element": b"[1,]",
    "two commas": b"[1,,2]",
    "comma alone in an array": b"[,]",
    "no comma between numbers": b"[1 2]",
    "no comma between strings": b'["a""b"]',
    "no comma between arrays": b"[[][]]",
    "no comma between objects": b"[{}{}]",
    "no comma between literals": b"[true false]",
    "literals run together": b"[truefalse]",
    "colon in an array": b"[1:2]",
    "semicolon in an array": b"[1;2]",
    "array closed with a brace": b"[1}",
    "object closed with a bracket": b'{"a":1]',
    "brackets crossed": b'[{"a":[}]]',
    "comma in front of the first member": b'{,"a":1}',
    "comma behind the last member": b'{"a":1,}',
    "two commas between members": b'{"a":1,,"b":2}',
    "no comma between members": b'{"a":1 "b":2}',
    "comma alone in an object": b"{,}",
    "no colon": b'{"a" 1}',
    "two colons": b'{"a"::1}',
    "comma for a colon": b'{"a",1}',
    "equals sign for a colon": b'{"a"=1}',
    "key alone": b'{"a"}',
    "key and colon alone": b'{"a":}',
    "value alone": b"{1}",
    "number as key": b"{1:2}",
    "literal as key": b"{null:1}",
    "array as key": b"{[]:1}",
    "key without quotes": b"{a:1}",
    "key in single quotes": b"{'a':1}",
    "string in single quotes": b"'a'",
    "colon alone in an object": b"{:1}",
    "True": b"True",
    "TRUE": b"TRUE",
    "tru": b"tru",
    "truee": b"truee",
    "true1": b"true1",
    "fals": b"fals",
    "falsy": b"falsy",
    "nul": b"nul",
    "nil": b"nil",
    "nulll": b"nulll",
    "None": b"None",
    "undefined": b"undefined",
    "literal with a space in it": b"nu ll",
    "tru in an array": b"[tru]",
    "nulL in an array": b"[nulL]",
    "line comment": b"1 // one",
    "block comment": b"/* one */ 1",
    "hash comment": b"# one\n1",
    "comment in an array": b"[1,/* two */2]",
    "byte order mark": b"\xef\xbb\xbf1",
    "byte order mark behind": b"1\xef\xbb\xbf",
    "byte order mark in an array": b"[\xef\xbb\xbf1]",
    "backslash outside of strings": b"\\1",
    "escape outside of strings": rb"\u0031",
    "nothing": b"",
    "white space alone": b" \n",
    "function call": b"f(1)",
    "plus sign between strings": b'"a"+"b"',
    "letter": b"a",
    "at sign": b"@",
    "backtick": b"`a`",
    "trailing byte 0xFF": b"1\xff",
}

NOT_WHITE_SPACE = {
    "vertical tab": b"\x0b",
    "form feed": b"\x0c",
    "NUL": b"\x00",
    "backspace": b"\x08",
    "unit separator": b"\x1f",
    "DEL": b"\x7f",
    "byte 0x85": b"\x85",
    "byte 0xA0": b"\xa0",
    "no-break space": b"\xc2\xa0",
    "next line": b"\xc2\x85",
    "line separator": b"\xe2\x80\xa8",
    "em space": b"\xe2\x80\x83",
    "ideographic space": b"\xe3\x80\x80",
    "zero-width space": b"\xe2\x80\x8b",
}

# These run to the end of the text, so that nothing can be put behind them.
UNFINISHED = {
    "bracket": b"[",
    "bracket and number": b"[1",
    "bracket, number and comma": b"[1,",
    "brace": b"{",
    "brace and key": b'{"a"',
    "brace, key and colon": b'{"a":',
    "brace and member": b'{"a":1',
    "brace, member and comma": b'{"a":1,',
    "quote": b'"',
    "string": b'"a',
    "string and backslash": b'"a\\',
    "string and escaped quote": b'"a\\"',
    "string and two digits": b'"\\u00',
    "string and half a sequence": b'"\xe2\x82',
    "string of 64 bytes": b'"' + b"A" * 63,
    "nested": b'[{"a":[{"b":[',
    "literal": b"[tru",
    "65 brackets": b"[" * 65,
}
UNOPENED = {
    "closing bracket": b"]",
    "closing brace": b"}",
    "array and closing bracket": b"[1]]",
    "object and closing brace": b"{}}",
    "comma behind": b"[1],",
    "comma alone": b",",
    "colon alone": b":",
    "two values": b"1 2",
    "two arrays": b"[1][2]",
    "two objects": b"{} {}",
    "string behind a value": b'1"a"',
    "letter behind an object": b"{}x",
    "newline-delimited objects": b'{"a":1}\n{"a":2}\n',
    "NUL behind": b"{}\x00",
}


def _nested(opening: bytes, inner: bytes, closing: bytes, levels: int) -> bytes:
    return opening * levels + inner + closing * levels


# As an attribute's value a text starts at level 4, as a whole body at level 1.
DEEP = [
    Case("509 arrays", _nested(b"[", b"", b"]", 509), Expect.ACCEPT, deep=True),
    Case("509 objects", _nested(b'{"a":', b"1", b"}", 509), Expect.ACCEPT, deep=True),
    Case("513 arrays", _nested(b"[", b"", b"]", 513), Expect.REJECT, deep=True),
    Case("513 objects", _nested(b'{"a":', b"1", b"}", 513), Expect.REJECT, deep=True),
    Case("513 brackets alone", b"[" * 513, Expect.REJECT, deep=True),
    Case("100,000 brackets alone", b"[" * 100_000, Expect.REJECT, deep=True),
    Case("512 arrays", _nested(b"[", b"", b"]", 512), Expect.ACCEPT, embeds=False, deep=True),
    Case(
        "256 of both", _nested(b'[{"":', b"[]", b"}]", 255), Expect.ACCEPT, embeds=False, deep=True
    ),
    Case("side by side, not deep", b"[" + b"[]," * 600 + b"[]]", Expect.ACCEPT),
    Case(
        "side by side in depth",
        b"[" * 500 + b"[],{}," * 9 + b"0" + b"]" * 500,
        Expect.ACCEPT,
        deep=True,
    ),
]

CASES = [
    *accepted(GOOD),
    *rejected(BAD),
    *rejected({f"{name} for white space": byte + b"1" for name, byte in NOT_WHITE_SPACE.items()}),
    *rejected(
        {f"{name} in an array": b"[1," + byte + b"2]" for name, byte in NOT_WHITE_SPACE.items()}
    ),
    *rejected(
        {
            f"{name} before a colon": b'{"a"' + byte + b":1}"
            for name, byte in NOT_WHITE_SPACE.items()
        }
    ),
    *whole_bodies(UNFINISHED | UNOPENED, Expect.REJECT),
    *DEEP,
]
