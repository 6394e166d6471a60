"""A conformance corpus of RFC 8259, as the scanner has to judge it."""
