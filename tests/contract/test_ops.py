"""Routes for those who run the gateway, and what it logs."""

from pathlib import Path

import pytest

from hevfast import __version__
from tests.fakes.gateway import RunningGateway
from tests.fakes.upstream import Upstream, raw


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drain") / "marker"


@pytest.fixture(scope="module")
def gateway_settings(marker: Path) -> dict[str, str]:
    return {"LAYER_DRAIN_MARKER_PATH": str(marker)}


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_healthy_and_ready(gateway: RunningGateway, upstream: Upstream, path: str) -> None:
    reply = gateway.ask("GET", path, headers=[])
    assert reply.status == 200
    cache = {"cache": {"store": "lmdb", "state": "ok", "breaker": "closed"}}
    told = {"status": "ok", "version": __version__}
    assert reply.json == (told | cache if path == "/health" else told)
    assert reply.value(b"server") == b"hevfast"
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_head_has_the_length_and_no_body(gateway: RunningGateway, path: str) -> None:
    size = gateway.ask("GET", path, headers=[]).value(b"content-length")
    reply = gateway.ask("HEAD", path, headers=[])
    assert (reply.status, reply.value(b"content-length")) == (200, size)


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_405(gateway: RunningGateway, path: str, method: str) -> None:
    reply = gateway.ask(method, path, b"{}", [])
    assert reply.status == 405
    assert reply.json["error"] == "method_not_allowed"
    assert reply.value(b"allow") == b"GET, HEAD"


def test_draining_while_the_marker_exists(gateway: RunningGateway, marker: Path) -> None:
    marker.touch()
    try:
        reply = gateway.ask("GET", "/ready", headers=[])
        assert reply.status == 503
        assert reply.json["status"] == "draining"
        assert reply.json["version"] == __version__
        assert reply.json["error"] == "gateway_draining"
        assert gateway.ask("HEAD", "/ready", headers=[]).status == 503
        assert gateway.ask("GET", "/health", headers=[]).status == 200
    finally:
        marker.unlink()
    assert gateway.ask("GET", "/ready", headers=[]).status == 200


def test_one_log_line_for_a_failed_request_and_none_for_a_refused_one(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    before = gateway.log
    for _ in range(3):
        assert gateway.ask("POST", "/v2/namespaces/ns/../x").status == 404
        assert gateway.write(b"{}").status == 422
    assert gateway.log == before
    upstream.script(raw(b"", close=True))
    assert gateway.ask("GET", "/v1/namespaces?key=secret").status == 502
    lines = gateway.log.removeprefix(before).splitlines()
    assert len(lines) == 1
    assert "GET /v1/namespaces upstream_error: Turbopuffer passthrough failed" in lines[0]
    assert "secret" not in gateway.log
