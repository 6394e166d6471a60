"""What a query's body asks for, and the body to send upstream in its place.

Values keep the client's bytes: bodies are put together of members as they were sent.
"""

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

import msgspec

from hevfast.batch.query_cursor import Place, read_cursor
from hevfast.core.errors import GatewayError

STAMP: Final = b'"_hevlayer_upserted_at"'

TOP_K_DEFAULT: Final = 10
# Most rows that upstream gives in one answer.
TOP_K_MAX: Final = 10_000

LEGS_MIN: Final = 2
LEGS_MAX: Final = 16
NEAREST_IDS_MAX: Final = 16

# Members that only Layer's form has. None of them goes upstream.
_LAYERS: Final = frozenset(
    {"vector", "nearest_to_id", "as_of", "between", "cursor", "include_leg_breakdown"}
)
# Members by which a body is in Turbopuffer's own form (layer-api 4.3).
_NATIVE: Final = frozenset(
    {"queries", "aggregate_by", "group_by", "limit", "exclude_attributes", "distance_metric",
     "vector_encoding"}
)  # fmt: skip
# A body without any of these keys is native, unless one is spelled with an escape. As one pattern
# that begins with a quote: looking for each by itself takes ten times as long.
_MAY_BE_LAYERS: Final = re.compile(
    rb'"(?:top_k|%b)"\s*:' % b"|".join(name.encode() for name in sorted(_LAYERS))
)
_SOURCES: Final = ("vector", "nearest_to_id", "rank_by")
_EVENTUAL: Final = b'{"level":"eventual"}'

Members = dict[str, bytes]

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_legs = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_whole = msgspec.json.Decoder(int).decode
_decode_window = msgspec.json.Decoder(tuple[int, int]).decode
_decode_ids = msgspec.json.Decoder(list[int | str]).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Shape(enum.Enum):
    """Whose form a body has."""

    # Turbopuffer's: sent as it is.
    NATIVE = "native"
    # Layer's single query, and its query of several legs.
    SINGLE = "single"
    LEGS = "legs"


class Query(NamedTuple):
    """A query as it was understood.

    `members`: what goes upstream of it, in order; of a native one, what came. `legs`: those of each
    of its queries. `window`: filters of the time asked for. `nearest_to`: ids whose vectors are to
    be searched by; the ranking is missing then.
    """

    shape: Shape
    members: Members
    legs: tuple[Members, ...] = ()
    window: tuple[bytes, ...] = ()
    top_k: int = TOP_K_DEFAULT
    after: Place | None = None
    nearest_to: tuple[int | str, ...] = ()
    leg_breakdown: bool = False
    # Whether a smaller distance is better, so that rows can be put in order here.
    ascending: bool = False


def read_query(body: bytes | bytearray, *, natives_too: bool = True) -> Query:
    """Say what a body asks for. What cannot be read is native: upstream says what is wrong with it.

    `natives_too`: the members of a native query are wanted; without them most are known by a look.

    Raises: GatewayError `validation_error` for what is Layer's form and wrong.
    Cost: one pass over the body: 20 us for 32 KB, a look 9.
    """
    if not natives_too and _MAY_BE_LAYERS.search(body) is None and b"\\" not in body:
        return Query(Shape.NATIVE, {})
    try:
        read = _decode_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Query(Shape.NATIVE, {})
    if "queries" in read:
        return _several({name: bytes(raw) for name, raw in read.items()})
    members = {name: bytes(raw) for name, raw in read.items()}
    ranked = "rank_by" in read and "top_k" in read and _NATIVE.isdisjoint(read)
    if ranked or not _LAYERS.isdisjoint(read):
        return _single(members)
    return Query(Shape.NATIVE, members)


def _single(members: Members) -> Query:
    given = [name for name in _SOURCES if not _absent(members, name)]
    if len(given) != 1:
        _refuse(f"give exactly one of {', '.join(_SOURCES)}, not {len(given)}")
    window, after = _window(members), _after(members)
    top_k = _top_k(members)
    if (top_k + (after.seen if after is not None else 0)) > TOP_K_MAX:
        _refuse(f"`cursor` and `top_k` go beyond the first {TOP_K_MAX} rows")
    nearest_to: tuple[int | str, ...] = ()
    kept = {name: raw for name, raw in members.items() if name not in _LAYERS}
    if given == ["nearest_to_id"]:
        nearest_to = _ids(members["nearest_to_id"])
    elif given == ["vector"]:
        vector = members["vector"]
        if not vector.startswith(b"["):
            _refuse("`vector` is not an array")
        kept = {"rank_by": ranked_by(vector), **kept}
    if not _absent(kept, "filters") and not kept["filters"].startswith(b"["):
        _refuse("`filters` is not an array")
    kept["top_k"] = b"%d" % (top_k + (after.seen if after is not None else 0))
    kept.setdefault("consistency", _EVENTUAL)
    breakdown = members.get("include_leg_breakdown") == b"true"
    ascending = given != ["rank_by"] or _ranks_by_distance(kept["rank_by"])
    return Query(Shape.SINGLE, kept, (), window, top_k, after, nearest_to, breakdown, ascending)


def _several(members: Members) -> Query:
    """Read a query of several legs: native, unless it asks for something of Layer's."""
    try:
        read = _decode_legs(members["queries"])
    except msgspec.DecodeError:
        return Query(Shape.NATIVE, members)
    legs = tuple({name: bytes(raw) for name, raw in leg.items()} for leg in read)
    if _LAYERS.isdisjoint(members) and all(map(_LAYERS.isdisjoint, legs)):
        return Query(Shape.NATIVE, members, legs)
    if not _absent(members, "cursor"):
        _refuse("`cursor` does not go with `queries`")
    if not LEGS_MIN <= len(legs) <= LEGS_MAX:
        _refuse(f"`queries` has {len(legs)} legs; {LEGS_MIN} to {LEGS_MAX} are allowed")
    for number, leg in enumerate(legs):
        if strange := sorted(_LAYERS.intersection(leg)):
            _refuse(f"`queries[{number}]`: `{strange[0]}` is not allowed in a leg")
    window = _window(members)
    kept = {name: raw for name, raw in members.items() if name not in _LAYERS}
    kept.setdefault("consistency", _EVENTUAL)
    return Query(Shape.LEGS, kept, legs, window)


def spelled(query: Query, cut_ms: int | None) -> bytes:
    """Give the body to send: with its window, and with the cut, the same for all legs."""
    extra = list(query.window)
    if cut_ms is not None:
        extra.append(stamped_until(cut_ms))
    if not query.legs:
        return joined(filtered(query.members, extra))
    legs = b",".join(joined(filtered(leg, extra)) for leg in query.legs)
    return joined({**query.members, "queries": b"[" + legs + b"]"})


def filtered(members: Members, extra: Sequence[bytes]) -> Members:
    """Give the members with more filters beside the client's."""
    if not extra:
        return members
    own = [] if _absent(members, "filters") else [members["filters"]]
    filters = [*own, *extra]
    one = filters[0] if len(filters) == 1 else b'["And",[%b]]' % b",".join(filters)
    return {**members, "filters": one}


def joined(members: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join([b"%b:%b" % (_encode(name), raw) for name, raw in members.items()])


def ranked_by(vector: bytes) -> bytes:
    return b'["vector","ANN",%b]' % vector


def stamped_until(moment_ms: int) -> bytes:
    return b'[%b,"Lte",%d]' % (STAMP, moment_ms)


def _window(members: Members) -> tuple[bytes, ...]:
    as_of, between = not _absent(members, "as_of"), not _absent(members, "between")
    if as_of and between:
        _refuse("give `as_of` or `between`, not both")
    try:
        if as_of:
            return (stamped_until(_moment(_decode_whole(members["as_of"]))),)
        if between:
            low, high = map(_moment, _decode_window(members["between"]))
            if low >= high:
                _refuse("`between` must be [low, high] with low below high")
            return b'[%b,"Gt",%d]' % (STAMP, low), stamped_until(high)
    except msgspec.DecodeError as error:
        name = "as_of" if as_of else "between"
        what = "a whole number" if as_of else "two whole numbers"
        _refuse(f"`{name}` must be {what} of milliseconds: {error}")
    return ()


def _moment(moment_ms: int) -> int:
    if not 0 <= moment_ms < 1 << 63:
        _refuse("a moment is milliseconds since the epoch, and not negative")
    return moment_ms


def _after(members: Members) -> Place | None:
    if _absent(members, "cursor"):
        return None
    try:
        return read_cursor(_decode_text(members["cursor"]))
    except (ValueError, msgspec.DecodeError):
        _refuse("`cursor` is not one that this gateway has given")


def _top_k(members: Members) -> int:
    if _absent(members, "top_k"):
        return TOP_K_DEFAULT
    try:
        top_k = _decode_whole(members["top_k"])
    except msgspec.DecodeError as error:
        _refuse(f"`top_k` must be a whole number: {error}")
    if not 1 <= top_k <= TOP_K_MAX:
        _refuse(f"`top_k` must be 1 to {TOP_K_MAX}")
    return top_k


def _ids(raw: bytes) -> tuple[int | str, ...]:
    try:
        ids = tuple(dict.fromkeys(_decode_ids(raw)))
    except msgspec.DecodeError as error:
        _refuse(f"`nearest_to_id` must be an array of ids: {error}")
    if not 1 <= len(ids) <= NEAREST_IDS_MAX:
        _refuse(f"`nearest_to_id` must name 1 to {NEAREST_IDS_MAX} documents")
    return ids


def _ranks_by_distance(rank_by: bytes) -> bool:
    try:
        words = _decode_array(rank_by)
    except msgspec.DecodeError:
        return False
    return len(words) > 1 and bytes(words[1]) in (b'"ANN"', b'"kNN"')


def _absent(members: Mapping[str, bytes], name: str) -> bool:
    return members.get(name, b"null") == b"null"


def _refuse(message: str) -> NoReturn:
    raise GatewayError("validation_error", f"query: {message}")
