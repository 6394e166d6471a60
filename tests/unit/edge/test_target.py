"""The target of the request to upstream."""

import pytest

from hevfast.core.errors import GatewayError
from hevfast.edge.target import target_of


def target(query: bytes) -> str:
    return target_of({"raw_path": b"/v2/namespaces/ns", "query_string": query})


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", ""),
        (b"a=1", "?a=1"),
        (b"stainless_overload=x", ""),
        (b"stainless_overload=x&a=%20", "?a=%20"),
        (b"a&stainless_overload&&b", "?a&&b"),
        (b"stainless_overload2=1", "?stainless_overload2=1"),
        (b'a="<>[]{}|\\^`', '?a="<>[]{}|\\^`'),
    ],
)
def test_only_the_overload_parameter_is_taken_out(query: bytes, kept: str) -> None:
    assert target(query) == "/v2/namespaces/ns" + kept


@pytest.mark.parametrize("query", [b"a b", b"a\r\nx", b"\xc3\xa9", b"a#b", b"\x00", b"\x7f"])
def test_bytes_that_have_no_place_in_a_query_are_refused(query: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        target(query)
    assert caught.value.code == "bad_request"
