"""Which answer headers travel on."""

from hevfast.core.headers import answer_headers


def test_order_and_repeats_are_kept_and_names_are_lower_case() -> None:
    raw = ((b"X-B", b"1"), (b"X-A", b"2"), (b"X-B", b"3"))
    assert answer_headers(raw) == [(b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3")]


def test_hop_headers_are_dropped() -> None:
    raw = (
        (b"Connection", b"close, X-Mine"),
        (b"X-Mine", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Server", b"x"),
        (b"Upgrade", b"x"),
    )
    assert answer_headers(raw) == []


def test_connection_cannot_name_the_headers_that_frame_the_body() -> None:
    raw = ((b"Connection", b"content-length"), (b"Content-Length", b"3"))
    assert answer_headers(raw) == [(b"content-length", b"3")]
