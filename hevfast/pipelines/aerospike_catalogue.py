"""The list of pipelines: a few records that hold all of them, by id.

A pipeline's number is given once and never again: all of its records bear it, so those of a deleted
one are nobody's. Deleting writes the number down as doomed first; from then on it goes on by itself
until nothing is left, whoever dies meanwhile.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import aerospike
import msgspec

# The client's own stubs leave its helpers out.
from aerospike_helpers import expressions as exp  # type: ignore[import-untyped]
from aerospike_helpers.batch import records as batch  # type: ignore[import-untyped]
from aerospike_helpers.operations import map_operations as maps  # type: ignore[import-untyped]
from aerospike_helpers.operations import operations as op

from hevfast.cache.aerospike_client import DONE, NOT_FOUND, Key
from hevfast.pipelines.aerospike_keys import CREATE, UPDATE, UPSERT, Place
from hevfast.pipelines.model import Pipeline
from hevfast.pipelines.store import PIPELINES_MAX, TooManyPipelinesError, UnableError

# Records that pipelines are spread over: a full list fits into them many times over.
_SHARDS: Final = 64

# Attempts at a record that others are changing.
_ATTEMPTS_MAX: Final = 16

_ELEMENT_EXISTS: Final = 24
_OTHER_GENERATION: Final = 3

# Milliseconds after which a keeper that says nothing is replaced.
_KEEPER_MS: Final = 5000

_ORDERED: Final = {"map_order": aerospike.MAP_KEY_ORDERED}
_NEW: Final = _ORDERED | {"map_write_flags": aerospike.MAP_WRITE_FLAGS_CREATE_ONLY}
_VALUE: Final = aerospike.MAP_RETURN_VALUE

Do = Callable[[Sequence[batch.BatchRecord]], Awaitable[None]]


class Entry(NamedTuple):
    """A pipeline and its number."""

    number: int
    pipeline: Pipeline


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class Catalogue:
    """Reads and changes the list. `do`: does records, and raises UnableError."""

    def __init__(self, do: Do, namespace: str, set_prefix: str) -> None:
        self._do = do
        self._namespace = namespace
        self._set_prefix = set_prefix

    def place(self, number: int) -> Place:
        return Place(self._namespace, self._set_prefix, number)

    async def find(self, pipeline: str) -> Entry | None:
        read = batch.Read(
            self._shard(pipeline), [maps.map_get_by_key("p", pipeline.encode(), _VALUE)]
        )
        await self._do([read])
        text = _bins(read).get("p")
        return None if text is None else _decode(text)

    async def entries(self) -> list[Entry]:
        """Give all, the oldest first."""
        reads = [batch.Read(self._key(b"%d" % shard), [op.read("p")]) for shard in range(_SHARDS)]
        await self._do(reads)
        texts = [text for read in reads for text in (_bins(read).get("p") or {}).values()]
        return sorted(map(_decode, texts))

    async def create(self, pipeline: Pipeline) -> bool:
        """Begin a pipeline; False if its id is taken.

        Creations at the same moment may exceed the bound by one each.

        Raises: TooManyPipelinesError.
        """
        sizes = [batch.Read(self._key(b"%d" % n), [maps.map_size("p")]) for n in range(_SHARDS)]
        await self._do(sizes)
        if sum(_bins(each).get("p", 0) for each in sizes) >= PIPELINES_MAX:
            raise TooManyPipelinesError
        drawn = batch.Write(
            self._key(b"numbers"), [op.increment("n", 1), op.read("n")], None, UPSERT
        )
        await self._done(drawn)
        number = int(drawn.record[2]["n"])
        # The book first: whoever finds the pipeline finds that too.
        await self._done(batch.Write(self.place(number).book, [op.write("n", 0)], None, CREATE))
        entry = _encode(Entry(number, pipeline))
        put = batch.Write(
            self._shard(pipeline.id),
            [maps.map_put("p", pipeline.id.encode(), entry, _NEW)],
            None,
            UPSERT,
        )
        await self._do([put])
        if put.result == _ELEMENT_EXISTS:
            await self._do([batch.Remove(self.place(number).book)])
            return False
        _check(put)
        return True

    async def pause(self, pipeline: str, paused: bool) -> Entry | None:
        def change(entry: Entry) -> Entry:
            return entry._replace(pipeline=entry.pipeline._replace(paused=paused))

        return await self._change(pipeline, change)

    async def doom(self, entry: Entry) -> None:
        """Write down that a pipeline is deleted, and delete it."""
        doomed = maps.map_put("d", entry.number, entry.pipeline.id.encode(), _ORDERED)
        await self._done(batch.Write(self._key(b"numbers"), [doomed], None, UPSERT))
        await self.shut(entry.number, entry.pipeline.id)

    async def shut(self, number: int, pipeline: str) -> None:
        """Let no further call begin, and take a doomed pipeline off the list."""
        book = batch.Write(self.place(number).book, [op.write("x", 1)], None, UPDATE)
        await self._do([book])
        if book.result != NOT_FOUND:
            _check(book)
        await self._change(pipeline, lambda entry: None if entry.number == number else entry)

    async def doomed(self) -> dict[int, str]:
        read = batch.Read(self._key(b"numbers"), [op.read("d")])
        await self._do([read])
        doomed = _bins(read).get("d") or {}
        return {number: pipeline.decode() for number, pipeline in doomed.items()}

    async def forget(self, number: int) -> None:
        """Strike out a doomed pipeline of which nothing is left."""
        gone = maps.map_remove_by_key("d", number, aerospike.MAP_RETURN_NONE)
        await self._done(batch.Write(self._key(b"numbers"), [gone], None, UPDATE))

    async def keeps(self, gateway: bytes) -> bool:
        """Take, or go on with, the upkeep; False while another gateway has it."""
        mine = exp.Eq(exp.BlobBin("g"), gateway)
        free = exp.Or(mine, exp.GT(exp.SinceUpdateTime(), _KEEPER_MS)).compile()
        policy = UPSERT | {"expressions": free}
        asked = batch.Write(self._key(b"keeper"), [op.write("g", gateway)], None, policy)
        await self._do([asked])
        return bool(asked.result == DONE)

    async def _change(self, pipeline: str, change: Callable[[Entry], Entry | None]) -> Entry | None:
        """Change an entry, or remove it; None if there is none."""
        key = self._shard(pipeline)
        for _ in range(_ATTEMPTS_MAX):
            read = batch.Read(key, [maps.map_get_by_key("p", pipeline.encode(), _VALUE)])
            await self._do([read])
            text = _bins(read).get("p")
            if text is None:
                return None
            entry = _decode(text)
            after = change(entry)
            if after == entry:
                return entry
            if after is None:
                changing = maps.map_remove_by_key("p", pipeline.encode(), aerospike.MAP_RETURN_NONE)
            else:
                changing = maps.map_put("p", pipeline.encode(), _encode(after), _ORDERED)
            meta = {"gen": read.record[1]["gen"]}
            policy = UPDATE | {"gen": aerospike.POLICY_GEN_EQ}
            written = batch.Write(key, [changing], meta, policy)
            await self._do([written])
            if written.result not in (_OTHER_GENERATION, NOT_FOUND):
                _check(written)
                return after
        raise UnableError("too many change the list of pipelines")

    async def _done(self, record: batch.BatchRecord) -> None:
        await self._do([record])
        _check(record)

    def _shard(self, pipeline: str) -> Key:
        digest = hashlib.blake2b(pipeline.encode(), digest_size=1).digest()
        return self._key(b"%d" % (digest[0] % _SHARDS))

    def _key(self, name: bytes) -> Key:
        return (self._namespace, self._set_prefix + "pipe_lists", bytearray(name))


def _bins(read: batch.BatchRecord) -> dict[str, Any]:
    """Give what was read: nothing, if there is no such record."""
    if read.result == NOT_FOUND:
        return {}
    _check(read)
    return dict(read.record[2] or {})


def _check(record: batch.BatchRecord) -> None:
    if record.result != DONE:
        raise UnableError(f"the pipelines' store answered with {record.result}")
