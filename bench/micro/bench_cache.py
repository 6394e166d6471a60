"""What the document cache adds to a write, and what a hit costs, on LMDB and on Aerospike.

`HEVFAST_TEST_AEROSPIKE=host:port` names a real cluster; without it a stand-in is used, in a process
of its own, whose answers take longer than a server's but cost this process the same.
"""

import asyncio
import gc
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aerospike
import pytest
import uvloop

# The client's own stubs leave its helpers out.
from aerospike_helpers.operations import map_operations as maps  # type: ignore[import-untyped]
from aerospike_helpers.operations import operations as op

from bench import bodies
from hevfast.batch._scan import scan
from hevfast.batch.mirror import digest_of, touched_digests
from hevfast.batch.plan import Plan
from hevfast.cache import aerospike_store, lmdb_store
from hevfast.cache.aerospike_client import timeouts
from hevfast.cache.aerospike_store import AerospikeStore
from hevfast.cache.lmdb_store import LmdbStore
from hevfast.cache.rows import Outcome
from hevfast.cache.store import Store, Touched
from hevfast.core.limits import ROWS_MAX
from hevfast.routes.settling import WrittenRows
from tests.fakes.aerospike.process import node_process

NAMESPACE = b"bench"
NOW_MS = 1_700_000_000_000
BATCH_ROWS = 10_000
SMALL_WRITES = 640
AT_ONCE = 64
# Measurements of each of two things, taken in turns.
ROUNDS = 7

Host = tuple[str, int]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no call be given up: on a busy machine a stall would end the bench, not slow it."""
    monkeypatch.setattr(aerospike_store, "_DEADLINE_S", 10.0)
    monkeypatch.setattr(lmdb_store, "_DEADLINE_S", 10.0)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    named = os.environ.get("HEVFAST_TEST_AEROSPIKE", "")
    if named:
        name, _, port = named.rpartition(":")
        yield name, int(port)
        return
    with node_process() as node:
        yield "127.0.0.1", node.port


def on_cluster(host: Host) -> AerospikeStore:
    return AerospikeStore(
        [host],
        "hevlayer",
        lapse_s=600,
        doubt_s=60,
        digest_of=digest_of,
        registry_namespace="hevlayer_registry",
        set_prefix=f"bench{os.getpid()}_{time.monotonic_ns() % 1_000_000}_",
    )


@pytest.fixture(params=["lmdb", "aerospike"])
def runner(
    request: pytest.FixtureRequest, tmp_path: Path, host: Host
) -> Iterator[tuple[asyncio.Runner, Store]]:
    on_file = LmdbStore(tmp_path, 1 << 28, 600, 60, digest_of)
    store: Store = on_file if request.param == "lmdb" else on_cluster(host)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(store.open())
        yield runner, store
        runner.run(store.close())


async def write(store: Store, plan: Plan) -> None:
    ticket = await store.begin(Touched(NAMESPACE, touched_digests(plan)))
    assert ticket.token is not None
    assert await store.end(ticket, Outcome.APPLIED, WrittenRows(plan, NOW_MS, 16, True))


async def writes(store: Store, plans: list[Plan], at_once: int = AT_ONCE) -> None:
    async def some(first: int) -> None:
        for plan in plans[first::at_once]:
            await write(store, plan)

    await asyncio.gather(*[some(first) for first in range(at_once)])


def small_plans() -> list[Plan]:
    texts = [json.dumps({"upsert_rows": [{"id": n, "t": "x" * 60}]}) for n in range(SMALL_WRITES)]
    return [scan(text.encode(), False, ROWS_MAX) for text in texts]


def bench_begin_and_end_of_one_row(benchmark: Any, runner: tuple[asyncio.Runner, Store]) -> None:
    """640 writes of one row, 64 at a time: divide by 640."""
    run, store = runner
    plans = small_plans()
    benchmark(lambda: run.run(writes(store, plans)))
    found = run.run(store.read(NAMESPACE, [b"0", b"639"]))
    assert None not in found.rows


def bench_begin_and_end_of_10000_rows(benchmark: Any, runner: tuple[asyncio.Runner, Store]) -> None:
    run, store = runner
    plan = scan(bodies.body("rows10000_dim8_float"), False, ROWS_MAX)
    benchmark(lambda: run.run(write(store, plan)))
    found = run.run(store.read(NAMESPACE, [b"1", b"%d" % BATCH_ROWS]))
    assert None not in found.rows


@pytest.mark.parametrize("count", [1, 100])
def bench_hits(benchmark: Any, runner: tuple[asyncio.Runner, Store], count: int) -> None:
    run, store = runner
    plan = scan(bodies.body("rows100_dim128_float"), False, ROWS_MAX)
    run.run(write(store, plan))
    ids = [b"%d" % (n + 1) for n in range(count)]
    found = benchmark(lambda: run.run(store.read(NAMESPACE, ids)))
    assert None not in found.rows


@pytest.mark.parametrize("at_once", [1, 64])
def bench_write_against_bare_calls(benchmark: Any, host: Host, at_once: int) -> None:
    """CPU of this process for a write of one row, and for the client's three calls of one.

    Those are the least a write could cost if nothing decided, waited, or took turns. Taken in
    turns, so that what else the machine does meets both: `ratio` is what may be compared.
    """
    store, plans = on_cluster(host), small_plans()
    client = aerospike.client({"hosts": [host]}).connect()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as run:
        run.run(store.open())
        mine = min_cpu_us(lambda: run.run(writes(store, plans, at_once)), SMALL_WRITES)
        bare = min_cpu_us(lambda: bare_calls(client, SMALL_WRITES), SMALL_WRITES)
        for _ in range(ROUNDS - 1):
            mine = min(
                mine, min_cpu_us(lambda: run.run(writes(store, plans, at_once)), SMALL_WRITES)
            )
            bare = min(bare, min_cpu_us(lambda: bare_calls(client, SMALL_WRITES), SMALL_WRITES))
        benchmark.extra_info.update(write_us=mine, bare_us=bare, ratio=mine / bare)
        print(f"{at_once} at once: {mine:.0f} us, bare calls {bare:.0f} us, {mine / bare:.2f}")
        benchmark.pedantic(lambda: run.run(writes(store, plans, at_once)))
        run.run(store.close())
    client.close()


def min_cpu_us(work: Callable[[], object], count: int) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) / count * 1e6


def bare_calls(client: aerospike.Client, count: int) -> None:
    registry = "hevlayer_registry", "bare", bytearray(b"registry")
    never = {"ttl": aerospike.TTL_NEVER_EXPIRE} | timeouts(1000)
    for n in range(count):
        token = n.to_bytes(16, "big")
        insert = maps.map_put("t", token, token + b"dddd", {"map_order": aerospike.MAP_KEY_ORDERED})
        client.operate(registry, [insert, op.increment("a", 0), op.read("a")], {}, never)
        document = "hevlayer", "bare", bytearray(b"%d" % n)
        client.put(document, {"v": b"x" * 80, "f": b"f" * 28, "k": b"k"}, {}, {"ttl": 3600})
        leave = maps.map_remove_by_key("t", token, aerospike.MAP_RETURN_COUNT)
        client.operate(registry, [leave, op.read("a")], {}, never)


def bench_loop_beside_10000_rows(benchmark: Any, host: Host) -> None:
    """How late the loop gets to others while a write of 10,000 rows ends: `late_ms` at most."""
    store = on_cluster(host)
    plan = scan(bodies.body("rows10000_dim8_float"), False, ROWS_MAX)
    late_s: list[float] = []

    async def pulse() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.002)
            late_s.append(time.perf_counter() - before - 0.002)

    async def beside() -> None:
        beating = asyncio.create_task(pulse())
        await write(store, plan)
        beating.cancel()

    # As the gateway does, when it has been built.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as run:
        run.run(store.open())
        benchmark(lambda: run.run(beside()))
        assert late_s
        late_s.sort()
        benchmark.extra_info.update(late_ms=late_s[-1] * 1e3)
        print(f"late at most {late_s[-1] * 1e3:.2f} ms")
        run.run(store.close())
    gc.unfreeze()
