"""What the pool assumes of aiohttp, one test each; an upgrade that breaks it fails here first."""

import ast
import asyncio
import functools
import inspect
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from hevfast.settings import load
from hevfast.upstream.line import Line
from hevfast.upstream.pool import Connector, Pool, SharedHandler, _Asked, open_session

pytestmark = pytest.mark.anyio

SETTINGS = load({"HEVFAST_UPSTREAM_CONNECTIONS_MAX": "7", "TPUF_URL": "https://tpuf:444/prefix"})


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool(SETTINGS, Line)
    yield made
    await made.connector.close()


async def test_nothing_is_repeated_added_or_followed(pool: Pool) -> None:
    async with aiohttp.ClientSession() as plain:
        # The name is private: were it gone, setting it would change nothing.
        assert plain._retry_connection is True
    async with open_session(SETTINGS, pool.connector) as session:
        assert session._retry_connection is False
        assert session.headers == {}
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert not session.trust_env
        assert not session.auto_decompress
        assert isinstance(session.connector, Connector)
        assert session.connector.limit == 7


async def test_every_wait_of_a_session_is_bounded(pool: Pool) -> None:
    settings = load({"HEVFAST_UPSTREAM_READ_TIMEOUT_MS": "1500"})
    async with open_session(settings, pool.connector) as session:
        assert session.timeout.sock_read == 1.5
        assert session.timeout.connect is not None
        assert session.timeout.total is not None


async def test_connections_are_made_by_a_factory_that_can_be_replaced(pool: Pool) -> None:
    plain = aiohttp.TCPConnector()
    assert isinstance(plain._factory, functools.partial)
    assert type(plain._factory()) is ResponseHandler
    assert type(pool.connector._factory()) is Line
    await plain.close()


async def test_one_limit_holds_for_all_hosts(pool: Pool) -> None:
    # A limit for each host would cost three more look-ups a request.
    assert (pool.connector.limit, pool.connector.limit_per_host) == (7, 0)


def test_connect_takes_what_it_is_given() -> None:
    names = list(inspect.signature(aiohttp.TCPConnector.connect).parameters)
    assert names == ["self", "req", "traces", "timeout"]
    assert inspect.iscoroutinefunction(aiohttp.TCPConnector.connect)


async def test_request_that_is_never_sent_has_the_key_of_one_that_is(pool: Pool) -> None:
    """Else the two ways would not share connections. It is made once."""
    assert isinstance(aiohttp.ClientRequest.connection_key, property)
    loop = asyncio.get_running_loop()
    url = URL("https://tpuf:444/prefix")
    asked = _Asked("GET", url, loop=loop)
    sent = aiohttp.ClientRequest("POST", url / "v2", loop=loop, ssl=True)
    assert asked.connection_key == sent.connection_key
    assert asked.connection_key is asked.connection_key
    assert sent.connection_key is not sent.connection_key
    assert asked.connection_key.is_ssl
    assert pool._asked.connection_key == sent.connection_key


@pytest.mark.parametrize("name", ["protocol", "release", "close"])
def test_a_connection_has_what_is_used_of_it(name: str) -> None:
    assert hasattr(Connection, name)


def test_a_connection_is_asked_whether_it_can_be_kept() -> None:
    assert isinstance(ResponseHandler.should_close, property)
    source = inspect.getsource(aiohttp.BaseConnector._release)
    assert "protocol.should_close" in source
    assert "is_connected()" in inspect.getsource(aiohttp.BaseConnector._get)


@pytest.mark.parametrize("name", ["_should_close", "_parser", "_payload", "_loop", "transport"])
async def test_a_handler_has_the_state_that_is_set(name: str) -> None:
    assert hasattr(ResponseHandler(asyncio.get_running_loop()), name)


@pytest.mark.parametrize(
    "name", ["abort", "force_close", "_drop_timeout", "is_connected", "resume_writing"]
)
def test_a_handler_has_the_methods_that_are_called(name: str) -> None:
    assert callable(getattr(ResponseHandler, name))


async def test_writing_paused_tells_what_the_transport_told() -> None:
    line = Line(asyncio.get_running_loop())
    assert not line.writing_paused
    line.pause_writing()
    assert line.writing_paused
    line.resume_writing()
    assert not line.writing_paused


async def test_a_session_says_so_before_it_sends() -> None:
    """That is how a connection knows whose turn it is."""
    handler = SharedHandler(asyncio.get_running_loop())
    handler.claim()
    assert (handler.ours, handler.used) == (True, True)
    handler.set_response_params(read_until_eof=True)
    assert not handler.ours
    source = inspect.getsource(aiohttp.ClientSession._request)
    assert source.index("set_response_params") < source.index("req.send(conn)")


async def test_no_name_of_ours_hides_one_of_aiohttps() -> None:
    """A line may override methods; its state must not replace state of the class below."""
    below = set(dir(ResponseHandler(asyncio.get_running_loop())))
    meant = {"_should_close", "_parser", "_payload"}
    meant |= {"should_close", "set_response_params", "data_received", "connection_made"}
    meant |= {"connection_lost", "resume_writing", "__init__"}
    for kind in (Line, SharedHandler):
        methods = {name for name, value in vars(kind).items() if callable(value)}
        names = (methods | state_of(kind)) & below
        assert names <= meant
        assert len(names) > 2


def state_of(kind: type) -> set[str]:
    """Give the names that a class sets on its objects."""
    return {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(kind)))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
