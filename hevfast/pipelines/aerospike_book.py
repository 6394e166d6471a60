"""A pipeline's book as one record: its operations spelled, and their results read.

Bins: `n` the last call's number, `p` the last position, `o` open calls by token, `a` places taken
and `h` first open segment by stage, `e` places taken by bucket, `cs` `cr` `co` the counts of
stages, reasons and origins, `rt` documents indexed by second, `x` set once it is deleted.
"""

from collections.abc import Callable
from typing import Any, Final

import aerospike

# The client's own stubs leave its helpers out.
from aerospike_helpers import expressions as exp  # type: ignore[import-untyped]
from aerospike_helpers.batch import records as batch  # type: ignore[import-untyped]
from aerospike_helpers.operations import expression_operations as exps  # type: ignore[import-untyped]
from aerospike_helpers.operations import map_operations as maps
from aerospike_helpers.operations import operations as op

from hevfast.cache.aerospike_client import Policy
from hevfast.pipelines import aerospike_operations as ops
from hevfast.pipelines.aerospike_keys import ORDERED, UPDATE, Place
from hevfast.pipelines.aerospike_operations import Answer, Book, Opened
from hevfast.pipelines.model import FAILED
from hevfast.pipelines.store import RATE_WINDOW_S, REASONS_MAX

# Calls open at once, as far as they are read: each gateway has some.
_OPEN_MAX: Final = 10_000

_KEYS: Final = aerospike.MAP_RETURN_KEY

# The server's time: a record's last update, in nanoseconds, and the milliseconds since.
_NOW: Final = [
    exps.expression_read("u", exp.LastUpdateTime().compile()),
    exps.expression_read("w", exp.SinceUpdateTime().compile()),
]
_NS_PER_MS: Final = 1_000_000

# A deleted pipeline's book has this bin, and opens no calls.
_ALIVE: Final[Policy] = UPDATE | {"expressions": exp.Not(exp.BinExists("x")).compile()}


def look(place: Place, asked: ops.Look) -> batch.BatchRecord:
    keys = maps.map_get_by_index_range("o", 0, _OPEN_MAX, _KEYS)
    opened = op.read("o") if asked.bodies else keys
    bins = ("n", "x", "a", "h", "e", "cs", "cr", "co", "rt")
    return batch.Read(place.book, [*map(op.read, bins), opened, *_NOW])


def book(asked: ops.Look, record: Any, clock: Callable[[int], int]) -> Any:
    bins = record[2]
    if bins.get("x") and not asked.doomed:
        return Answer.MISSING
    opened = bins.get("o") or {}
    return Book(
        bins.get("n", 0),
        dict(opened) if asked.bodies else dict.fromkeys(opened, b""),
        clock(_now_ms(bins)),
        arrivals=_by_name(bins.get("a")),
        heads=_by_name(bins.get("h")),
        buckets=dict(bins.get("e") or {}),
        stages=_by_name(bins.get("cs")),
        reasons=_by_name(bins.get("cr")),
        origins=_by_name(bins.get("co")),
        rates=dict(bins.get("rt") or {}),
    )


def _by_name(counts: dict[bytes, int] | None) -> dict[str, int]:
    # Names are bytes in maps: of text the client takes what stands before a zero.
    return {name.decode(): count for name, count in (counts or {}).items()}


def _now_ms(bins: dict[str, Any]) -> int:
    return int(bins["u"]) // _NS_PER_MS + int(bins["w"])


def open(place: Place, asked: ops.Open) -> batch.BatchRecord:
    operations = [op.increment("n", 1), op.read("n")]
    if asked.positions:
        operations += [op.increment("p", asked.positions), op.read("p")]
    if asked.arrivals:
        operations.append(maps.map_increment("a", asked.stage.encode(), asked.arrivals, ORDERED))
    if asked.lapses:
        operations.append(maps.map_increment("e", asked.bucket, asked.lapses, ORDERED))
    if asked.stage == FAILED:
        operations.append(maps.map_get_by_index_range("cr", 0, 2 * REASONS_MAX, _KEYS))
    operations += [
        maps.map_put("o", asked.token, asked.body, ORDERED),
        # Of several answers of one bin the last is given.
        maps.map_get_by_index_range("o", 0, _OPEN_MAX, _KEYS),
    ]
    return batch.Write(place.book, [*operations, *_NOW], None, _ALIVE)


def opened(asked: ops.Open, record: Any, clock: Callable[[int], int]) -> Opened:
    bins = record[2]
    return Opened(
        bins["n"],
        bins.get("p") or 0,
        bins.get("a") or 0,
        bins.get("e") or 0,
        frozenset(bins["o"]),
        clock(_now_ms(bins)),
        frozenset(reason.decode() for reason in bins.get("cr") or ()),
    )


def close(place: Place, asked: ops.Close) -> batch.BatchRecord:
    operations = [maps.map_remove_by_key("o", asked.token, aerospike.MAP_RETURN_COUNT)]
    for name, counts in (("cs", asked.stages), ("cr", asked.reasons), ("co", asked.origins)):
        if counts:
            operations += [
                maps.map_increment(name, key.encode(), count, ORDERED)
                for key, count in counts.items()
            ]
            operations.append(maps.map_remove_by_value(name, 0, aerospike.MAP_RETURN_NONE))
    if asked.indexed:
        last = asked.second - RATE_WINDOW_S
        operations += [
            maps.map_increment("rt", asked.second, asked.indexed, ORDERED),
            maps.map_remove_by_key_range("rt", 0, last + 1, aerospike.MAP_RETURN_NONE),
        ]
    still_open = exp.MapGetByKey(
        None, aerospike.MAP_RETURN_EXISTS, exp.ResultType.BOOLEAN, asked.token, exp.MapBin("o")
    )
    return batch.Write(place.book, operations, None, UPDATE | {"expressions": still_open.compile()})


def advance(place: Place, asked: ops.Advance) -> batch.BatchRecord:
    known = exp.MapGetByKey(
        None,
        aerospike.MAP_RETURN_EXISTS,
        exp.ResultType.BOOLEAN,
        asked.stage.encode(),
        exp.MapBin("h"),
    )
    lower = exp.LT(_value_at("h", asked.stage.encode()), asked.segment)
    condition = exp.Or(exp.Not(exp.BinExists("h")), exp.Not(known), lower)
    return batch.Write(
        place.book,
        [maps.map_put("h", asked.stage.encode(), asked.segment, ORDERED)],
        None,
        UPDATE | {"expressions": condition.compile()},
    )


def retire(place: Place, asked: ops.Retire) -> batch.BatchRecord:
    condition = exp.Eq(_value_at("e", asked.bucket), asked.before)
    if asked.after is None:
        change = maps.map_remove_by_key("e", asked.bucket, aerospike.MAP_RETURN_NONE)
    else:
        change = maps.map_put("e", asked.bucket, asked.after, ORDERED)
    return batch.Write(place.book, [change], None, UPDATE | {"expressions": condition.compile()})


def _value_at(name: str, key: bytes | int) -> Any:
    return exp.MapGetByKey(
        None, aerospike.MAP_RETURN_VALUE, exp.ResultType.INTEGER, key, exp.MapBin(name)
    )
