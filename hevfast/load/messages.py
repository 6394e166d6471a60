"""What the processes of a run tell each other, as msgpack over pipes."""

from multiprocessing.connection import Connection

import msgspec

from .options import Options, Step


class Job(msgspec.Struct, frozen=True, tag=True):
    """What one process is to do: its share of `options` as number `index`."""

    options: Options
    index: int
    key: str | None


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End the step now; what is under way is forgotten."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The connections stand."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The process cannot go on."""

    message: str


class Marks(msgspec.Struct, frozen=True):
    """Moments of requests: when each was due and how long it took.

    Units: microseconds since the start of the step, and of latency; arrays of native uint64.
    """

    due: bytes
    latency: bytes


class Miss(msgspec.Struct, frozen=True):
    """Some requests of one name that went wrong in the same way in the same second."""

    name: str
    word: str
    second: int
    count: int


class Batch(msgspec.Struct, frozen=True, tag=True):
    """What came to pass since the last batch, warm-up excluded."""

    # Good answers by name of request or course; then those that never came, timed until given up.
    answered: dict[str, Marks]
    lost: dict[str, Marks]
    misses: list[Miss]
    # `x-layer-cache` values of good answers, by name.
    cache: dict[str, dict[str, int]]
    # How late arrivals were looked at. Units: microseconds, as in Marks.
    late: bytes


class Done(msgspec.Struct, frozen=True, tag=True):
    """The step is over. Units: seconds; `waited` counts arrivals that found no free connection."""

    cpu_s: float
    wall_s: float
    arrivals: int
    waited: int


ToWorker = Job | Step | Stop
ToParent = Ready | Failed | Batch | Done

_encode = msgspec.msgpack.Encoder().encode
_decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
_decode_to_parent = msgspec.msgpack.Decoder(ToParent).decode


def send(pipe: Connection, message: ToWorker | ToParent) -> None:
    pipe.send_bytes(_encode(message))


def receive_order(pipe: Connection) -> ToWorker:
    """Wait for the parent. Raises: EOFError when it is gone."""
    order: ToWorker = _decode_to_worker(pipe.recv_bytes())
    return order


def receive_news(pipe: Connection) -> ToParent:
    """Wait for a worker. Raises: EOFError when it is gone."""
    news: ToParent = _decode_to_parent(pipe.recv_bytes())
    return news
