"""Numbers: exact outside of arrays, runs of number bytes inside."""

from tests.contract.json.case import accepted, forwarded, rejected

GOOD = {
    "zero": b"0",
    "minus zero": b"-0",
    "one": b"1",
    "minus one": b"-1",
    "two digits": b"10",
    "twenty digits": b"18446744073709551615",
    "beyond 64 bits": b"18446744073709551616",
    "a thousand digits": b"9" * 1000,
    "fraction": b"0.5",
    "fraction of minus zero": b"-0.0",
    "fraction with zeros behind": b"1.500",
    "long fraction": b"0." + b"3" * 100,
    "exponent": b"1e5",
    "exponent in capitals": b"1E5",
    "exponent with plus": b"1e+5",
    "exponent with minus": b"1e-5",
    "exponent of zero": b"0e0",
    "exponent with zeros in front": b"1e0005",
    "exponent out of range": b"1e999",
    "exponent far out of range": b"-1e-99999",
    "fraction and exponent": b"-12.25E+3",
    "31 digits": b"1" * 31,
    "32 digits": b"1" * 32,
    "33 digits": b"1" * 33,
    "63 digits": b"1" * 63,
    "64 digits": b"1" * 64,
    "65 digits": b"1" * 65,
}

# Wrong as numbers, though made of number bytes only: in an array they are upstream's.
ODD = {
    "zero in front": b"01",
    "zeros alone": b"00",
    "minus and zero in front": b"-01",
    "minus alone": b"-",
    "two minuses": b"--1",
    "minus behind": b"1-",
    "minus in between": b"1-2",
    "plus in between": b"1+2",
    "no fraction behind the point": b"1.",
    "no fraction before the exponent": b"1.e5",
    "minus and point": b"-.5",
    "two points": b"1.2.3",
    "points side by side": b"1..2",
    "no digits in the exponent": b"1e",
    "sign alone in the exponent": b"1e+",
    "minus alone in the exponent": b"1e-",
    "two signs in the exponent": b"1e+-5",
    "two exponents": b"1e5e5",
    "exponents side by side": b"1eE5",
    "point in the exponent": b"1e5.5",
    "minus and exponent": b"-e5",
    "zeros in front of a fraction": b"00.5",
    "64 digits and a point": b"1" * 64 + b".",
    "zero in front of 64 digits": b"0" + b"1" * 64,
}

# Outside of arrays no value starts with these; in an array they are runs of number bytes.
ODD_STARTS = {
    "plus": b"+1",
    "plus alone": b"+",
    "point": b".5",
    "point alone": b".",
    "exponent without digits in front": b"e5",
    "capital exponent alone": b"E",
    "plus and minus": b"+-1",
}

NOT_NUMBERS = {
    "hexadecimal": b"0x10",
    "octal": b"0o7",
    "binary": b"0b1",
    "underscore": b"1_000",
    "letter behind": b"1a",
    "float suffix": b"1.0f",
    "long suffix": b"10L",
    "NaN": b"NaN",
    "nan": b"nan",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "inf": b"inf",
    "minus NaN": b"-NaN",
    "full-width digit": b"\xef\xbc\x91",
    "arabic digit behind": b"1\xd9\xa1",
    "space after the minus": b"- 1",
    "space in the exponent": b"1e 5",
    "space before the point": b"1 .5",
    "slash": b"1/2",
    "colon behind": b"1:2",
    "quote behind": b'1"',
    "NUL behind": b"1\x00",
    "byte of 0x80 behind": b"1\x80",
}


def _in_arrays(names: dict[str, bytes], where: str, form: bytes) -> dict[str, bytes]:
    return {f"{name} {where}": form % text for name, text in names.items()}


CASES = [
    *accepted(GOOD),
    *rejected(ODD | ODD_STARTS | NOT_NUMBERS),
    *accepted(_in_arrays(GOOD, "in an array", b"[%s]")),
    *accepted(_in_arrays(GOOD, "between others in an array", b"[0,%s ,\n1]")),
    *forwarded(_in_arrays(ODD | ODD_STARTS, "in an array", b"[%s]")),
    *forwarded(_in_arrays(ODD | ODD_STARTS, "in an array of arrays", b"[[1],[2, %s],3]")),
    *rejected(_in_arrays(NOT_NUMBERS, "in an array", b"[%s]")),
    *rejected(_in_arrays(ODD | ODD_STARTS, "in an object in an array", b'[{"a":%s}]')),
    *rejected(_in_arrays(NOT_NUMBERS, "after sixty numbers", b"[" + b"1," * 60 + b"%s]")),
]
