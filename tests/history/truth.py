"""The source of truth: the rows upstream holds, and for each row all it has held, in order.

Upstream, the clients and the judge run on one thread of one process. So "before" needs no clock:
what is recorded earlier was earlier, and a fetch is judged by three positions in a row's past.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

# Entries and events of one row that are kept. A row sees some 100 writes a second at most, and no
# fetch takes longer than a few seconds.
_KEPT: Final = 4_000
_EVENTS: Final = 400

_NOT_ATTRIBUTES: Final = frozenset({"id", "vector", "vectors"})
_LISTS: Final = ("upserted_ids", "patched_ids", "deleted_ids")

Row = Mapping[str, Any]
Json = dict[str, Any]


def spelled(attributes: Row) -> str:
    """Give attributes as text that is equal exactly if they are."""
    return json.dumps(attributes, sort_keys=True, separators=(",", ":"))


class Entry(NamedTuple):
    """One write that named a row, and the row after it; None: there was none."""

    at_ns: int
    write: int
    kind: str
    state: str | None
    # A condition was not met, a filter did not match, a patch met no row: nothing changed.
    changed: bool


class Past:
    """What upstream has held for one row, in the order of its commits."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Position of the youngest entry whose write was answered 200.
        self.acknowledged = 0
        # When upstream last told somebody of this row.
        self.told_ns = 0
        # The load leaves it unwritten.
        self.rests = False
        self.events: deque[tuple[int, str]] = deque(maxlen=_EVENTS)
        self._entries = [Entry(time.monotonic_ns(), 0, "none", None, True)]
        self._dropped = 0

    @property
    def last(self) -> int:
        """Position of the youngest entry."""
        return self._dropped + len(self._entries) - 1

    def note(self, text: str, at_ns: int | None = None) -> None:
        self.events.append((at_ns or time.monotonic_ns(), text))

    def add(self, entry: Entry) -> int:
        self._entries.append(entry)
        if len(self._entries) > _KEPT:
            half = _KEPT // 2
            del self._entries[:half]
            self._dropped += half
        return self.last

    def since(self, position: int) -> list[Entry]:
        assert position >= self._dropped, "the past that is asked for is no longer kept"
        return self._entries[position - self._dropped :]

    def at(self, position: int) -> Entry:
        return self.since(position)[0]

    def maker(self, position: int) -> Entry:
        """Give the entry that has made the row as it was at a position."""
        place = position - self._dropped
        while place and not self._entries[place].changed:
            place -= 1
        return self._entries[place]

    def kept(self) -> list[Entry]:
        return list(self._entries)


class Space:
    """One namespace: its rows now, and the past of every id that it may ever hold."""

    def __init__(self, name: str, ids: Iterable[int | str]) -> None:
        self.name = name
        self.ids = {str(each): each for each in ids}
        self.rows: dict[str, Row] = {}
        self.pasts = {text: Past(f"{name}/{text}") for text in self.ids}
        self.numbers = any(isinstance(each, int) for each in self.ids.values())

    @property
    def rests(self) -> bool:
        """Tell whether one of its rows is not to be written."""
        return any(past.rests for past in self.pasts.values())


class Truth:
    """All namespaces, and which entries each write has made."""

    def __init__(self, layout: Mapping[str, Iterable[int | str]]) -> None:
        self.spaces = {name: Space(name, ids) for name, ids in layout.items()}
        self.twice: list[int] = []
        self._made: dict[int, list[tuple[Past, int]]] = {}
        self._applied: set[int] = set()

    def apply(self, name: str, write: int, body: Json) -> Json:
        """Apply a write at once and whole; give the answer's fields."""
        space = self.spaces[name]
        change = _Change(space)
        change.filters(body)
        for row in _rows(body, "upsert"):
            change.upsert(row, body.get("upsert_condition"))
        for row in _rows(body, "patch"):
            change.patch(row, body.get("patch_condition"))
        for each in body.get("deletes", ()):
            change.delete(str(each), body.get("delete_condition"))
        self._commit(space, write, change)
        affected = sum(len(ids) for ids in change.affected.values())
        fields: Json = {"status": "OK", "message": "ok", "rows_affected": affected, "billing": {}}
        if body.get("return_affected_ids"):
            for each, texts in change.affected.items():
                fields[each] = [space.ids[text] for text in texts]
        return fields

    def clear(self, name: str, write: int) -> Json:
        """Delete a namespace."""
        space = self.spaces[name]
        change = _Change(space)
        change.named = dict.fromkeys(space.ids, "namespace")
        change.rows = {}
        self._commit(space, write, change)
        return {"status": "OK"}

    def tell(self, name: str, texts: Iterable[str]) -> list[Json]:
        """Give the rows of some ids, as a strongly consistent query does."""
        space = self.spaces[name]
        now = time.monotonic_ns()
        found = []
        for text in texts:
            past = space.pasts[text]
            past.told_ns = now
            past.note(f"upstream tells {_short(past.at(past.last).state)}", now)
            if text in space.rows:
                found.append({"id": space.ids[text], **space.rows[text]})
        return found

    def acknowledge(self, write: int) -> bool:
        """Note that a write was answered 200; tell whether it had been applied at all."""
        made = self._made.pop(write, None)
        for past, position in made or ():
            past.acknowledged = max(past.acknowledged, position)
        return made is not None

    def _commit(self, space: Space, write: int, change: "_Change") -> None:
        if write in self._applied:
            self.twice.append(write)
        self._applied.add(write)
        now = time.monotonic_ns()
        made = []
        for text, kind in change.named.items():
            past = space.pasts[text]
            row = change.rows.get(text)
            state = None if row is None else spelled(row)
            changed = state != past.at(past.last).state
            past.note(f"upstream applies #{write}, {kind}: {_short(state)}", now)
            made.append((past, past.add(Entry(now, write, kind, state, changed))))
        space.rows = change.rows
        self._made[write] = made


class _Change:
    """One write being applied; rows are replaced, never changed in place."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.rows = dict(space.rows)
        self.named: dict[str, str] = {}
        self.affected: dict[str, list[str]] = {name: [] for name in _LISTS}

    def filters(self, body: Json) -> None:
        condition = body.get("delete_by_filter")
        if condition is not None:
            self._everything("delete by filter")
            for text in [text for text, row in self.rows.items() if _met(condition, row, {})]:
                del self.rows[text]
                self.affected["deleted_ids"].append(text)
        patching = body.get("patch_by_filter")
        if patching is not None:
            self._everything("patch by filter")
            for text, row in list(self.rows.items()):
                if _met(patching["filters"], row, {}):
                    self.rows[text] = _without_nulls({**row, **patching["patch"]})
                    self.affected["patched_ids"].append(text)

    def upsert(self, row: Json, condition: Any) -> None:
        text = self._name(row, "upsert")
        base = self.rows.get(text)
        if base is not None and condition is not None and not _met(condition, base, row):
            return
        self.rows[text] = _attributes(row)
        self.affected["upserted_ids"].append(text)

    def patch(self, row: Json, condition: Any) -> None:
        text = self._name(row, "patch")
        base = self.rows.get(text)
        if base is None or (condition is not None and not _met(condition, base, row)):
            return
        patch = {name: value for name, value in row.items() if name not in _NOT_ATTRIBUTES}
        self.rows[text] = _without_nulls({**base, **patch})
        self.affected["patched_ids"].append(text)

    def delete(self, text: str, condition: Any) -> None:
        self.named[text] = "delete"
        base = self.rows.get(text)
        if base is None or (condition is not None and not _met(condition, base, {})):
            return
        del self.rows[text]
        self.affected["deleted_ids"].append(text)

    def _name(self, row: Json, kind: str) -> str:
        text = str(row["id"])
        self.named[text] = kind
        return text

    def _everything(self, kind: str) -> None:
        # Rows that do not match are named too: who was answered may conclude that they did not.
        self.named = dict.fromkeys(self.space.ids, kind)


def _rows(body: Json, operation: str) -> list[Json]:
    rows: list[Json] = list(body.get(f"{operation}_rows", ()))
    columns: dict[str, list[Any]] = body.get(f"{operation}_columns", {})
    if columns:
        names = list(columns)
        rows += [
            dict(zip(names, each, strict=True)) for each in zip(*columns.values(), strict=True)
        ]
    return rows


def _met(condition: Any, row: Row, new: Row) -> bool:
    """Evaluate `[attribute, "Eq" | "Lt", value]`; the value may be one of the new row."""
    attribute, operator, operand = condition
    value = row.get(attribute)
    if isinstance(operand, dict):
        operand = new.get(operand["$ref_new"])
    if operator == "Eq":
        return bool(value == operand)
    assert operator == "Lt", condition
    return value is not None and operand is not None and bool(value < operand)


def _attributes(row: Json) -> Row:
    return _without_nulls({n: value for n, value in row.items() if n not in _NOT_ATTRIBUTES})


def _without_nulls(row: Json) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def _short(state: str | None) -> str:
    return "no row" if state is None else state
