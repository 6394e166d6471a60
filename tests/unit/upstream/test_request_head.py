"""The head of a request: these bytes and no others, whatever a header tries to smuggle in."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hevfast.core.errors import GatewayError
from hevfast.upstream.request_head import RequestHead, check_fields

HEAD = RequestHead("https://tpuf.example:8443/prefix")


def test_head_is_exactly_this() -> None:
    headers = [(b"authorization", b"Bearer k"), (b"x-a", b"1"), (b"x-a", "é".encode())]
    assert HEAD.build("POST", "/v2/namespaces/ns?a=%20b", headers, 12) == (
        b"POST /prefix/v2/namespaces/ns?a=%20b HTTP/1.1\r\nhost: tpuf.example:8443\r\n"
        b"authorization: Bearer k\r\nx-a: 1\r\nx-a: \xc3\xa9\r\ncontent-length: 12\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "length"),
    [("GET", b""), ("POST", b"content-length: 0\r\n"), ("DELETE", b"content-length: 0\r\n")],
)
def test_request_without_a_body_says_so_if_it_might_have_one(method: str, length: bytes) -> None:
    expected = b"%b /prefix/ HTTP/1.1\r\nhost: tpuf.example:8443\r\n%b\r\n"
    assert HEAD.build(method, "/", [], None) == expected % (method.encode(), length)


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("http://A.example", b"A.example"),
        ("http://a.example:80", b"a.example"),
        ("https://a.example:443/", b"a.example"),
        ("https://a.example:80", b"a.example:80"),
        ("http://[::1]:8080/x", b"[::1]:8080"),
    ],
)
def test_host_is_named_as_the_standard_says(base: str, host: bytes) -> None:
    assert b"\r\nhost: %b\r\n" % host in RequestHead(base).build("GET", "/", [], None)


BREAKS = [b"\r", b"\n", b"\r\n", b"\0", b"a\r\nx: y", b"a\r\n\r\nGET / HTTP/1.1"]


@pytest.mark.parametrize("text", BREAKS)
def test_line_breaks_and_nul_are_refused_in_every_header(text: bytes) -> None:
    for pair in ((b"x", text), (text, b"x"), (b"x", b"a" + text + b"b")):
        for headers in ([pair], [(b"a", b"b"), pair], [pair, (b"a", b"b")]):
            with pytest.raises(GatewayError, match="header"):
                HEAD.build("POST", "/", headers, 1)
            with pytest.raises(GatewayError, match="header"):
                check_fields(headers)


@pytest.mark.parametrize("target", ["", "/a b", "/a\r\nx: y", "/\n", "/\0", "/é", "/\x7f", "/\t"])
def test_target_that_would_break_the_request_line_is_refused(target: str) -> None:
    with pytest.raises(GatewayError, match="path or query"):
        HEAD.build("GET", target, [], None)


def test_value_that_is_not_utf8_is_refused_by_both_ways() -> None:
    with pytest.raises(GatewayError, match="UTF-8"):
        HEAD.build("GET", "/", [(b"x", b"caf\xe9")], None)
    with pytest.raises(GatewayError, match="UTF-8"):
        check_fields([(b"x", b"caf\xe9")])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"x-a", b"accept", b"x-stainless-lang"]),
            st.lists(
                st.sampled_from([b"a", b" b", b"\r", b"\n", b"\0", b":", b"\xc3\xa9", b"\xff", b""])
            ).map(b"".join),
        )
    )
)
def test_whatever_is_let_through_is_one_request_with_these_headers(
    headers: list[tuple[bytes, bytes]],
) -> None:
    """Judged by a parser that is not ours."""
    try:
        data = HEAD.build("POST", "/x", headers, 0)
    except GatewayError:
        assert any(set(value) & set(b"\r\n\0") or b"\xff" in value for _, value in headers)
        return
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert request.target == b"/prefix/x"
    expected = [(name, value.strip(b" ")) for name, value in headers]
    assert list(request.headers)[1:-1] == expected
    assert isinstance(server.next_event(), h11.EndOfMessage)
    assert server.next_event() is h11.NEED_DATA
