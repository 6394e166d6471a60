"""A store without transactions as a value: what each operation does to it, in one step.

A store is a frozen set of items, so a state of the world can be hashed. Items are the book, the
documents, the segments and the parts; the time; and what was seen to be wrong. Answers that hold
maps are kept as tuples in a world's history, and thawed for the deed they are told to.
"""

from functools import lru_cache
from typing import Any

from hevfast.pipelines import aerospike_operations as ops
from hevfast.pipelines.aerospike_operations import Answer, Book, Hints, Kept, Opened
from hevfast.pipelines.aerospike_state import before_of
from hevfast.pipelines.aerospike_state import state_of as read_state

state_of = lru_cache(maxsize=100_000)(read_state)

Store = frozenset[tuple[Any, Any]]
Pairs = tuple[tuple[Any, Any], ...]

BOOK = ("book",)
NOW = ("now",)
WRONG = ("wrong",)

_MAPS = ("open", "arrivals", "heads", "buckets", "stages", "reasons", "origins", "rates")
# Hints from which on a segment of those that return takes none.
RETURNS_MAX = 1

_EMPTY_BOOK: tuple[Any, ...] = (0, 0, *[()] * len(_MAPS))


def initial(now_ms: int) -> Store:
    return frozenset({(BOOK, _EMPTY_BOOK), (NOW, now_ms), (WRONG, "")})


class Draft:
    """A store while one operation is done to it."""

    # Planted faults put others in their places.
    checks_generation = True
    checks_token = True
    checks_empty = True
    checks_seal = True
    touches = True
    marks = True

    def __init__(self, store: Store) -> None:
        self.items = dict(store)
        book = self.items.get(BOOK)
        self.number, self.position = (book[0], book[1]) if book else (0, 0)
        self.maps = dict(zip(_MAPS, map(dict, book[2:] if book else ()), strict=False))

    @property
    def now_ms(self) -> int:
        return int(self.items[NOW])

    def kept(self) -> Store:
        if BOOK in self.items:
            maps = [tuple(sorted(self.maps[name].items())) for name in _MAPS]
            self.items[BOOK] = (self.number, self.position, *maps)
        return frozenset(self.items.items())

    def do(self, op: Any) -> Any:
        return getattr(self, f"_{type(op).__name__.lower()}")(op)

    # The book

    def _look(self, op: ops.Look) -> Any:
        if BOOK not in self.items:
            return Answer.MISSING
        return (*self.items[BOOK], self.now_ms)

    def _open(self, op: ops.Open) -> Any:
        if BOOK not in self.items:
            return Answer.MISSING
        self.number += 1
        self.position += op.positions
        if op.arrivals:
            _add(self.maps["arrivals"], op.stage, op.arrivals)
        if op.lapses:
            _add(self.maps["buckets"], op.bucket, op.lapses)
        self.maps["open"][op.token] = op.body
        return Opened(
            self.number,
            self.position,
            self.maps["arrivals"].get(op.stage, 0),
            self.maps["buckets"].get(op.bucket, 0),
            frozenset(self.maps["open"]),
            self.now_ms,
            frozenset(self.maps["reasons"]),
        )

    def _close(self, op: ops.Close) -> Answer:
        if self.maps["open"].pop(op.token, None) is None and self.checks_token:
            return Answer.REFUSED
        for name in ("stages", "reasons", "origins"):
            for key, count in getattr(op, name).items():
                _add(self.maps[name], key, count)
        return Answer.DONE

    def _advance(self, op: ops.Advance) -> Answer:
        if self.maps["heads"].get(op.stage, -1) >= op.segment:
            return Answer.REFUSED
        self.maps["heads"][op.stage] = op.segment
        return Answer.DONE

    def _retire(self, op: ops.Retire) -> Answer:
        buckets = self.maps["buckets"]
        if buckets.get(op.bucket) != op.before:
            return Answer.REFUSED
        if op.after is None:
            del buckets[op.bucket]
        else:
            buckets[op.bucket] = op.after
        return Answer.DONE

    def _burn(self, op: ops.Burn) -> Answer:
        self.items.pop(BOOK, None)
        return Answer.DONE

    # Documents

    def _read(self, op: ops.Read) -> Any:
        return self.items.get(("document", op.document), Answer.MISSING)

    def _put(self, op: ops.Put) -> Answer:
        key = ("document", op.document)
        before = self.items.get(key)
        if before is None:
            if op.generation and self.checks_generation:
                return Answer.MISSING
            before = Kept(b"", 0, b"", b"")
        elif before.generation != op.generation and self.checks_generation:
            return Answer.REFUSED
        self._guard(before.state, op.state)
        chunks = before.chunks if op.chunks is None else op.chunks
        rows = before.rows if op.rows is None else op.rows
        self.items[key] = Kept(op.state, before.generation + 1, chunks, rows, before.settled)
        return Answer.DONE

    def _guard(self, before: bytes, after: bytes) -> None:
        """Two live leases on a document would be one too many."""
        if not before:
            return
        old, new = state_of(before).document, state_of(after).document
        if old.lease is None or new.lease is None or old.generation == new.generation:
            return
        if self.now_ms < old.lease.ends_ms:
            self.items[WRONG] = f"{new.lease.worker} took a document from {old.lease.worker}"

    def _touch(self, op: ops.Touch) -> Answer:
        key = ("document", op.document)
        found = self.items.get(key)
        if found is None:
            return Answer.MISSING
        if found.generation != op.generation:
            return Answer.REFUSED
        if self.touches:
            marked = max(found.settled, op.number) if self.marks else 0
            self.items[key] = found._replace(generation=found.generation + 1, settled=marked)
        return Answer.DONE

    def _erase(self, op: ops.Erase) -> Answer:
        self.items.pop(("document", op.document), None)
        return Answer.DONE

    def _putpart(self, op: ops.PutPart) -> Answer:
        self.items["part", op.document, op.token, op.piece] = op.data
        return Answer.DONE

    def _droppart(self, op: ops.DropPart) -> Answer:
        self.items.pop(("part", op.document, op.token, op.piece), None)
        return Answer.DONE

    def _readpart(self, op: ops.ReadPart) -> Any:
        return self.items.get(("part", op.document, op.token, op.piece), Answer.MISSING)

    # Segments: hints in their order, whether sealed, cursor

    def _segment(self, name: bytes) -> tuple[dict[bytes, bytes], bool, int] | None:
        found = self.items.get(("segment", name))
        return None if found is None else (dict(found[0]), found[1], found[2])

    def _keep(self, name: bytes, hints: dict[bytes, bytes], sealed: bool, cursor: int) -> None:
        self.items["segment", name] = (tuple(sorted(hints.items())), sealed, cursor)

    def _hint(self, op: ops.Hint) -> Answer:
        hints, sealed, cursor = self._segment(op.segment) or ({}, False, 0)
        if sealed and self.checks_seal:
            return Answer.REFUSED
        if op.segment[:1] == b"r" and len(hints) >= RETURNS_MAX:
            return Answer.REFUSED
        self._keep(op.segment, hints | op.hints, sealed, cursor)
        return Answer.DONE

    def _drop(self, op: ops.Drop) -> Answer:
        found = self._segment(op.segment)
        if found is not None:
            hints, sealed, cursor = found
            left = {key: value for key, value in hints.items() if key not in op.keys}
            self._keep(op.segment, left, sealed, cursor - op.reserved)
        return Answer.DONE

    def _reserve(self, op: ops.Reserve) -> Any:
        found = self._segment(op.segment)
        if found is None:
            return Answer.MISSING
        hints, sealed, cursor = found
        first = 0 if op.anew else max(cursor, 0)
        some = tuple(sorted(hints.items()))[first : first + op.places]
        self._keep(op.segment, hints, sealed, min(first + op.places, len(hints)))
        return ("hints", some, len(hints))

    def _glance(self, op: ops.Glance) -> Any:
        found = self._segment(op.segment)
        if found is None:
            return Answer.MISSING
        known = sorted(found[0].items())
        some = [(key, value) for key, value in known if op.end is None or key < op.end][: op.most]
        return ("hints", tuple(some), len(some))

    def _seal(self, op: ops.Seal) -> Answer:
        hints, _, cursor = self._segment(op.segment) or ({}, False, 0)
        if hints and self.checks_empty:
            return Answer.REFUSED
        self._keep(op.segment, hints, True, cursor)
        return Answer.DONE

    def _remove(self, op: ops.Remove) -> Answer:
        self.items.pop(("segment", op.segment), None)
        return Answer.DONE

    def _pause(self, op: ops.Pause) -> Answer:
        return Answer.DONE


def _add(counts: dict[Any, int], key: Any, count: int) -> None:
    counts[key] = counts.get(key, 0) + count
    if not counts[key]:
        del counts[key]


def thawed(answer: Any) -> Any:
    """Give an answer as deeds are told it."""
    if isinstance(answer, tuple) and answer and answer[0] == "hints":
        return Hints(dict(answer[1]), answer[2])
    if isinstance(answer, tuple) and not hasattr(answer, "_fields"):
        number, _, *maps, now_ms = answer
        fields = dict(zip(_MAPS, map(dict, maps), strict=True))
        return Book(number=number, now_ms=now_ms, **fields)
    return answer


def frozen(op: Any) -> Any:
    """Spell an operation that is under way, so that it can be hashed."""
    fields = (tuple(f.items()) if isinstance(f, dict) else f for f in op)
    return (type(op), *(tuple(f) if isinstance(f, list) else f for f in fields))


def unfrozen(spelled: Any) -> Any:
    kind, *fields = spelled
    if kind is ops.Hint:
        return ops.Hint(fields[0], dict(fields[1]))
    if kind is ops.Close:
        return ops.Close(fields[0], *map(dict, fields[1:4]), *fields[4:])
    return kind(*fields)


@lru_cache(maxsize=100_000)
def wrong_with(store: Store) -> str:
    """Say what holds at every moment and does not: hints, and counts."""
    draft = Draft(store)
    if draft.items[WRONG]:
        return str(draft.items[WRONG])
    counts: dict[str, dict[str, int]] = {"stages": {}, "reasons": {}, "origins": {}}
    for key, kept in draft.items.items():
        if key[0] != "document":
            continue
        state = state_of(kept.state)
        segment = draft.items.get(("segment", state.spot.segment))
        if segment is None or state.spot.key not in dict(segment[0]):
            return f"{key[1]} has no hint where it says: {state}"
        if state.spot.segment[:1] == b"l":
            place = int.from_bytes(state.spot.segment[1:5], "big")
            if place < draft.maps["heads"].get(state.document.stage, 0):
                return f"{key[1]} is in front of the head of its line"
        if state.spot.segment[:1] == b"e":
            bucket = int.from_bytes(state.spot.segment[1:9], "big")
            if draft.maps["buckets"].get(bucket, -1) < 0:
                return f"{key[1]} is in a bucket that nobody looks into"
        counted = state.before if state.call.token in draft.maps["open"] else before_of(state)
        for name, value in (
            ("stages", counted.stage),
            ("reasons", counted.reason),
            ("origins", counted.origin),
        ):
            if value:
                _add(counts[name], value, 1)
    for name, found in counts.items():
        if found != draft.maps[name]:
            return f"{name} are counted {draft.maps[name]}, there are {found}"
    return ""
