"""Hosts that share a cluster: their cards keep each other's watermarks below their writes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from hevfast.cache.aerospike_peers import AerospikePeers
from hevfast.core.clock import Clock
from hevfast.reads import peers as peers_module
from hevfast.reads.board import Board
from hevfast.reads.flights import Flights, bucket_of
from hevfast.reads.mark import Mark, Standing
from hevfast.reads.peers import Peers
from tests.fakes.aerospike import FakeAerospike
from tests.unit.cache.aerospike_stage import REAL, REGISTRY, fresh_prefix, hosts_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("patience")]

NS = b"ns"
BUCKET = bucket_of(NS)
SILENT_S = 100.0

Hosts = list[tuple[str, int]]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A cluster that is well: the one that is named, or a stand-in."""
    if REAL:
        yield hosts_of(None)
        return
    with FakeAerospike() as node:
        yield node.hosts


@pytest.fixture
def prefix() -> str:
    return fresh_prefix()


class HostStand:
    """A host with one worker."""

    def __init__(self, folder: Path, hosts: Hosts, prefix: str) -> None:
        self.now_s = 1000.0
        folder.mkdir(exist_ok=True)
        self.clock = Clock()
        self.flights = Flights(self.clock, 60.0)
        self.board = Board(folder, self.clock, self.flights, 60.0)
        self.store = AerospikePeers(hosts, REGISTRY, prefix, "")
        self.peers = Peers(self.store, self.clock, SILENT_S, folder, lambda: self.now_s)

    async def low_ms(self) -> int | None:
        lows = await self.peers.lows()
        return None if lows is None else lows[BUCKET]

    async def come_of_age(self) -> None:
        """Let the place for cards come of age."""
        await self.peers.lows()
        self.now_s += SILENT_S + 1
        await self.peers.lows()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["HostStand"]:
        await self.peers.open(self.board)
        try:
            yield self
        finally:
            await self.peers.close()
            self.board.close()


@pytest.fixture
async def two(
    tmp_path: Path, hosts: Hosts, prefix: str
) -> AsyncIterator[tuple[HostStand, HostStand]]:
    one = HostStand(tmp_path / "one", hosts, prefix)
    other = HostStand(tmp_path / "other", hosts, prefix)
    async with one.opened(), other.opened():
        await one.come_of_age()
        yield one, other


async def test_a_write_of_another_host_is_below_its_card(two: tuple[HostStand, HostStand]) -> None:
    one, other = two
    flight = other.flights.begin(NS)
    await other.peers.lows()
    await asyncio.sleep(0.01)
    assert await one.low_ms() == flight.now_ms
    other.flights.end(flight, known=True)
    assert await one.low_ms() == flight.now_ms, "until the other says so"
    before_ms = other.clock.now_ms()
    await other.peers.lows()
    assert (await one.low_ms() or 0) >= before_ms


async def test_nothing_is_known_while_cards_may_be_missing(
    tmp_path: Path, hosts: Hosts, prefix: str
) -> None:
    host = HostStand(tmp_path / "one", hosts, prefix)
    async with host.opened():
        assert await host.low_ms() is None
        host.now_s += SILENT_S - 1
        assert await host.low_ms() is None
        host.now_s += 2
        await host.peers.lows()
        assert await host.low_ms() is not None


async def test_a_host_that_joins_later_finds_what_is_there(
    two: tuple[HostStand, HostStand], tmp_path: Path, hosts: Hosts, prefix: str
) -> None:
    one, _ = two
    flight = one.flights.begin(NS)
    await one.peers.lows()
    third = HostStand(tmp_path / "third", hosts, prefix)
    async with third.opened():
        assert await third.low_ms() == flight.now_ms


async def test_a_host_that_joins_stamps_after_the_cards_that_are_there(
    two: tuple[HostStand, HostStand], tmp_path: Path, hosts: Hosts, prefix: str
) -> None:
    one, other = two
    before_ms = one.clock.now_ms()
    await one.peers.lows()
    await other.peers.lows()
    with patch("time.time_ns", lambda: 5_000_000):
        third = HostStand(tmp_path / "third", hosts, prefix)
        async with third.opened():
            assert third.flights.begin(NS).now_ms >= before_ms


async def test_a_host_that_is_silent_holds_others_back_and_is_gone_at_last(
    two: tuple[HostStand, HostStand],
) -> None:
    one, other = two
    flight = other.flights.begin(NS)
    await other.peers.lows()
    await one.peers.lows()
    one.now_s += SILENT_S - 1
    assert await one.low_ms() == flight.now_ms
    one.now_s += 2
    await one.peers.lows()
    assert (await one.low_ms() or 0) > flight.now_ms
    # Back again, it is there again.
    await other.peers.lows()
    assert await one.low_ms() == flight.now_ms


async def test_nothing_is_known_while_the_cluster_is_away(tmp_path: Path, prefix: str) -> None:
    with FakeAerospike() as node:
        host = HostStand(tmp_path / "one", node.hosts, prefix)
        async with host.opened():
            await host.come_of_age()
            assert await host.low_ms() is not None
            node.stop()
            assert await host.low_ms() is None


async def test_one_worker_speaks_for_its_host(
    two: tuple[HostStand, HostStand], tmp_path: Path, hosts: Hosts, prefix: str
) -> None:
    one, _ = two
    second = HostStand(tmp_path / "one", hosts, prefix)
    async with second.opened():
        assert second.peers._name == one.peers._name
        assert second.peers._leads is None
        flight = second.flights.begin(NS)
        await one.peers.lows()
        assert await second.low_ms() == flight.now_ms


async def test_a_name_is_drawn_once(tmp_path: Path) -> None:
    name = peers_module._name_in(tmp_path)
    assert len(name) == 16
    assert peers_module._name_in(tmp_path) == name


async def test_a_host_that_asks_nothing_knows_what_another_has_learnt(
    two: tuple[HostStand, HostStand],
) -> None:
    one, other = two
    one.peers.learnt(NS, Mark(5000, Standing.UPDATING), 6000)
    await one.peers.share([])
    await other.peers.share([NS, b"another"])
    assert other.board.marks.read(NS) == (Mark(5000, Standing.UPDATING), 6000)
    assert other.board.marks.read(b"another") == (Mark(), 0)


async def test_of_two_hosts_marks_the_later_moment_and_the_later_word_stay(
    two: tuple[HostStand, HostStand],
) -> None:
    one, other = two
    one.peers.learnt(NS, Mark(5000, Standing.STABLE), 6000)
    await one.peers.share([])
    other.peers.learnt(NS, Mark(4000, Standing.UPDATING), 7000)
    await other.peers.share([])
    one.peers.learnt(NS, Mark(4500, Standing.STABLE), 6500)
    await one.peers.share([NS])
    await other.peers.share([NS])
    for host in two:
        assert host.board.marks.read(NS) == (Mark(5000, Standing.UPDATING), 7000)


async def test_a_mark_that_one_host_withdraws_is_withdrawn_on_the_others(
    two: tuple[HostStand, HostStand],
) -> None:
    one, other = two
    now_ms = one.clock.now_ms()
    one.peers.learnt(NS, Mark(now_ms - 500, Standing.STABLE), now_ms)
    await one.peers.share([NS])
    await other.peers.share([NS])
    assert other.board.marks.read(NS)[0].stable_as_of == now_ms - 500
    one.board.marks.restart(NS, now_ms + 1)
    one.peers.restarted(NS, now_ms + 1)
    await one.peers.share([NS])
    # The other says again what it knew, without knowing better.
    other.peers.learnt(NS, Mark(now_ms - 500, Standing.STABLE), now_ms + 2)
    await other.peers.share([NS])
    await one.peers.share([NS])
    for host in two:
        assert host.board.marks.read(NS)[0].stable_as_of is None
    one.peers.learnt(NS, Mark(now_ms + 3, Standing.STABLE), now_ms + 9_000)
    await one.peers.share([NS])
    await other.peers.share([NS])
    for host in two:
        assert host.board.marks.read(NS)[0].stable_as_of == now_ms + 3
