"""The Aerospike client: how it is set up, where it is called, and what its failures mean.

Built on what a real server was seen to do. A client made before a fork gives one reader another's
record, so it is made in `open`. Its calls block, so they run on threads of their own. Its batches
raise nothing: a batch's own result has to be looked at before those of its records, which all say
"done" once the client has dropped the node.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import aerospike
from aerospike import exception

# The client's own stubs leave its helpers out.
from aerospike_helpers.batch.records import (  # type: ignore[import-untyped]
    BatchRecord,
    BatchRecords,
)

LOGGER = logging.getLogger("hevfast.cache")

T = TypeVar("T")
Job = Callable[[aerospike.Client], T]

# Namespace, set and user key of a record. Not `bytes`: the client takes those for text that ends at
# a zero, and two keys that begin alike become one.
Key = tuple[str, str, bytearray]
Policy = dict[str, Any]

# Results of an operation on a record, or of a batch.
DONE: Final = 0
NOT_FOUND: Final = 2
FULL: Final = 8
TOO_BIG: Final = 13
BUSY: Final = 14
OVERLOADED: Final = 18
# A record that expires, in a namespace whose server does not look for what has expired.
FORBIDDEN: Final = 22
FILTERED: Final = 27
SOME_FAILED: Final = -16

# The server has refused it, and has room for no more: it was not done, and will not be.
REFUSED: Final = frozenset((FULL, TOO_BIG, OVERLOADED, FORBIDDEN))

# Threads. Four to sixteen do the most calls a second, and more keep the loop from its turn.
_THREADS: Final = 4

# Calls that wait; beyond it the store counts as failed.
_CALLS_MAX: Final = 4096

# Milliseconds one call may take: two attempts to begin a write fit into its deadline. A batch may
# carry two megabytes, and one of many records has a share in a longer deadline.
_CALL_MS: Final = 90
_BATCH_MS: Final = 150
_BULK_MS: Final = 400
_CONNECT_MS: Final = 1000

# Records that make a batch a bulk.
_BULK_RECORDS: Final = 50

# Milliseconds between the client's looks at the cluster.
_TEND_MS: Final = 250

# Seconds to wait for the first connection, and between attempts if the client itself fails.
_FIRST_S: Final = 1.0
_AGAIN_S: Final = 1.0

# Seconds between attempts at a record that too many want at once.
_BUSY_PAUSES_S: Final = (0.001, 0.002, 0.004, 0.008, 0.016)


class StoreLostError(Exception):
    """The call failed: it may have been done, or be done later, or never."""


class StoreLateError(StoreLostError):
    """There was no answer in time."""


class StoreAwayError(StoreLostError):
    """The call was not tried, for lack of time, or of a store that answers."""


class StoreFullError(Exception):
    """There is no room for the operation: it was not done, and will not be."""


class AerospikeCluster:
    """One client and its threads. `call` is used on the event loop that `open` ran on."""

    def __init__(self, hosts: Sequence[tuple[str, int]], cluster_name: str) -> None:
        self._config = _config(hosts, cluster_name)
        self._client: aerospike.Client | None = None
        # None: nothing to do but to stop. The standard library's pool costs twice as much a call.
        self._asked: SimpleQueue[tuple[Job[Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._connecting: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"<AerospikeCluster {state}, {self._asked.qsize()} calls waiting>"

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected()

    async def open(self) -> None:
        """Connect; a cluster that is not there is waited for in the background."""
        self._loop = asyncio.get_running_loop()
        self._connecting = asyncio.create_task(self._connect())
        await asyncio.wait([self._connecting], timeout=_FIRST_S)
        if not self.is_connected:
            LOGGER.warning("the Aerospike cluster does not answer: going on without")

    async def close(self) -> None:
        """Do what is waiting, then end the threads and the client."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        client, self._client = self._client, None
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        if client is not None:
            await asyncio.to_thread(client.close)

    async def _connect(self) -> None:
        while self._client is None:
            try:
                client = await asyncio.to_thread(self._connected)
            except exception.AerospikeError as error:
                LOGGER.warning("the Aerospike client failed: %s", error)
                await asyncio.sleep(_AGAIN_S)
                continue
            self._threads = [
                threading.Thread(target=self._work, args=(client,), name="aerospike", daemon=True)
                for _ in range(_THREADS)
            ]
            for thread in self._threads:
                thread.start()
            self._client = client

    def _connected(self) -> aerospike.Client:
        # One without a cluster comes back all the same, and finds it later by itself.
        return aerospike.client(self._config).connect()

    async def call(self, job: Job[T], deadline_s: float) -> T:
        """Do a job on a thread. `deadline_s`: by the loop's clock.

        A job that has begun when time is up goes on, and its result is lost; one that has not is
        not done.

        Raises: StoreLostError, StoreFullError.
        """
        future = self.ask(job)
        try:
            async with asyncio.timeout_at(deadline_s):
                return await future
        except TimeoutError as error:
            raise StoreLateError("no answer in time") from error

    def ask(self, job: Job[T]) -> "asyncio.Future[T]":
        """Give a job to a thread; whoever asks bounds the wait.

        Raises: StoreAwayError. The future: StoreLostError, StoreFullError.
        """
        if self._client is None:
            raise StoreAwayError("there is no connection")
        if self._asked.qsize() >= _CALLS_MAX:
            raise StoreAwayError("too many calls wait")
        future: asyncio.Future[T] = self._loop.create_future()
        self._asked.put((job, future))
        return future

    def _work(self, client: aerospike.Client) -> None:
        while (asked := self._asked.get()) is not None:
            job, future = asked
            if future.done():
                continue
            result: Any = None
            failure: Exception | None = None
            try:
                result = _done(job, client)
            except Exception as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(_resolve, future, result, failure)
            except RuntimeError:
                # The loop has closed: nobody waits any more.
                return


def _resolve(future: "asyncio.Future[Any]", result: Any, failure: Exception | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


def _done(job: Job[T], client: aerospike.Client) -> T:
    try:
        return job(client)
    except exception.AerospikeError as error:
        if error.code in REFUSED:
            raise StoreFullError(str(error)) from error
        raise StoreLostError(str(error)) from error


def do_batch(
    client: aerospike.Client,
    records: Sequence[BatchRecord],
    *,
    small: bool = False,
    least_ms: int = 0,
) -> None:
    """Do a batch; only afterwards do the results of its records mean anything.

    `small`: its records have few bytes, so it takes no longer than a call of one. `least_ms`: it
    may take as long as that in any case.

    Raises: StoreLostError if the batch failed as a whole.
    """
    total_ms = max(_CALL_MS if small else _BATCH_MS, least_ms)
    if len(records) >= _BULK_RECORDS:
        total_ms = _BULK_MS
    batch = BatchRecords(records if isinstance(records, list) else list(records))
    client.batch_write(batch, timeouts(total_ms))
    if batch.result not in (DONE, SOME_FAILED):
        raise StoreLostError(f"a batch ended with {batch.result}")


def patiently(call: Callable[[], T]) -> T:
    """Do a call again while its record is busy: it was not done then."""
    for pause_s in _BUSY_PAUSES_S:
        try:
            return call()
        except exception.RecordBusy:
            time.sleep(pause_s)
    return call()


@lru_cache
def timeouts(total_ms: int) -> Policy:
    """Give a policy that nobody may change."""
    # No delay: a connection whose call is late is closed at once. The server drops a request that
    # it has not read by then; otherwise it would do it seconds later. No retries: an operation on
    # a registry must not be done twice.
    return {
        "total_timeout": total_ms,
        "socket_timeout": total_ms,
        "timeout_delay": 0,
        "max_retries": 0,
    }


def _config(hosts: Sequence[tuple[str, int]], cluster_name: str) -> dict[str, Any]:
    single, batch = timeouts(_CALL_MS), timeouts(_BATCH_MS)
    config: dict[str, Any] = {
        "hosts": list(hosts),
        "fail_if_not_connected": False,
        # Without it a misspelt condition makes a write unconditional.
        "validate_keys": True,
        "connect_timeout": _CONNECT_MS,
        "tend_interval": _TEND_MS,
        "policies": {
            "read": single,
            "write": single,
            "operate": single,
            "remove": single,
            "batch": batch,
            # The one that `batch_write` goes by.
            "batch_parent_write": batch,
        },
    }
    if cluster_name:
        config["cluster_name"] = cluster_name
    return config
