"""The same over HTTP/2 without TLS, which some clients and proxies speak."""

import shutil
import subprocess

import pytest

from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")

AUTH = ("-H", "Authorization: Bearer k")


def curl(*words: str, stdin: bytes = b"") -> bytes:
    assert CURL is not None
    command = [CURL, "-sS", "--http2-prior-knowledge", "--path-as-is", "-i", *words]
    done = subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=20)
    return done.stdout


def test_write(gateway: RunningGateway, upstream: Upstream) -> None:
    url = f"http://127.0.0.1:{gateway.port}/v2/namespaces/ns"
    answer = curl(*AUTH, url, "-d", '{"deletes":[1]}')
    assert answer.startswith(b"HTTP/2 200")
    assert upstream.only.body == b'{"deletes":[1]}'


@pytest.mark.parametrize("path", ["/v2/namespaces/ns", "/v2/namespaces/ns/query"])
@pytest.mark.parametrize("size", [20, 300_000])
def test_body_without_a_length(
    gateway: RunningGateway, upstream: Upstream, path: str, size: int
) -> None:
    url = f"http://127.0.0.1:{gateway.port}{path}"
    body = b'{"deletes":[]}'.ljust(size)
    answer = curl(*AUTH, "-X", "POST", "-T", "-", url, stdin=body)
    assert answer.startswith(b"HTTP/2 200")
    assert upstream.only.body == body


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_body(gateway: RunningGateway, upstream: Upstream, method: str) -> None:
    url = f"http://127.0.0.1:{gateway.port}/v2/namespaces/ns"
    assert curl(*AUTH, "-X", method, url).startswith(b"HTTP/2 200")
    assert upstream.only.body == b""
    assert upstream.only.values(b"transfer-encoding") == []


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/nope", 404), ("/v1/namespaces", 200)]
)
def test_head_has_no_body(
    gateway: RunningGateway, upstream: Upstream, path: str, status: int
) -> None:
    url = f"http://127.0.0.1:{gateway.port}{path}"
    head, _, body = curl(*AUTH, "-I", url).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/2 %d" % status)
    assert b"content-length: " in head
    assert body == b""


def test_disguised_write(gateway: RunningGateway, upstream: Upstream) -> None:
    url = f"http://127.0.0.1:{gateway.port}/v2/namespaces/x/../ns"
    # Without a body: curl takes the reset that ends an unread one for a fault.
    assert curl(*AUTH, "-X", "POST", url).startswith(b"HTTP/2 404")
    assert upstream.requests == []
