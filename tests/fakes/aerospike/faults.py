"""Faults on demand: what goes wrong with which operations, and how often."""

import asyncio
import dataclasses
import enum
import threading
from collections.abc import Callable, Iterable

import aerospike

from .codes import Field, Info2, Op
from .wire import Request

# A record's namespace, set and user key.
Key = tuple[str, str, str | int | bytearray]

# Seconds. The longest a test waits for a held operation to come.
WAIT_S = 10.0


def digest_of(key: Key) -> bytes:
    """Give the digest that a record has on the wire."""
    return bytes(aerospike.calc_digest(*key))


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """An operation as it came over the wire; the user key itself is not sent, only its digest."""

    kind: str
    namespace: str
    set_name: str
    digest: bytes
    bins: tuple[str, ...]
    ops: tuple[Op | int, ...]
    batched: bool

    def is_on(self, key: Key) -> bool:
        return self.namespace == key[0] and self.digest == digest_of(key)


Match = Callable[[Seen], bool]


def seen_of(request: Request) -> Seen:
    if request.info2 & Info2.DELETE:
        kind = "remove"
    else:
        kind = "write" if request.info2 & Info2.WRITE else "read"
    known = set(Op)
    return Seen(
        kind=kind,
        namespace=request.namespace,
        set_name=request.set_name,
        digest=request.fields.get(Field.DIGEST, b""),
        bins=tuple(op.name for op in request.ops),
        ops=tuple(Op(op.op) if op.op in known else op.op for op in request.ops),
        batched=request.index >= 0,
    )


class Effect(enum.Enum):
    """What a fault does, and when."""

    # The record's operation ends with a code and changes nothing.
    FAIL = "fail"
    # Before the message's operations are applied.
    DELAY = "delay"
    HOLD = "hold"
    CLOSE = "close"
    # After they are applied.
    HOLD_REPLY = "hold reply"
    DROP_REPLY = "drop reply"
    CLOSE_AFTER = "close after"


BEFORE = (Effect.DELAY, Effect.HOLD, Effect.CLOSE)
AFTER = (Effect.HOLD_REPLY, Effect.DROP_REPLY, Effect.CLOSE_AFTER)


class Hold:
    """A message that waits until a test releases it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._released = asyncio.Event()
        self._entered = threading.Event()

    def wait_entered(self, timeout_s: float = WAIT_S) -> None:
        """Wait until an operation is held.

        Raises:
            TimeoutError: None came.
        """
        if not self._entered.wait(timeout_s):
            raise TimeoutError("no operation was held")

    def release(self) -> None:
        """Let what is held, and what matches later, go on."""
        self._loop.call_soon_threadsafe(self._released.set)

    async def passed(self) -> None:
        self._entered.set()
        await self._released.wait()


@dataclasses.dataclass
class Fault:
    """One planned fault. It matches a message if it matches one of its operations."""

    effect: Effect
    match: Match
    # How many more times; None is "until it is cancelled".
    left: int | None
    code: int = 0
    delay_s: float = 0.0
    hold: Hold | None = None
    used: int = 0

    def cancel(self) -> None:
        self.left = 0


class Faults:
    """The faults planned for a node. Tests plan them from their thread."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Faults({self._planned})"

    def plan(self, fault: Fault) -> Fault:
        with self._lock:
            self._planned.append(fault)
        return fault

    def clear(self) -> None:
        """Plan nothing any more, and let go on what is held."""
        with self._lock:
            planned, self._planned = self._planned, []
        for fault in planned:
            fault.cancel()
            if fault.hold is not None:
                fault.hold.release()

    def take(self, effects: Iterable[Effect], seen: list[Seen]) -> Fault | None:
        """Use up the first planned fault of these effects that matches one of the operations."""
        if not self._planned:
            return None
        with self._lock:
            for fault in self._planned:
                if fault.left == 0 or fault.effect not in effects:
                    continue
                if any(fault.match(one) for one in seen):
                    fault.used += 1
                    fault.left = None if fault.left is None else fault.left - 1
                    return fault
        return None
