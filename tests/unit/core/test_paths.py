"""Which paths are writes, which may pass, and which may not."""

import pytest

from hevfast.core.errors import GatewayError
from hevfast.core.paths import check_passthrough, fetched_document, is_namespace, is_write


@pytest.mark.parametrize("name", [b"a", b"A-Z_0.9", b"...", b"-", b"n" * 128])
def test_legal_names(name: bytes) -> None:
    assert is_namespace(name)


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"n" * 129, b"a/b", b"a b", b"a\n", b"\xc3\xa9", b"a%2F", b"a;b"]
)
def test_illegal_names(name: bytes) -> None:
    assert not is_namespace(name)


@pytest.mark.parametrize(
    "path", [b"/v2/namespaces/ns", b"/v2/namespaces/ns/async", b"/v2/namespaces/async"]
)
def test_write_paths(path: bytes) -> None:
    assert is_write("POST", path)
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "post", ""):
        assert not is_write(method, path)


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/namespaces/",
        b"/v2/namespaces",
        b"/v2/namespaces/ns/",
        b"/v2/namespaces/ns/async/",
        b"/v2/namespaces/ns/async/async",
        b"/v2/namespaces/ns/query",
        b"/v2/namespaces//async",
        b"/v2/namespaces/../async",
        b"/v1/namespaces/ns",
        b"",
    ],
)
def test_other_paths_are_no_writes(path: bytes) -> None:
    assert not is_write("POST", path)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "OPTIONS", "post", "CONNECT", "X" * 99])
def test_a_write_path_lets_only_reads_and_deletes_pass(method: str) -> None:
    with pytest.raises(GatewayError) as caught:
        check_passthrough(method, b"/v2/namespaces/ns")
    assert caught.value.status == 405
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"/v2/namespaces/n%73", "bad_request"),
        (b"/v2/namespaces/a b", "bad_request"),
        (b"/v2/namespaces/ns/\x7f", "bad_request"),
        (b"/v2/namespaces/ns/%f", "bad_request"),
        (b"/v2/namespaces/ns/", "not_found"),
        (b"/v2/namespaces/ns/a/../b", "not_found"),
        (b"/v2/namespaces/ns/a%2f%2e%2e", "not_found"),
        (b"/v2/namespaces/ns/%25252525252e", "not_found"),
        (b"/v1/Namespaces/ns", "not_found"),
        (b"/v1//namespaces", "not_found"),
    ],
)
def test_spellings_that_are_refused_for_any_method(path: bytes, code: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        with pytest.raises(GatewayError) as caught:
            check_passthrough(method, path)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "path",
    [b"/v1", b"/v1/namespaces", b"/v2/namespaces", b"/v2/namespaces/ns/x/a%2Fb", b"/v1/new/thing"],
)
def test_paths_that_pass(path: bytes) -> None:
    check_passthrough("GET", path)
    check_passthrough("POST", path)


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("GET", b"/v2/namespaces/ns/documents/a", (b"ns", b"a")),
        ("HEAD", b"/v2/namespaces/ns/documents/a", (b"ns", b"a")),
        ("GET", b"/v2/namespaces/ns/documents/a/b//c/", (b"ns", b"a/b//c/")),
        ("GET", b"/v2/namespaces/ns/documents/%2F%2541", (b"ns", b"/%41")),
        ("GET", b"/v2/namespaces/documents/documents/documents", (b"documents", b"documents")),
        ("POST", b"/v2/namespaces/ns/documents", (b"ns", None)),
    ],
)
def test_fetch_paths(method: str, path: bytes, document: tuple[bytes, bytes | None]) -> None:
    assert fetched_document(method, path) == document


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/v2/namespaces/ns/documents"),
        ("GET", b"/v2/namespaces/ns/documents/"),
        ("POST", b"/v2/namespaces/ns/documents/"),
        ("POST", b"/v2/namespaces/ns/documents/a"),
        ("DELETE", b"/v2/namespaces/ns/documents/a"),
        ("GET", b"/v2/namespaces/n%73/documents/a"),
        ("GET", b"/v2/namespaces//documents/a"),
        ("GET", b"/v2/namespaces/../documents/a"),
        ("GET", b"/v2/namespaces/" + b"n" * 129 + b"/documents/a"),
        ("GET", b"/v2/namespaces/ns/Documents/a"),
        ("GET", b"/v2/namespaces/ns/documents%2Fa"),
        ("GET", b"/v1/namespaces/ns/documents/a"),
        ("GET", b"v2/namespaces/ns/documents/a"),
        ("GET", b"//v2/namespaces/ns/documents/a"),
        ("GET", b"/v2/namespaces/ns/x/documents/a"),
        ("GET", b""),
    ],
)
def test_other_paths_are_no_fetches(method: str, path: bytes) -> None:
    assert fetched_document(method, path) is None
