"""What the pool assumes of aiohttp; an upgrade that breaks it fails here first."""

import aiohttp
import pytest

from hevfast.settings import load
from hevfast.upstream.pool import Connector, open_session

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})


async def test_nothing_is_repeated_added_or_followed() -> None:
    async with aiohttp.ClientSession() as plain:
        # The name is private: were it gone, setting it would change nothing.
        assert plain._retry_connection is True
    async with open_session(load({"HEVFAST_UPSTREAM_CONNECTIONS_MAX": "7"})) as session:
        assert session._retry_connection is False
        assert session.headers == {}
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert not session.trust_env
        assert not session.auto_decompress
        assert isinstance(session.connector, Connector)
        assert session.connector.limit == 7


async def test_every_wait_is_bounded() -> None:
    async with open_session(load({"HEVFAST_UPSTREAM_READ_TIMEOUT_MS": "1500"})) as session:
        timeout = session.timeout
        assert timeout.sock_read == 1.5
        assert timeout.connect is not None
        assert timeout.total is not None


def test_a_connection_still_tells_whether_it_must_be_closed() -> None:
    assert isinstance(aiohttp.client_proto.ResponseHandler.should_close, property)
