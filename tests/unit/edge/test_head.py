"""Sorting request headers."""

import pytest

from hevfast.core.errors import GatewayError
from hevfast.edge.head import Head

IDENTITY = (b"accept-encoding", b"identity")


def test_end_to_end_headers_are_forwarded_in_order() -> None:
    raw = [(b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3"), (b"accept-encoding", b"gzip")]
    assert Head(raw).forward == raw


def test_what_frames_a_hop_is_not_forwarded() -> None:
    head = Head(
        [
            (b"host", b"x"),
            (b"content-length", b"12"),
            (b"transfer-encoding", b"chunked"),
            (b"expect", b"100-continue"),
            (b"te", b"trailers"),
            (b"authorization", b"Bearer k"),
            (b"content-encoding", b"gzip"),
        ]
    )
    assert head.forward == [IDENTITY]
    assert (head.length, head.chunked) == (12, True)
    assert (head.authorization, head.encoding) == (b"Bearer k", b"gzip")


def test_headers_named_by_connection_are_dropped_wherever_they_stand() -> None:
    raw = [(b"x-a", b"1"), (b"connection", b"X-A,  x-b"), (b"connection", b"x-c"), (b"x-b", b"1")]
    assert Head([*raw, (b"x-c", b"1"), (b"x-d", b"1")]).forward == [(b"x-d", b"1"), IDENTITY]


def test_an_accept_encoding_for_this_hop_becomes_identity() -> None:
    raw = [(b"accept-encoding", b"gzip"), (b"connection", b"accept-encoding")]
    assert Head(raw).forward == [IDENTITY]


def test_two_authorizations_make_an_empty_one() -> None:
    raw = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")]
    assert Head(raw).authorization == b""


def test_codings_of_several_headers_are_joined() -> None:
    raw = [(b"content-encoding", b"gzip"), (b"content-encoding", b"br")]
    assert Head(raw).encoding == b"gzip,br"


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1 ", b"1,1", b"0x1", b"9" * 20])
def test_a_length_that_is_no_number_is_refused(value: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        Head([(b"content-length", value)])
    assert caught.value.code == "bad_request"
