"""The pipelines' operations as records of the client's batches, and what their results mean."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import aerospike

# The client's own stubs leave its helpers out.
from aerospike_helpers import expressions as exp  # type: ignore[import-untyped]
from aerospike_helpers.batch import records as batch  # type: ignore[import-untyped]
from aerospike_helpers.operations import expression_operations as exps  # type: ignore[import-untyped]
from aerospike_helpers.operations import map_operations as maps
from aerospike_helpers.operations import operations as op

from hevfast.cache.aerospike_client import DONE, FILTERED, NOT_FOUND, REFUSED, Policy
from hevfast.pipelines import aerospike_book as book
from hevfast.pipelines import aerospike_operations as ops
from hevfast.pipelines.aerospike_keys import CREATE, ORDERED, UPDATE, UPSERT, Place
from hevfast.pipelines.aerospike_operations import Answer, Hints, Kept

# Further results.
_OTHER_GENERATION: Final = 3
_EXISTS: Final = 5

# Hints in one segment from which on it takes none. A line's has places for no more than a thousand;
# where documents return to a stage, more may come together.
SEGMENT_HINTS_MAX: Final = 4000

_PAIRS: Final = aerospike.MAP_RETURN_KEY_VALUE

_UNCHANGED: Final[Policy] = UPDATE | {"gen": aerospike.POLICY_GEN_EQ}


def taking_hints(most: int) -> Policy:
    """Put hints into a segment that is not sealed, and has fewer than so many."""
    few = exp.LT(exp.MapSize(None, exp.MapBin("m")), most)
    takes = exp.And(exp.Not(exp.BinExists("x")), exp.Or(exp.Not(exp.BinExists("m")), few))
    return UPSERT | {"expressions": takes.compile()}


_TAKES_HINTS: Final = taking_hints(SEGMENT_HINTS_MAX)

_EMPTY: Final[Policy] = UPSERT | {
    "expressions": exp.Or(
        exp.Not(exp.BinExists("m")), exp.Eq(exp.MapSize(None, exp.MapBin("m")), 0)
    ).compile()
}

Records = list[batch.BatchRecord]


def record_of(place: Place, asked: ops.Op) -> batch.BatchRecord:
    """Spell an operation."""
    return _SPELLED[type(asked)](place, asked)


def answer_of(asked: ops.Op, record: batch.BatchRecord, clock: Callable[[int], int]) -> Any:
    """Read an operation's answer. `clock` tells the time in force by the server's."""
    if record.result == DONE:
        reading = _READ.get(type(asked))
        return Answer.DONE if reading is None else reading(asked, record.record, clock)
    if record.result == NOT_FOUND:
        # What is gone needs no removal.
        return Answer.DONE if isinstance(asked, _REMOVALS) else Answer.MISSING
    if record.result in (_OTHER_GENERATION, _EXISTS, FILTERED):
        if isinstance(asked, ops.Open):
            return Answer.MISSING
        return Answer.REFUSED
    return Answer.FULL if record.result in REFUSED else Answer.LOST


def size_of(asked: ops.Op) -> int:
    """Give the bytes that an operation carries, as far as they are many."""
    if isinstance(asked, ops.Put):
        return len(asked.state) + len(asked.chunks or b"") + len(asked.rows or b"")
    return len(asked.data) if isinstance(asked, ops.PutPart) else 0


_REMOVALS: Final = (ops.Drop, ops.DropPart, ops.Erase, ops.Remove, ops.Burn)


# ---- documents


def _read(place: Place, asked: ops.Read) -> batch.BatchRecord:
    operations = [op.read("s"), op.read("z")]
    if asked.chunks:
        operations.append(op.read("k"))
    if asked.rows:
        operations.append(op.read("r"))
    return batch.Read(place.document(asked.document), operations)


def _kept(asked: ops.Read, record: Any, clock: Callable[[int], int]) -> Kept:
    _, meta, bins = record
    return Kept(bins["s"], meta["gen"], bins.get("k"), bins.get("r"), bins.get("z") or 0)


def _put(place: Place, asked: ops.Put) -> batch.BatchRecord:
    operations = [op.write("s", asked.state)]
    for name, value in (("k", asked.chunks), ("r", asked.rows)):
        # A bin that is not there can't be removed from a record that is not there.
        if value or (value is not None and asked.generation):
            operations.append(op.write(name, value or aerospike.null()))
    key = place.document(asked.document)
    if not asked.generation:
        return batch.Write(key, operations, None, CREATE)
    return batch.Write(key, operations, {"gen": asked.generation}, _UNCHANGED)


def _touch(place: Place, asked: ops.Touch) -> batch.BatchRecord:
    key = place.document(asked.document)
    before = exp.Cond(exp.BinExists("z"), exp.IntBin("z"), 0)
    marked = exps.expression_write("z", exp.Max(before, asked.number).compile())
    return batch.Write(key, [marked], {"gen": asked.generation}, _UNCHANGED)


def _put_part(place: Place, asked: ops.PutPart) -> batch.BatchRecord:
    key = place.part(asked.document, asked.token, asked.piece)
    return batch.Write(key, [op.write("d", asked.data)], None, UPSERT)


# ---- segments


def _hint(place: Place, asked: ops.Hint) -> batch.BatchRecord:
    operations = [maps.map_put_items("m", asked.hints, ORDERED), op.increment("c", 0)]
    return batch.Write(place.segment(asked.segment), operations, None, _TAKES_HINTS)


def _drop(place: Place, asked: ops.Drop) -> batch.BatchRecord:
    operations = [op.increment("c", -asked.reserved)]
    if asked.keys:
        operations.append(maps.map_remove_by_key_list("m", asked.keys, aerospike.MAP_RETURN_NONE))
    return batch.Write(place.segment(asked.segment), operations, None, UPDATE)


@lru_cache(maxsize=256)
def _reserving(count: int, anew: bool) -> list[dict[str, Any]]:
    first = exp.Val(0) if anew else exp.Max(exp.IntBin("c"), 0)
    hints = exp.MapGetByIndexRange(None, _PAIRS, first, count, exp.MapBin("m"))
    after = exp.Min(exp.Add(first, count), exp.MapSize(None, exp.MapBin("m")))
    return [
        exps.expression_read("r", hints.compile()),
        maps.map_size("m"),
        exps.expression_write("c", after.compile()),
    ]


def _reserve(place: Place, asked: ops.Reserve) -> batch.BatchRecord:
    operations = _reserving(asked.places, asked.anew)
    return batch.Write(place.segment(asked.segment), operations, None, _WITH_HINTS)


# A segment that was sealed before anything came into it has no map.
_WITH_HINTS: Final[Policy] = UPDATE | {"expressions": exp.BinExists("m").compile()}


def _reserved(asked: ops.Reserve, record: Any, clock: Callable[[int], int]) -> Hints:
    bins = record[2]
    return Hints(_paired(bins.get("r") or []), bins["m"])


def _glance(place: Place, asked: ops.Glance) -> batch.BatchRecord:
    if asked.end is None:
        operation = maps.map_get_by_index_range("m", 0, asked.most, _PAIRS)
    else:
        operation = maps.map_get_by_key_range("m", b"", asked.end, _PAIRS)
    return batch.Read(place.segment(asked.segment), [operation])


def _glanced(asked: ops.Glance, record: Any, clock: Callable[[int], int]) -> Hints:
    pairs = record[2].get("m") or []
    found = _paired(pairs[: 2 * asked.most])
    return Hints(found, len(found))


def _paired(pairs: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _seal(place: Place, asked: ops.Seal) -> batch.BatchRecord:
    return batch.Write(place.segment(asked.segment), [op.write("x", 1)], None, _EMPTY)


_SPELLED: Final[dict[type, Callable[[Place, Any], batch.BatchRecord]]] = {
    ops.Look: book.look,
    ops.Open: book.open,
    ops.Close: book.close,
    ops.Advance: book.advance,
    ops.Retire: book.retire,
    ops.Read: _read,
    ops.Put: _put,
    ops.Touch: _touch,
    ops.Erase: lambda place, asked: batch.Remove(place.document(asked.document)),
    ops.PutPart: _put_part,
    ops.DropPart: lambda place, asked: batch.Remove(place.part(*asked)),
    ops.ReadPart: lambda place, asked: batch.Read(place.part(*asked), [op.read("d")]),
    ops.Hint: _hint,
    ops.Drop: _drop,
    ops.Reserve: _reserve,
    ops.Glance: _glance,
    ops.Seal: _seal,
    ops.Remove: lambda place, asked: batch.Remove(place.segment(asked.segment)),
    ops.Burn: lambda place, asked: batch.Remove(place.book),
}

_READ: Final[dict[type, Callable[[Any, Any, Callable[[int], int]], Any]]] = {
    ops.Look: book.book,
    ops.Open: book.opened,
    ops.Read: _kept,
    ops.ReadPart: lambda asked, record, clock: record[2]["d"],
    ops.Reserve: _reserved,
    ops.Glance: _glanced,
}
