"""One run: upstream, gateway, load and faults, then quiet; and the report of what was seen."""

import asyncio
import contextlib
import itertools
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.aerospike.process import NodeProcess, node_process
from tests.history.bodies import HOT, layout
from tests.history.clients import Client
from tests.history.cluster import Spoiler
from tests.history.holder import Holder
from tests.history.judge import Judge
from tests.history.killer import Killer
from tests.history.line import watch
from tests.history.process import GatewayProcess, running
from tests.history.truth import Truth
from tests.history.upstream import DOUBT_MS, TOTAL_TIMEOUT_MS, Fault, Upstream

CLIENTS: Final = 14

# Seconds. A token is swept when one look at it has outlived the lapse; looks come every quarter of
# it. Nothing outside of the gateway shows that, so this is a wait for time.
_LAPSE_S: Final = (2 * TOTAL_TIMEOUT_MS + DOUBT_MS) / 1000
_SETTLED_S: Final = 1.5 * _LAPSE_S + DOUBT_MS / 1000 + 1.0

_PROGRESS_S: Final = 10.0
_LOOK_S: Final = 0.2
# Longest wait for clients to end after the time is up: one exchange, and then some.
_END_S: Final = 30.0
# Rounds over all rows after the end, each by every worker; fewer after a run of some seconds.
_ROUNDS: Final = 3
_SHORT_S: Final = 10.0


@dataclass
class Options:
    """What is run.

    `plant`: a rule that the gateway breaks; `stale`: upstream breaks its own. `hold`: the store is
    disturbed, too.
    """

    seconds: float
    seed: int
    workers: int = 2
    kill: bool = True
    hold: bool = True
    plant: str | None = None
    stale: bool = False
    store: str = "lmdb"


@dataclass
class Report:
    """What was seen; `wrong`: everything that speaks against the gateway, or against the run."""

    options: Options
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    violation: str | None = None
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        told = [f"  {count:8}  {name}" for name, count in sorted(self.counts.items())]
        told += [f"  {count:8}  fault: {fault.value}" for fault, count in self.faults.items()]
        verdict = self.wrong or [f"nothing wrong in {self.seconds:.0f} s"]
        return [*sorted(told, key=lambda line: line[10:]), *verdict]


def run(options: Options, tell: Callable[[str], Any] = print) -> Report:
    """Run the gateway under load, judge all it answers, and end everything."""
    report = Report(options)
    begun = time.monotonic()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with listener, ExitStack() as stack:
        settings, cluster = {"HEVFAST_CACHE": "lmdb"}, None
        if options.store == "aerospike":
            cluster = stack.enter_context(node_process())
            settings = {
                "AEROSPIKE_HOSTS": f"127.0.0.1:{cluster.port}",
                "HEVFAST_AEROSPIKE_REGISTRY_NAMESPACE": "hevlayer_registry",
                "HEVFAST_CACHE_UNREACHABLE": "refuse",
            }
        gateway = stack.enter_context(running(port, options.workers, options.plant, **settings))
        asyncio.run(_Run(options, gateway, report, tell, cluster).whole(listener))
        if report.violation or report.wrong:
            report.wrong.append(f"the gateway's log: {gateway.log[-4000:]}")
    report.seconds = time.monotonic() - begun
    return report


class _Run:
    def __init__(
        self,
        options: Options,
        gateway: GatewayProcess,
        report: Report,
        tell: Callable[[str], Any],
        cluster: NodeProcess | None,
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._gateway = gateway
        self._report = report
        self._tell = tell
        self._truth = Truth(layout())
        self._judge = Judge(self._truth)
        self._upstream = Upstream(self._truth, options.seed, stale=options.stale)
        self._numbers = itertools.count(1)

    async def whole(self, listener: socket.socket) -> None:
        watch(self._gateway.workers())
        async with self._upstream.serving(listener):
            try:
                await self._load()
                if self._judge.violation is None and not self._gateway.ended:
                    await self._quiet()
            except* (RuntimeError, TimeoutError) as broken:
                self._report.wrong += [f"the run broke off: {e!r}" for e in broken.exceptions]
            if self._gateway.ended:
                self._report.wrong.append("the gateway ended by itself")
        self._conclude()

    async def _load(self) -> None:
        until = time.monotonic() + self._options.seconds
        async with asyncio.timeout(self._options.seconds + _END_S), asyncio.TaskGroup() as group:
            for n in range(CLIENTS):
                group.create_task(self._client(n).run(until))
            if self._options.kill:
                generator = random.Random(f"{self._options.seed} killer")
                killer = Killer(self._gateway, self._judge, self._numbers, generator)
                group.create_task(killer.run(until))
            if self._options.hold:
                generator = random.Random(f"{self._options.seed} holder")
                if self._cluster is not None:
                    group.create_task(Spoiler(self._cluster, self._judge, generator).run(until))
                else:
                    holder = Holder(self._gateway.folder, self._judge, generator)
                    group.create_task(holder.run(until))
            group.create_task(self._progress(until))

    def _client(self, n: int) -> Client:
        generator = random.Random(f"{self._options.seed} {n}")
        return Client(self._judge, self._gateway.port, self._numbers, generator)

    async def _progress(self, until: float) -> None:
        following = time.monotonic() + _PROGRESS_S
        while time.monotonic() < until and self._judge.violation is None:
            await asyncio.sleep(_LOOK_S)
            watch(self._gateway.workers())
            if self._upstream.failures:
                raise RuntimeError("the upstream double failed") from self._upstream.failures[0]
            if time.monotonic() > following:
                following += _PROGRESS_S
                counts = self._judge.counts
                self._tell(
                    f"{counts['hits']} hits, {counts['writes answered 200']} writes, "
                    f"{counts['kills survived']} kills"
                )

    async def _quiet(self) -> None:
        """Judge what is left in the cache when doubt and sweeps have passed: I4."""
        await self._upstream.settle()
        await asyncio.sleep(_SETTLED_S)
        self._judge.quiet = True
        client = self._client(CLIENTS)
        with contextlib.closing(client.lines):
            for _ in range(_ROUNDS if self._options.seconds > _SHORT_S else _ROUNDS - 1):
                await self._fetch_everything(client)
            await self._cache_works(client)

    async def _fetch_everything(self, client: Client) -> None:
        for space in self._truth.spaces.values():
            for text in space.ids:
                for worker in self._gateway.workers():
                    before = self._judge.counts["hits"]
                    await client.fetch(space, [text], worker)
                    self._judge.counts["hits after the end"] += self._judge.counts["hits"] - before

    async def _cache_works(self, client: Client) -> None:
        """Write rows once more: with nobody else there, each must be cached again."""
        for space in self._truth.spaces.values():
            for text in list(space.ids)[:HOT]:
                for make in (client.drafter.upsert_of, client.drafter.patch_of):
                    number = next(self._numbers)
                    if await client.write(space, make(space, [text], number), number):
                        reply = await client.fetch(space, [text])
                        hit = reply is not None and reply.served == "hit"
                        self._judge.counts["rows cached again" if hit else "rows left out"] += 1

    def _conclude(self) -> None:
        judge, report = self._judge, self._report
        report.counts, report.faults = judge.counts, self._upstream.faults
        report.counts["workers that served hits"] = len(judge.hits_by_worker)
        for status, count in judge.writes_by_status.items():
            report.counts[f"writes answered {status}"] = count
        if judge.violation is not None:
            report.violation = str(judge.violation)
            report.wrong.append(report.violation)
        elif not report.wrong:
            report.wrong += _too_few(report)


def _too_few(report: Report) -> list[str]:
    """Name what was seen too rarely for the run to mean something."""
    seconds, counts = report.options.seconds, report.counts
    workers = report.options.workers
    kills = int(seconds / 10) if report.options.kill else 0
    shared = report.options.store == "aerospike"
    disturbed = "faults of the cluster" if shared else "holds of the writer lock"
    least = {
        "hits": 20 * seconds,
        "writes answered 200": 10 * seconds,
        "hits put by upsert": seconds,
        # In a registry that was lost patches don't merge for as long as a token may last.
        "hits put by patch": seconds / 30 if shared else seconds / 3,
        "hits put by another worker": seconds / 3 if workers > 1 else 0,
        "fetches: partial": seconds / 10,
        "kills survived": kills,
        disturbed: int(seconds / 10) if report.options.hold else 0,
        "fetches: miss-on-error": int(seconds / 10) if report.options.hold else 0,
        "workers that served hits": workers + min(kills, 2),
        "hits after the end": 50,
        # Answers get lost here, too, and those of upstream may be faults.
        "rows cached again": 15,
    }
    wrong = [
        f"too few {name}: {counts[name]} of {bound:.0f}"
        for name, bound in least.items()
        if counts[name] < bound
    ]
    # Rarer ones are a matter of luck in a short run.
    if seconds >= 30:
        wrong += [f"no fault: {fault.value}" for fault in Fault if not report.faults[fault]]
    if not report.options.plant and counts["rows left out"] > counts["rows cached again"]:
        wrong.append(f"{counts['rows left out']} rows were left out of an idle cache")
    return wrong
