"""The node itself: an event loop in a thread of its own, its connections, and its controls."""

import asyncio
import collections
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, Self

from .batch import cut_batch, perform_batch
from .codes import Code, Info1
from .faults import AFTER, BEFORE, Effect, Fault, Faults, Hold, Key, Match, Seen, digest_of, seen_of
from .info import Info
from .storage import Clock, Namespace, Record
from .transactions import perform
from .wire import (
    COMPRESSED,
    INFO,
    MESSAGE,
    Broken,
    Reply,
    Request,
    cut_frame,
    cut_request,
    frame,
    last_bytes,
    reply_bytes,
)

# Seconds. The longest a control waits for the node's own thread.
WAIT_S = 10.0
# Operations. The journal keeps the last ones.
JOURNAL_MAX = 100_000
NODE_NAME = "BB9FA4EAE5EA57E"

# The records of each namespace at one time.
Image = dict[str, list[Record]]


def default_namespaces() -> list[Namespace]:
    """Give the namespaces the document cache uses: documents that expire, registries that don't."""
    return [
        Namespace("hevlayer", default_ttl_s=3600, nsup_period_s=2),
        Namespace("hevlayer_registry", default_ttl_s=0, nsup_period_s=0),
    ]


def any_operation(seen: Seen) -> bool:
    return True


class FakeAerospike:
    """One node on loopback that clients of this or another process connect to."""

    def __init__(self, namespaces: Iterable[Namespace] | None = None, port: int = 0) -> None:
        self.namespaces = {
            one.name: one for one in (default_namespaces() if namespaces is None else namespaces)
        }
        self.clock = Clock()
        for namespace in self.namespaces.values():
            namespace.clock = self.clock
        self.port = port
        self.faults = Faults()
        # How many of each: "read", "write", "remove", "message", "batch", "info", "connection".
        self.counts: collections.Counter[str] = collections.Counter()
        # The last operations, and what each ended with.
        self.journal: collections.deque[tuple[Seen, int]] = collections.deque(maxlen=JOURNAL_MAX)
        self.connections: set[_Connection] = set()
        # Faults of the stand-in itself, which no test plans. Stopping raises them.
        self.errors: list[Exception] = []
        self._info = Info(NODE_NAME, self.namespaces)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener: asyncio.Server | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()

    def __repr__(self) -> str:
        state = "listens" if self._listener is not None else "is down"
        return f"FakeAerospike({state} on {self.port}, {list(self.namespaces.values())})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """What a client's configuration has as its hosts."""
        return [("127.0.0.1", self.port)]

    # Its life…

    def start(self) -> None:
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        """End for good; further calls do nothing."""
        if not self._thread.is_alive():
            return
        self.faults.clear()
        self._run(self._drop_everything())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
        if self.errors:
            raise ExceptionGroup("the stand-in itself failed", self.errors)

    def kill(self) -> None:
        """Close the port and all connections at once. What is in memory stays until a restart."""
        self._run(self._drop_everything())

    def restart(self, *, keep_data: bool = False, image: Image | None = None) -> None:
        """Listen again on the same port: with the records kept, with older ones, or with none."""
        self._run(self._drop_everything())
        if image is None:
            image = self.image() if keep_data else {}
        for namespace in self.namespaces.values():
            namespace.stop_writes = False
            namespace.load(image.get(namespace.name, []))
        self._run(self._listen())

    def image(self) -> Image:
        """Give all records as they are now, for a restart that forgets what came later."""
        return {name: namespace.records() for name, namespace in self.namespaces.items()}

    def freeze(self) -> None:
        """Stop reading, as a stopped process does: peers connect and send, nothing answers."""
        self._loop.call_soon_threadsafe(self._thawed.clear)
        self._run(asyncio.sleep(0))

    def thaw(self) -> None:
        """Go on.

        What was sent meanwhile is done, in any order, unless its sender has closed the connection.
        """
        self._loop.call_soon_threadsafe(self._thawed.set)

    # Its records…

    def find(self, key: Key) -> Record | None:
        """Look at a record, past all faults and without being counted."""
        namespace = self.namespaces[key[0]]
        with namespace.lock:
            return namespace.find(digest_of(key))

    def lose(self, key: Key) -> bool:
        """Forget one record; tell if it was there."""
        namespace = self.namespaces[key[0]]
        with namespace.lock:
            return namespace.drop(digest_of(key))

    def lose_set(self, namespace: str, set_name: str) -> int:
        return self.namespaces[namespace].drop_set(set_name)

    def evict(self, namespace: str, count: int) -> int:
        """Drop up to so many records, those first that end first, and none that never ends."""
        return self.namespaces[namespace].evict(count)

    def advance(self, seconds: float) -> None:
        """Move the node's clock, so that records expire without waiting."""
        self.clock.offset_ms += int(seconds * 1000)

    # Its faults…

    def fill(self, namespace: str) -> None:
        """Refuse writes as a full namespace does; removals still work, and reads."""
        self.namespaces[namespace].stop_writes = True

    def make_room(self, namespace: str) -> None:
        self.namespaces[namespace].stop_writes = False

    def fail(self, code: int, match: Match = any_operation, times: int | None = 1) -> Fault:
        """End the next matching operations with a code, unapplied."""
        return self.faults.plan(Fault(Effect.FAIL, match, times, code=code))

    def be_busy(self, match: Match = any_operation, times: int | None = 1) -> Fault:
        """Have too much queued for the records of the next matching operations."""
        return self.fail(Code.KEY_BUSY, match, times)

    def delay(self, seconds: float, match: Match = any_operation, times: int | None = 1) -> Fault:
        """Take longer to begin. Once read, a message is applied even if its sender gave up."""
        return self.faults.plan(Fault(Effect.DELAY, match, times, delay_s=seconds))

    def hold(self, match: Match = any_operation, times: int | None = 1) -> Hold:
        """Read the next matching messages, but apply them only when released."""
        hold = Hold(self._loop)
        self.faults.plan(Fault(Effect.HOLD, match, times, hold=hold))
        return hold

    def hold_reply(self, match: Match = any_operation, times: int | None = 1) -> Hold:
        """Apply the next matching messages, but answer them only when released."""
        hold = Hold(self._loop)
        self.faults.plan(Fault(Effect.HOLD_REPLY, match, times, hold=hold))
        return hold

    def drop_reply(self, match: Match = any_operation, times: int | None = 1) -> Fault:
        """Apply the next matching messages and never answer them."""
        return self.faults.plan(Fault(Effect.DROP_REPLY, match, times))

    def close(
        self, match: Match = any_operation, times: int | None = 1, *, applied: bool = False
    ) -> Fault:
        """Close the connection instead of answering, with the message applied or not."""
        effect = Effect.CLOSE_AFTER if applied else Effect.CLOSE
        return self.faults.plan(Fault(effect, match, times))

    # Its own thread…

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    async def _listen(self) -> None:
        self._thawed.set()
        self._listener = await self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _drop_everything(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        tasks = [connection.drop() for connection in list(self.connections)]
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)

    async def answer(self, kind: int, body: bytes) -> bytes | None:
        """Answer a frame; with None the connection is to be closed, with b"" nothing is said."""
        if kind == INFO:
            self.counts["info"] += 1
            return frame(INFO, self._info.answer(body, f"127.0.0.1:{self.port}"))
        if kind == COMPRESSED:
            # The Community server takes no compressed messages, whatever is in them.
            return frame(MESSAGE, reply_bytes(Reply(Code.ENTERPRISE_ONLY)))
        message = cut_request(body)
        batch = cut_batch(message) if message.info1 & Info1.BATCH else None
        if batch is None and not message.digest:
            # A query, which names no record. Its client reads until it is told that this is all.
            return frame(MESSAGE, last_bytes(Code.UNSUPPORTED))
        requests = [message] if batch is None else batch.requests
        seen = [seen_of(request) for request in requests]
        self.counts.update(one.kind for one in seen)
        self.counts["message" if batch is None else "batch"] += 1
        if not await self._pass(self.faults.take(BEFORE, seen)):
            return None
        if batch is None:
            answered = reply_bytes(self._perform(message, None))
        else:
            expression = batch.filter
            answered = perform_batch(batch, lambda request: self._perform(request, expression))
        fault = self.faults.take(AFTER, seen)
        if not await self._pass(fault):
            return None
        if fault is not None and fault.effect is Effect.DROP_REPLY:
            return b""
        return frame(MESSAGE, answered)

    def _perform(self, request: Request, batch_filter: bytes | None) -> Reply:
        seen = seen_of(request)
        fault = self.faults.take((Effect.FAIL,), [seen])
        namespace = self.namespaces.get(request.namespace)
        if fault is not None:
            reply = Reply(fault.code)
        elif namespace is None:
            reply = Reply(Code.NAMESPACE)
        else:
            reply = perform(namespace, request, batch_filter)
        self.journal.append((seen, reply.code))
        return reply

    async def _pass(self, fault: Fault | None) -> bool:
        """Go through a fault; tell if the connection lives."""
        if fault is None:
            return True
        if fault.effect is Effect.DELAY:
            await asyncio.sleep(fault.delay_s)
        if fault.hold is not None:
            await fault.hold.passed()
        return fault.effect not in (Effect.CLOSE, Effect.CLOSE_AFTER)

    async def passed_gate(self) -> None:
        await self._thawed.wait()


class _Connection(asyncio.Protocol):
    """One client's connection. Its messages are answered one after the other."""

    def __init__(self, node: FakeAerospike) -> None:
        self._node = node
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._peer_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._node.connections.add(self)
        self._node.counts["connection"] += 1

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._serve())

    def eof_received(self) -> bool:
        self._peer_closed = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer_closed = True
        self._node.connections.discard(self)

    def drop(self) -> asyncio.Task[None] | None:
        """Close at once; give the task that serves, to be awaited."""
        self._node.connections.discard(self)
        self._abort()
        if self._task is not None:
            self._task.cancel()
        return self._task

    async def _serve(self) -> None:
        try:
            while await self._serve_one():
                pass
        except Broken:
            self._abort()
        except Exception as error:
            self._node.errors.append(error)
            self._abort()

    async def _serve_one(self) -> bool:
        """Answer the next message; tell if there may be another."""
        await self._node.passed_gate()
        # A server that finds the connection closed does not read what is left in it.
        taken = None if self._peer_closed else cut_frame(self._unread)
        if taken is None:
            return False
        answer = await self._node.answer(*taken)
        if answer is None:
            self._abort()
            return False
        if answer and self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
        return True

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
