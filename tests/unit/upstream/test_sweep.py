"""Which exchange is late, told the time."""

import asyncio

import aiohttp
import pytest

from hevfast.upstream.line import Line
from hevfast.upstream.sweep import Sweep

pytestmark = pytest.mark.anyio

SILENCE_S = 10.0
TOTAL_S = 100.0


class Transport(asyncio.Transport):
    """Enough of a transport for a line that waits."""

    unwritten = 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def get_write_buffer_size(self) -> int:
        return self.unwritten


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})


def waiting() -> tuple[Sweep, Line, Transport]:
    """Give an exchange that began at 0 s and was looked at then."""
    sweep = Sweep(SILENCE_S, TOTAL_S)
    line = Line(asyncio.get_running_loop())
    transport = Transport()
    line.connection_made(transport)
    line.begin(0.0, 100)
    sweep.lines[line] = 0
    assert sweep._judge(line, 0.0) is None
    return sweep, line, transport


async def test_silence_is_late_from_its_end_on() -> None:
    sweep, line, _ = waiting()
    assert sweep._judge(line, 9.9) is None
    assert isinstance(sweep._judge(line, 10.0), aiohttp.SocketTimeoutError)


async def test_what_is_heard_begins_the_silence_anew() -> None:
    sweep, line, _ = waiting()
    line.heard = True
    assert sweep._judge(line, 9.0) is None
    assert sweep._judge(line, 18.9) is None
    assert sweep._judge(line, 19.0) is not None


async def test_every_byte_that_is_taken_is_progress() -> None:
    sweep, line, transport = waiting()
    for step in range(1, 10):
        transport.unwritten = 1000 - step
        assert sweep._judge(line, step * 9.0) is None
    assert isinstance(sweep._judge(line, 9 * 9.0 + 10), aiohttp.SocketTimeoutError)


async def test_pause_of_a_slow_reader_is_not_silence() -> None:
    sweep, line, _ = waiting()
    line.paused = True
    assert sweep._judge(line, 50.0) is None
    line.paused = False
    assert sweep._judge(line, 59.9) is None
    assert sweep._judge(line, 60.0) is not None


async def test_nothing_makes_an_exchange_last_longer_than_the_whole_allowance() -> None:
    sweep, line, _ = waiting()
    line.heard = line.paused = True
    assert sweep._judge(line, TOTAL_S) is None
    line.heard = True
    fault = sweep._judge(line, TOTAL_S + 0.1)
    assert isinstance(fault, TimeoutError)
    assert not isinstance(fault, aiohttp.SocketTimeoutError)


@pytest.mark.parametrize(
    ("silence_s", "total_s", "period_s"),
    [(60, 300, 0.25), (1, 300, 0.125), (5, 0.4, 0.05), (0.01, 1, 0.01)],
)
async def test_looks_are_neither_too_rare_nor_too_many(
    silence_s: float, total_s: float, period_s: float
) -> None:
    assert Sweep(silence_s, total_s)._period_s == pytest.approx(period_s)
