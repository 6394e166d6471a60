"""Queries by text that are made of several: by its words, by its meaning, or by both.

    rank_by: [attribute, "HybridText", text, {"fuzziness": "auto" | 0 | 1 | 2}?]
    rank_by: [attribute, "Auto", text, {"fuzziness"?, "vector"?: attribute}?]

HybridText ranks by the whole text and by each of its words, and fuses the ranks. Auto takes that
for a few words, the meaning for many, which upstream embeds, and both in between.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from hevfast.batch.query_plan import Members, Query, filtered, joined, stamped_until
from hevfast.core.errors import GatewayError

Fuzziness = Literal["auto", 0, 1, 2]

RANK_CONSTANT: Final = 60
TOKENS_MAX: Final = 15
# Rows of each leg: five times those asked for, within these.
_LEG_ROWS_PER_ROW: Final = 5
_LEG_ROWS_MIN: Final = 50
_LEG_ROWS_MAX: Final = 200
# Words up to which a text is a search for words, and from which on it is a question.
_FEW: Final = 2
_MANY: Final = 8

_WORD: Final = re.compile(r"\w+")
_EDITS: Final[dict[Fuzziness, tuple[tuple[int, int], ...]]] = {
    0: (),
    1: ((3, 1),),
    2: ((3, 1), (6, 2)),
    "auto": ((3, 1), (6, 2)),
}

_decode_rank = msgspec.json.Decoder(list[Any]).decode
_decode_results = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_legs = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Options(msgspec.Struct, forbid_unknown_fields=True):
    fuzziness: Fuzziness = 0
    vector: str = "vector"


class _Id(msgspec.Struct):
    id: int | str


_decode_id = msgspec.json.Decoder(_Id).decode


class Hybrid(NamedTuple):
    """The legs of a text, and what is told of them."""

    legs: tuple[bytes, ...]
    leg_rows: int
    tokens: tuple[str, ...]
    dropped: int
    fuzziness: Fuzziness
    # None: HybridText was asked for.
    route: str | None


def may_be_hybrid(query: Query) -> bool:
    """Tell whether a query may rank by text in one of the two ways; cheap, and never wrongly no."""
    rank_by = query.members.get("rank_by", b"")
    return b'"HybridText"' in rank_by or b'"Auto"' in rank_by


def hybrid_of(query: Query) -> Hybrid | None:
    """Give the legs if a query ranks by text in one of the two ways.

    Raises: GatewayError `validation_error`.
    """
    if not may_be_hybrid(query):
        return None
    try:
        rank = _decode_rank(query.members["rank_by"])
    except msgspec.DecodeError:
        return None
    if len(rank) < 2 or rank[1] not in ("HybridText", "Auto"):
        return None
    if query.after is not None:
        raise GatewayError("validation_error", "query: `cursor` does not go with fused ranks")
    how: str = rank[1]
    attribute, text, fuzziness, vector = _read(rank, how)
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    if not words:
        raise GatewayError("validation_error", "query: the text of `rank_by` has no words")
    route = None if how == "HybridText" else _route(len(words))
    legs: list[Any] = []
    if route != "semantic":
        legs = [[attribute, "BM25", text]]
        legs += [_word_leg(attribute, word, fuzziness) for word in words[:TOKENS_MAX]]
    if route in ("semantic", "fused"):
        legs.append([vector, "ANN", ["Embed", text]])
    rows = min(max(_LEG_ROWS_PER_ROW * query.top_k, _LEG_ROWS_MIN), _LEG_ROWS_MAX)
    tokens, dropped = tuple(words[:TOKENS_MAX]), max(0, len(words) - TOKENS_MAX)
    return Hybrid(tuple(map(_encode, legs)), rows, tokens, dropped, fuzziness, route)


def _read(rank: list[Any], how: str) -> tuple[str, str, Fuzziness, str]:
    """Give attribute, text, fuzziness and the attribute of vectors."""
    try:
        options = msgspec.convert(rank[3] if len(rank) > 3 else {}, _Options)
        attribute, text = msgspec.convert((rank[0], *rank[2:3]), tuple[str, str])
    except msgspec.ValidationError as error:
        raise GatewayError(
            "validation_error",
            f'query: `rank_by` must be [attribute, "{how}", text, {{"fuzziness": ...}}?]: {error}',
        ) from error
    return attribute, text, options.fuzziness, options.vector


def spelled_hybrid(query: Query, hybrid: Hybrid, cut_ms: int | None) -> bytes:
    """Give the body to send: all legs with the same filters, and the same cut."""
    extra = list(query.window)
    if cut_ms is not None:
        extra.append(stamped_until(cut_ms))
    common = filtered(query.members, extra)
    consistency = common.get("consistency", b"null")
    shared = {name: raw for name, raw in common.items() if name != "consistency"}
    shared["top_k"] = b"%d" % hybrid.leg_rows
    legs = [joined({**shared, "rank_by": rank}) for rank in hybrid.legs]
    if len(legs) == 1:
        # Several are asked for at least; one is a query of its own.
        return joined({**shared, "rank_by": hybrid.legs[0], "consistency": consistency})
    return joined({"queries": b"[%b]" % b",".join(legs), "consistency": consistency})


def fused(body: bytes, query: Query, hybrid: Hybrid) -> bytes:
    """Make one answer of those of the legs: by reciprocal ranks, ties by id.

    Raises: GatewayError `upstream_error` if the answer cannot be read.
    """
    try:
        answer = _decode_results(body)
        results = _decode_legs(answer["results"]) if "results" in answer else [answer]
        legs = [_decode_rows(leg["rows"]) for leg in results]
        rows = list(_ranked(legs, query))
    except (msgspec.DecodeError, KeyError) as error:
        raise GatewayError(
            "upstream_error", "Turbopuffer query failed: its answer cannot be read."
        ) from error
    members: Members = {"rows": b"[%b]" % b",".join(rows)}
    if hybrid.route != "semantic":
        members["hybrid"] = _encode(
            {
                "tokens": hybrid.tokens,
                "tokens_dropped": hybrid.dropped,
                "fuzziness": hybrid.fuzziness,
                "rank_constant": RANK_CONSTANT,
                "legs": len(hybrid.legs),
                "per_leg_limit": hybrid.leg_rows,
            }
        )
    if hybrid.route is not None:
        tokens = len(hybrid.tokens) + hybrid.dropped
        routing = {"route": hybrid.route, "policy": "tokens", "tokens": tokens, "executed": True}
        members["routing"] = _encode(routing)
    for name in ("billing", "performance"):
        if name in answer:
            members[name] = bytes(answer[name])
    return joined(members)


def _ranked(legs: Sequence[Sequence[msgspec.Raw]], query: Query) -> Iterable[bytes]:
    score: dict[int | str, float] = {}
    first: dict[int | str, msgspec.Raw] = {}
    places: dict[int | str, list[dict[str, Any]]] = {}
    for number, leg in enumerate(legs):
        for rank, raw in enumerate(leg, 1):
            name = _decode_id(raw).id
            share = 1 / (RANK_CONSTANT + rank)
            score[name] = score.get(name, 0.0) + share
            first.setdefault(name, raw)
            places.setdefault(name, []).append({"leg": number, "rank": rank, "score": share})
    best = sorted(score, key=lambda name: (-score[name], isinstance(name, str), name))
    for name in best[: query.top_k]:
        row = {key: bytes(raw) for key, raw in _decode_row(first[name]).items()}
        row["$dist"] = _encode(score[name])
        if query.leg_breakdown:
            row["$legs"] = _encode(places[name])
        yield joined(row)


def _word_leg(attribute: str, word: str, fuzziness: Fuzziness) -> list[Any]:
    exact = [attribute, "BM25", word]
    edits = [{"min_query_chars": chars, "distance": n} for chars, n in _EDITS[fuzziness]]
    if not edits:
        return exact
    return ["Sum", [exact, [attribute, "Fuzzy", word, {"max_edit_distance": edits}]]]


def _route(words: int) -> str:
    if words <= _FEW:
        return "hybrid_text"
    return "semantic" if words >= _MANY else "fused"
